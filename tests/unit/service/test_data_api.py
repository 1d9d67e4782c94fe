"""Uploads over HTTP: what goes in, and that nothing of a bad one stays."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from httpx import Response
from intake_home import IntakeHome, bomb, csv_rows, jsonl, parquet


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IntakeHome]:
    folder = tmp_path_factory.mktemp("home")
    made = IntakeHome(
        folder, max_upload_bytes=40_000_000, max_predict_bytes=4_000_000, max_expanded_bytes=300_000_000
    )
    yield made
    made.registry.close()


@pytest.fixture
def home(service: IntakeHome) -> IntakeHome:
    """One service for all tests, with a new project for each."""
    service.start_afresh()
    return service


def _refused(answer: Response, status: int, code: str, *, field: str | None = None) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), document
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["detail"]
    assert document["remedy"]
    assert "Traceback" not in answer.text
    if field is not None:
        assert document["field"] == field
    else:
        assert document["field"]
    return document


# good uploads

ROWS = [{"a": at / 2, "b": "red" if at % 3 else "blue", "y": "yes" if at % 2 else "no"} for at in range(40)]
COLUMNS = {name: [row[name] for row in ROWS] for name in ("a", "b", "y")}


@pytest.mark.parametrize(
    ("filename", "body"),
    [
        ("d.csv", csv_rows(40).encode()),
        ("d.csv.gz", gzip.compress(csv_rows(40).encode())),
        ("d.jsonl", jsonl(ROWS)),
        ("d.ndjson.gz", gzip.compress(jsonl(ROWS))),
        ("d.parquet", parquet(COLUMNS)),
        ("d.parquet.gz", gzip.compress(parquet(COLUMNS))),
        ("d.txt", csv_rows(40).replace(",", ";").encode()),
    ],
)
def test_every_format_stores_the_same_rows(home: IntakeHome, filename: str, body: bytes) -> None:
    answer = home.upload(body, filename)
    assert answer.status_code == 201, answer.text
    assert answer.json() == {
        "batch": 1,
        "rows": 40,
        "labelled": 40,
        "unlabelled": 0,
        "quarantined": 0,
        "dataset_version": 1,
    }
    table = home.stored()
    assert table.column("a").to_pylist() == COLUMNS["a"]
    assert table.column("b").to_pylist() == COLUMNS["b"]
    assert table.column("_label").to_pylist() == COLUMNS["y"]
    assert table.schema.field("a").type == pa.float64()
    assert home.leftovers() == []
    assert home.scheduler.times == 1


def test_json_rows_are_stored(home: IntakeHome) -> None:
    assert home.rows(ROWS).json()["rows"] == 40


@pytest.mark.parametrize(
    ("media_type", "body", "encoding"),
    [
        ("text/csv", csv_rows(40).encode(), None),
        ("text/csv", gzip.compress(csv_rows(40).encode()), "gzip"),
        ("application/x-ndjson", jsonl(ROWS), None),
        ("application/vnd.apache.parquet", parquet(COLUMNS), None),
        ("application/json", json.dumps({"rows": ROWS}).encode(), None),
        ("application/json; charset=utf-8", gzip.compress(json.dumps({"rows": ROWS}).encode()), "gzip"),
        # what curl says of --data-binary and -d unless it is told otherwise
        ("application/x-www-form-urlencoded", csv_rows(40).encode(), None),
        ("application/x-www-form-urlencoded", json.dumps({"rows": ROWS}).encode(), None),
    ],
)
def test_the_body_itself_may_be_the_file(
    home: IntakeHome, media_type: str, body: bytes, encoding: str | None
) -> None:
    headers = {"content-type": media_type} | ({"content-encoding": encoding} if encoding else {})
    answer = home.http.post("/v1/projects/p/data", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["rows"] == 40


def test_two_hundred_columns_are_taken(home: IntakeHome) -> None:
    names = [f"c{at}" for at in range(200)]
    lines = [",".join([*names, "y"])]
    lines += [
        ",".join([*(str((at * 7 + column) % 13) for column in range(200)), "yn"[at % 2]]) for at in range(60)
    ]
    answer = home.upload("\n".join(lines) + "\n")
    assert answer.status_code == 201, answer.text
    assert len(home.http.get("/v1/projects/p/schema").json()["columns"]) == 200


def test_unlabelled_rows_are_taken_once_there_is_a_schema(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    answer = home.upload("a,b\n1,red\n2,blue\n").json()
    assert (answer["rows"], answer["labelled"], answer["unlabelled"]) == (2, 0, 2)


def test_bad_rows_go_to_the_quarantine_and_good_ones_stay(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    answer = home.upload("a,b,y,z\n1,red,yes,9\noops,red,no,9\n2,green,maybe,9\n3,green,no,9\n4\n").json()
    assert answer["rows"] == 2
    assert answer["quarantined"] == 3
    assert answer["quarantine_reasons"] == {"unparsable_number": 1, "unknown_label": 1, "ragged_row": 1}
    assert answer["unseen_categories"] == {"b": 1}
    assert answer["ignored_columns"] == ["z"]
    rows = home.http.get("/v1/projects/p/quarantine").json()["rows"]
    assert {(row["line"], row["column"], row["code"]) for row in rows} == {
        (2, "a", "unparsable_number"),
        (3, "y", "unknown_label"),
        (5, None, "ragged_row"),
    }
    raw = next(json.loads(row["row"]) for row in rows if row["line"] == 2)
    assert raw == {"a": "oops", "b": "red", "y": "no", "z": "9"}
    assert home.http.get("/v1/projects/p/quarantine?batch=1").json()["rows"] == []


def test_nan_is_a_missing_value_and_infinity_a_fault(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    answer = home.upload("a,b,y\nNaN,red,yes\ninf,red,no\n-inf,red,no\n").json()
    assert (answer["rows"], answer["quarantine_reasons"]) == (1, {"infinite_number": 2})


def test_the_callers_ids_are_kept_as_text(home: IntakeHome) -> None:
    home.project("q", id_column="id")
    body = "id,a,y\n" + "".join(f"{at},{at % 5},{'yn'[at % 2]}\n" for at in range(30))
    assert home.upload(body, project="q").status_code == 201
    assert set(home.stored(project="q").column("_row_id").to_pylist()) == {str(at) for at in range(30)}


def test_rows_without_own_ids_get_ascending_ones(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    home.upload(csv_rows(40))
    ids = home.stored().column("_row_id").to_pylist()
    assert ids == sorted(set(ids))
    assert len(ids) == 80


def test_batches_and_versions_can_be_listed_and_looked_at(home: IntakeHome) -> None:
    for _ in range(3):
        home.upload(csv_rows(40))
    listed = home.http.get("/v1/projects/p/data").json()
    assert [batch["batch"] for batch in listed["batches"]] == [3, 2, 1]
    assert (listed["rows"], listed["labelled"]) == (120, 120)
    assert [
        one["batch"] for one in home.http.get("/v1/projects/p/data?before=3&limit=1").json()["batches"]
    ] == [2]
    assert home.http.get("/v1/projects/p/data/2").json()["kind"] == "upload"
    versions = home.http.get("/v1/projects/p/versions").json()["versions"]
    assert [one["rows"] for one in versions] == [120, 80, 40]


# bad uploads: each a 4xx that names field and remedy, and nothing is stored

BAD_FIRST = {
    "empty file": (b"", 422, "empty"),
    "white space": (b"\n\n", 422, "empty"),
    "header only": (b"a,b,y\n", 422, "empty"),
    "wrong delimiter": (csv_rows(40).replace(",", ":").encode(), 422, "missing_target"),
    "no target": (b"a,b\n1,2\n", 422, "missing_target"),
    "all labels missing": (b"a,b,y\n1,2,\n3,4,NA\n", 422, "no_labels"),
    "one class only": (b"a,b,y\n1,2,x\n3,4,x\n", 422, "one_class"),
    "no feature": (b"y\n1\n0\n", 422, "no_features"),
    "duplicate columns": (b"a,b,a,y\n1,2,3,x\n1,2,3,z\n", 422, "duplicate_columns"),
    "columns that differ by case": (b"a,A,y\n1,2,x\n1,2,z\n", 422, "duplicate_columns"),
    "a system column": (b"_row_id,a,y\n1,2,x\n1,2,z\n", 422, "reserved_column"),
    "a column without name": (b"a,,y\n1,2,x\n1,2,z\n", 422, "empty_column_name"),
    "latin-1": ("a,b,y\n1,caf\u00e9,x\n2,t\u00e9,z\n".encode("latin-1"), 422, "not_utf8"),
    "ragged rows only": (b"a,b,y\n1\n2\n", 422, "ragged_row"),
    "an archive": (b"PK\x03\x04....", 415, "unknown_format"),
    "a cut off gzip": (gzip.compress(csv_rows(4000).encode())[:2000], 422, "broken_gzip"),
    "infinite numbers only": (b"a,y\ninf,x\n-inf,z\n", 422, "all_rows_refused"),
}


@pytest.mark.parametrize("case", BAD_FIRST)
def test_a_bad_first_upload_is_refused_and_leaves_nothing(home: IntakeHome, case: str) -> None:
    body, status, code = BAD_FIRST[case]
    _refused(home.upload(body), status, code)
    home.assert_untouched()
    assert home.scheduler.times == 0


BAD_LATER = {
    "empty file": (b"", 422, "empty"),
    "header only": (b"a,b,y\n", 422, "empty"),
    "a missing column": (b"a,y\n1,yes\n", 422, "missing_column"),
    "wrong delimiter": (b"a:b:y\n1:2:yes\n", 422, "missing_column"),
    "duplicate columns": (b"a,b,b,y\n1,2,3,yes\n", 422, "duplicate_columns"),
    "not utf-8": (b"a,b,y\n1,\xff,yes\n", 422, "not_utf8"),
    "only unknown labels": (b"a,b,y\n1,2,maybe\n2,3,maybe\n", 422, "all_rows_refused"),
    "only infinite numbers": (b"a,b,y\ninf,2,yes\n", 422, "all_rows_refused"),
}


@pytest.mark.parametrize("case", BAD_LATER)
def test_a_bad_later_upload_is_refused_and_leaves_nothing(home: IntakeHome, case: str) -> None:
    home.upload(csv_rows(40))
    before = home.registry.projects.get("p")
    body, status, code = BAD_LATER[case]
    _refused(home.upload(body), status, code)
    assert home.registry.projects.get("p") == before
    assert home.stored().num_rows == 40
    assert home.http.get("/v1/projects/p/quarantine").json()["rows"] == []
    assert home.leftovers() == []


def test_a_fault_that_all_rows_share_is_named_with_its_column(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    document = _refused(
        home.upload("a,b,y\n1,2,maybe\n2,3,maybe\nx,3,no\n"), 422, "all_rows_refused", field="y"
    )
    assert document["reason"] == "unknown_label"
    assert document["quarantine_reasons"] == {"unknown_label": 2, "unparsable_number": 1}
    assert "maybe" in document["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[1, 2]", 422, "not_rows"),
        (b'{"data": []}', 422, "not_rows"),
        (b'{"rows": {"a": 1}}', 422, "not_rows"),
        (b'{"rows": [1, 2]}', 422, "not_an_object"),
        (b'{"rows": []}', 422, "empty"),
        (b'{"rows": [{"a": {"b": 1}, "y": 1}]}', 422, "nested_value"),
        (b"rows", 400, "not_json"),
        (b"", 400, "not_json"),
    ],
)
def test_json_that_is_not_rows_is_refused_and_leaves_nothing(
    home: IntakeHome, body: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "application/json"}
    _refused(home.http.post("/v1/projects/p/data", content=body, headers=headers), status, code)
    home.assert_untouched()


def test_an_unknown_project_is_a_404(home: IntakeHome) -> None:
    answer = home.upload(csv_rows(4), project="nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
    assert "nobody" in answer.json()["detail"]


def test_an_unknown_batch_is_a_404(home: IntakeHome) -> None:
    assert home.http.get("/v1/projects/p/data/7").status_code == 404
    assert home.http.get("/v1/projects/p/data/x").status_code == 422


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"--x\r\n", "multipart/form-data", 422, "bad_form"),
        (b"nonsense", "multipart/form-data; boundary=x", 422, "bad_form"),
        (
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
            "bad_form",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,y\r\n1,2',
            "multipart/form-data; boundary=x",
            400,
            "cut_off",
        ),
    ],
)
def test_a_form_that_is_none_is_refused(
    home: IntakeHome, content: bytes, media_type: str, status: int, code: str
) -> None:
    headers = {"content-type": media_type}
    _refused(home.http.post("/v1/projects/p/data", content=content, headers=headers), status, code)
    home.assert_untouched()


def test_other_parts_of_a_form_are_passed_over(home: IntakeHome) -> None:
    answer = home.http.post(
        "/v1/projects/p/data", files={"file": ("a.csv", csv_rows(40))}, data={"comment": "x" * 5000}
    )
    assert answer.status_code == 201


def test_two_files_in_a_form_are_refused(home: IntakeHome) -> None:
    files = [("file", ("a.csv", csv_rows(4))), ("file", ("b.csv", csv_rows(4)))]
    _refused(home.http.post("/v1/projects/p/data", files=files), 422, "bad_form")


def test_an_encoding_that_is_not_read_is_refused(home: IntakeHome) -> None:
    headers = {"content-type": "text/csv", "content-encoding": "br"}
    _refused(home.http.post("/v1/projects/p/data", content=b"x", headers=headers), 415, "unknown_encoding")


# limits


def test_a_body_over_the_limit_is_refused_by_its_length_before_it_is_read(home: IntakeHome) -> None:
    read: list[int] = []

    def pieces() -> Iterator[bytes]:
        for at in range(100):
            read.append(at)
            yield b"x" * 1000

    headers = {"content-type": "text/csv", "content-length": "40000001"}
    document = _refused(
        home.http.post("/v1/projects/p/data", content=pieces(), headers=headers), 413, "body_too_large"
    )
    assert document["limit"] == 40_000_000
    home.assert_untouched()


@pytest.mark.parametrize("form", [True, False])
def test_a_body_over_the_limit_without_a_length_is_cut_off_while_it_comes(tmp_path: Path, form: bool) -> None:
    home = IntakeHome(tmp_path, max_upload_bytes=100_000)
    home.project()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' if form else b""

    def pieces() -> Iterator[bytes]:
        yield head + b"a,b,y\n"
        for _ in range(200):
            yield b"1,2,yes\n" * 200

    media_type = "multipart/form-data; boundary=x" if form else "text/csv"
    answer = home.http.post("/v1/projects/p/data", content=pieces(), headers={"content-type": media_type})
    _refused(answer, 413, "body_too_large")
    home.assert_untouched()
    home.registry.close()


def test_a_json_body_has_a_smaller_limit_than_a_file(home: IntakeHome) -> None:
    body = json.dumps({"rows": [{"a": "x" * 1000}] * 5000}).encode()
    headers = {"content-type": "application/json"}
    _refused(home.http.post("/v1/projects/p/data", content=body, headers=headers), 413, "body_too_large")
    packed = {**headers, "content-encoding": "gzip"}
    answer = home.http.post("/v1/projects/p/data", content=gzip.compress(body), headers=packed)
    _refused(answer, 413, "expanded_too_large")
    home.assert_untouched()


def test_one_field_of_a_form_can_not_fill_the_memory(home: IntakeHome) -> None:
    huge = {"comment": "x" * 41_000_000}
    answer = home.http.post("/v1/projects/p/data", files={"file": ("a.csv", csv_rows(4))}, data=huge)
    _refused(answer, 413, "body_too_large")


class _Peak:
    """The process's resident memory, looked at while something runs."""

    def __enter__(self) -> _Peak:
        self._process = psutil.Process()
        self._before = self._highest = self._process.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self._highest = max(self._highest, self._process.memory_info().rss)

    @property
    def grown(self) -> int:
        return self._highest - self._before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "stored"), [("zeros", False), ("rows", False), ("rows", True), ("many members", True)]
)
def test_two_gigabytes_in_a_few_megabytes_of_gzip_are_refused_in_bounded_memory(
    home: IntakeHome, kind: str, stored: bool
) -> None:
    if stored:
        home.upload(csv_rows(40))
    row = b"1," + b"red " * 120 + b",yes\n2," + b"blue" * 120 + b",no\n"
    body = {
        "zeros": lambda: bomb(bytes(1 << 20), 2048),
        "rows": lambda: bomb(row * 1000, 2200),
        "many members": lambda: bomb(row * 1000, 22, members=100, head=b"a,b,y\n"),
    }[kind]()
    assert len(body) < 10_000_000
    with _Peak() as peak:
        answer = home.upload(body, "bomb.csv.gz")
    _refused(answer, 413, "expanded_too_large")
    assert peak.grown < 600_000_000
    assert home.leftovers() == []
    assert len(home.batches()) == int(stored)


# idempotency


def test_a_repeated_upload_with_the_same_key_is_answered_from_the_first(home: IntakeHome) -> None:
    first = home.upload(csv_rows(40), key="k1")
    again = home.upload(csv_rows(40), "other-name.csv", key="k1")
    assert again.json() == first.json()
    assert again.status_code == 201
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert home.stored().num_rows == 40
    assert home.scheduler.times == 1


def test_a_key_used_for_another_body_is_a_conflict(home: IntakeHome) -> None:
    home.upload(csv_rows(40), key="k1")
    answer = home.upload(csv_rows(41), key="k1")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_mismatch")
    assert home.stored().num_rows == 40


def test_a_refused_upload_does_not_use_up_its_key(home: IntakeHome) -> None:
    assert home.upload(b"a,b,y\n", key="k1").status_code == 422
    assert home.upload(csv_rows(40), key="k1").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(home: IntakeHome, key: str) -> None:
    answer = home.http.post(
        "/v1/projects/p/data", files={"file": ("a.csv", csv_rows(40))}, headers={"Idempotency-Key": key}
    )
    _refused(answer, 422, "invalid_request", field="Idempotency-Key")


# schema


def test_there_is_no_schema_before_the_first_upload(home: IntakeHome) -> None:
    answer = home.http.get("/v1/projects/p/schema")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_schema")
    assert home.http.put("/v1/projects/p/schema", json={}).status_code == 404


def test_the_schema_can_be_sent_back_as_it_was_read(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    schema = home.http.get("/v1/projects/p/schema").json()
    answer = home.http.put("/v1/projects/p/schema", json=schema)
    assert (answer.status_code, answer.json()) == (200, schema)


def test_an_optional_column_may_be_absent_from_then_on(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    assert home.upload("a,y\n1,yes\n").status_code == 422
    change = {"columns": [{"name": "b", "optional": True}]}
    assert home.http.put("/v1/projects/p/schema", json=change).json()["schema_version"] == 2
    answer = home.upload("a,y\n1,yes\n")
    assert answer.status_code == 201
    assert answer.json()["missing_columns"] == ["b"]


def test_a_new_class_is_known_from_then_on(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    assert home.upload("a,b,y\n1,red,maybe\n").status_code == 422
    change = {"target": {"classes": ["no", "yes", "maybe"]}}
    answer = home.http.put("/v1/projects/p/schema", json=change)
    assert answer.json()["target"]["classes"] == ["maybe", "no", "yes"]
    assert home.registry.projects.get("p").task["classes"] == ["maybe", "no", "yes"]
    assert home.upload("a,b,y\n1,red,maybe\n").status_code == 201


def test_a_kind_that_would_break_the_stored_rows_is_a_conflict(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    change = {"columns": [{"name": "a", "kind": "categorical"}]}
    _refused(home.http.put("/v1/projects/p/schema", json=change), 409, "rows_stored", field="columns[0].kind")
    alike = {"columns": [{"name": "b", "kind": "text"}]}
    assert home.http.put("/v1/projects/p/schema", json=alike).status_code == 200
    assert home.upload(csv_rows(40)).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": [{"name": "zzz", "optional": True}]}, "columns[0].name"),
        ({"columns": [{"name": "a", "kind": "nonsense"}]}, "columns[0].kind"),
        ({"columns": [{"name": "a", "categories": ["x"]}]}, "columns[0].categories"),
        ({"columns": [{"optional": True}]}, "columns[0].name"),
        ({"target": {"classes": ["yes"]}}, "target.classes"),
        ({"target": {"classes": ["yes", "no", 3]}}, "target.classes"),
        ({"target": {"classes": ["yes", "no", " "]}}, "target.classes"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_bad_edit_is_refused_by_its_field(home: IntakeHome, change: dict[str, Any], field: str) -> None:
    home.upload(csv_rows(40))
    before = home.registry.projects.get("p")
    answer = home.http.put("/v1/projects/p/schema", json=change)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert home.registry.projects.get("p") == before


def test_an_edit_of_an_old_schema_is_a_conflict(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    change = {"schema_version": 7, "columns": [{"name": "b", "optional": True}]}
    _refused(home.http.put("/v1/projects/p/schema", json=change), 409, "schema_changed")


# feedback


def test_feedback_says_what_became_of_each_label(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    home.upload("a,b\n1,red\n2,blue\n3,blue\n")
    labelled, one, two, three = home.ids()[-4:]
    answer = home.feedback(
        [
            {"id": one, "label": "yes"},
            {"id": two, "label": "no"},
            {"id": two, "label": "yes"},
            {"id": "nobody", "label": "no"},
            {"id": labelled, "label": "no"},
            {"id": labelled, "label": "yes"},
        ]
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2,
        "unchanged": 1,
        "unknown": ["nobody"],
        "conflicting": [two, labelled],
        "dataset_version": 3,
    }
    table = home.stored()
    labels = dict(zip(table["_row_id"].to_pylist(), table["_label"].to_pylist(), strict=True))
    assert (labels[one], labels[two], labels[three]) == ("yes", "no", None)
    assert home.scheduler.times == 3


def test_feedback_can_replace_a_truth_when_it_says_so(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    row = home.ids()[0]
    assert home.feedback([{"id": row, "label": "yes"}]).json()["conflicting"] == [row]
    assert home.feedback([{"id": row, "label": "yes"}], replace=True).json()["accepted"] == 1
    assert home.stored()["_label"].to_pylist()[0] == "yes"
    assert home.feedback([{"id": row, "label": "yes"}]).json()["unchanged"] == 1


def test_feedback_on_unknown_ids_only_is_no_error_and_stores_nothing(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    answer = home.feedback([{"id": "x", "label": "no"}, {"id": 7, "label": "yes"}])
    assert (answer.status_code, answer.json()["unknown"]) == (200, ["x", "7"])
    assert len(home.batches()) == 1


def test_feedback_before_the_first_upload_knows_no_id(home: IntakeHome) -> None:
    assert home.feedback([{"id": "x", "label": "no"}]).json()["unknown"] == ["x"]


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ([], "labels"),
        ("x", "labels"),
        ([1], "labels[0]"),
        ([{"id": "a", "label": "no"}, {"label": "no"}], "labels[1].id"),
        ([{"id": None, "label": "no"}], "labels[0].id"),
        ([{"id": True, "label": "no"}], "labels[0].id"),
        ([{"id": "", "label": "no"}], "labels[0].id"),
        ([{"id": "x" * 256, "label": "no"}], "labels[0].id"),
        ([{"id": "a"}], "labels[0].label"),
        ([{"id": "a", "label": None}], "labels[0].label"),
        ([{"id": "a", "label": ["no"]}], "labels[0].label"),
        ([{"id": "a", "label": "maybe"}], "labels[0].label"),
        ([{"id": "a", "label": "no", "source": "me"}], "labels[0].source"),
    ],
)
def test_malformed_feedback_is_refused_by_its_field_and_stores_nothing(
    home: IntakeHome, labels: Any, field: str
) -> None:
    home.upload(csv_rows(40))
    _refused(home.feedback(labels), 422, home.feedback(labels).json()["code"], field=field)
    assert len(home.batches()) == 1


def test_a_label_outside_the_classes_is_named_with_the_classes(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    document = _refused(home.feedback([{"id": "a", "label": "maybe"}]), 422, "unknown_label")
    assert "'maybe'" in document["detail"]
    assert "'no', 'yes'" in document["remedy"]


def test_feedback_that_is_not_json_is_a_400(home: IntakeHome) -> None:
    answer = home.http.post("/v1/projects/p/feedback", content=b"{")
    _refused(answer, 400, "not_json")


def test_feedback_over_the_limit_is_refused(home: IntakeHome) -> None:
    _refused(home.http.post("/v1/projects/p/feedback", content=b"x" * 4_000_001), 413, "body_too_large")
    many = [{"id": str(at), "label": "no"} for at in range(100_001)]
    _refused(home.feedback(many), 413, "too_many_labels")


def test_repeated_feedback_with_the_same_key_is_answered_from_the_first(home: IntakeHome) -> None:
    home.upload(csv_rows(40))
    home.upload("a,b\n1,red\n")
    labels = [{"id": home.ids()[-1], "label": "yes"}, {"id": "nobody", "label": "no"}]
    first = home.feedback(labels, key="f1")
    again = home.feedback(labels, key="f1")
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = home.feedback(labels[:1], key="f1")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")


def test_a_key_of_an_upload_is_not_one_of_feedback(home: IntakeHome) -> None:
    home.upload(csv_rows(40), key="k")
    assert home.feedback([{"id": "x", "label": "no"}], key="k").status_code == 409


def test_numbers_are_taken_as_labels_of_a_regression(home: IntakeHome) -> None:
    home.project("q", regression=True)
    home.upload("a,y\n" + "".join(f"{at},{at / 7}\n" for at in range(40)), project="q")
    home.rows([{"a": 3.5}], project="q")
    row = (
        home.stored(project="q")
        .filter(pa.compute.is_null(home.stored(project="q")["_label"]))["_row_id"][0]
        .as_py()
    )

    def send(label: Any) -> Response:
        return home.http.post("/v1/projects/q/feedback", json={"labels": [{"id": row, "label": label}]})

    assert send("a lot").json()["code"] == "unparsable_label"
    assert send(True).status_code == 422
    assert send(3).json()["accepted"] == 1
    assert send(3.0).json()["unchanged"] == 1
