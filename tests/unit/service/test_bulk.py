"""Bulk scoring over real HTTP: tables in, tables out, a chunk at a time."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from wire_house import House, rows_of, serving

from service.client import Incumbent, IncumbentError
from service.row_ids import ROW_IDS
from service.wire import bulk

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    projects: dict[str, dict[str, Any]] = {
        "fruit": {"compiled": True},
        "plain": {"compiled": False},
        "unnamed": {"compiled": True, "named": False},
        "weight": {"compiled": True, "kind": "number"},
    }
    folder = tmp_path_factory.mktemp("bulk")
    with serving(folder, projects, max_rows=400_000, flush_seconds=0.3) as made:
        yield made


def stream(table: pa.Table, chunk: int = 1_000) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return sink.getvalue()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def score(house: House, project: str, body: bytes, media_type: str = ARROW, query: str = "") -> Any:
    path = f"/v1/projects/{project}/predict{query}"
    return house.http.post(path, content=body, headers={"content-type": media_type})


def asked(count: int, seed: int = 4, target: str = "ripe") -> pa.Table:
    return rows_of(count, seed).drop_columns([target])


def told(house: House, project: str, table: pa.Table) -> list[dict[str, Any]]:
    answer = house.predict(project, {"rows": table.to_pylist()})
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def predictions_of(house: House, project: str) -> int:
    return int(house.http.get(f"/v1/projects/{project}").json()["data"]["predictions"])


@pytest.mark.parametrize("project", ["fruit", "plain"])
@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_a_table_is_answered_as_its_rows_are(house: House, project: str, media_type: str) -> None:
    table = asked(300)
    body = stream(table, 70) if media_type == ARROW else parquet(table)
    answer = score(house, project, body, media_type)
    assert (answer.status_code, answer.headers["content-type"]) == (200, ARROW)
    found = pa.ipc.open_stream(answer.content).read_all()
    assert found.schema.metadata[b"model_version"] == b"1"
    classes = json.loads(found.schema.metadata[b"classes"])
    expected = told(house, project, table)
    assert found["id"].to_pylist() == table["ref"].to_pylist()
    assert found["value"].to_pylist() == [one["value"] for one in expected]
    shares = np.array(found["probabilities"].to_pylist())
    assert np.allclose(
        shares, [[one["probabilities"][name] for name in classes] for one in expected], atol=1e-9
    )


def test_numbers_are_answered_as_numbers_and_rows_without_a_name_get_one(house: House) -> None:
    table = asked(50, target="count").drop_columns(["ref"])
    found = pa.ipc.open_stream(score(house, "weight", stream(table)).content).read_all()
    assert found.schema.names == ["id", "value"]
    assert np.allclose(found["value"], [one["value"] for one in told(house, "weight", table)])
    assert len(set(found["id"].to_pylist())) == 50


def test_a_row_at_fault_refuses_the_call_by_its_number_and_nothing_is_logged(house: House) -> None:
    before = predictions_of(house, "unnamed")
    table = asked(40_000).drop_columns(["ref"])
    sizes = ["1.5"] * 40_000
    sizes[33_333] = "tall"
    broken = table.set_column(table.schema.get_field_index("size"), "size", pa.array(sizes))
    answer = score(house, "unnamed", stream(broken, 20_000))
    said = answer.json()
    assert (answer.status_code, said["code"]) == (422, "unparsable_number")
    assert said["field"] == "rows[33333].size"
    house.app.state.context.observation.flush()
    assert predictions_of(house, "unnamed") == before


def test_rows_at_fault_may_be_nulls_with_their_reason(house: House) -> None:
    table = asked(100)
    sizes: list[str | None] = [str(value) for value in range(100)]
    sizes[7] = "tall"
    table = table.set_column(table.schema.get_field_index("size"), "size", pa.array(sizes))
    found = pa.ipc.open_stream(score(house, "fruit", stream(table), query="?errors=null").content).read_all()
    assert found["error"].null_count == 99
    assert "size" in found["error"][7].as_py()
    assert (found["value"][7].as_py(), found["probabilities"][7].as_py()) == (None, None)
    assert found["id"].to_pylist() == table["ref"].to_pylist()
    assert found["value"].null_count == 1


def test_what_was_answered_is_in_the_tables_and_log_false_keeps_it_out(house: House) -> None:
    flush = house.app.state.context.observation.flush
    flush()
    before = predictions_of(house, "unnamed")
    table = asked(30_000, 9).drop_columns(["ref"])
    answer = score(house, "unnamed", stream(table, 10_000))
    ids = pa.ipc.open_stream(answer.content).read_all()["id"].to_pylist()
    assert len(set(ids)) == 30_000
    score(house, "unnamed", stream(table), query="?log=false")
    flush()
    assert predictions_of(house, "unnamed") == before + 30_000
    project = house.http.get("/v1/projects/unnamed").json()
    assert project["data"]["rows"] >= 30_000
    known = house.app.state.context.registry
    found = known.datasets.known(known.projects.get("unnamed").id, ids[:100])
    assert found == set(ids[:100])


@pytest.mark.parametrize(
    ("body", "media_type", "code"),
    [
        (b"", ARROW, "unreadable_arrow"),
        (b"not arrow at all", ARROW, "unreadable_arrow"),
        (stream(rows_of(10))[:-300], ARROW, "unreadable_arrow"),
        (b"PAR1 nothing", PARQUET, "unreadable_parquet"),
        (stream(rows_of(10).drop_columns(["size"])), ARROW, "missing_column"),
        (stream(pa.table({"size": [1.0], "SIZE": [2.0]})), ARROW, "duplicate_columns"),
        (stream(pa.table({"size": [[1.0]]})), ARROW, "unknown_type"),
    ],
)
def test_unreadable_tables_are_refused_by_name(house: House, body: bytes, media_type: str, code: str) -> None:
    answer = score(house, "fruit", body, media_type)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_a_damaged_stream_ends_the_call_and_not_the_server(house: House) -> None:
    whole = bytearray(stream(asked(2_000)))
    chance = np.random.default_rng(0)
    for _ in range(60):
        body = bytearray(whole)
        for at in chance.integers(0, len(body), 30):
            body[at] = int(chance.integers(0, 256))
        assert score(house, "fruit", bytes(body), query="?log=false").status_code in (200, 413, 422)


def test_too_many_rows_and_batches_too_large_are_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = pa.table({"size": np.zeros(400_001)})
    answer = score(house, "fruit", stream(many, 500_000))
    assert (answer.status_code, answer.json()["code"]) in ((413, "too_many_rows"), (422, "missing_column"))
    monkeypatch.setattr(bulk, "LARGEST_BATCH", 10_000)
    answer = score(house, "fruit", stream(asked(2_000), 2_000))
    assert (answer.status_code, answer.json()["code"]) == (413, "batch_too_large")


def test_ids_in_a_table_are_ids_of_the_same_kind() -> None:
    characters = ROW_IDS.table(5_000)
    texts = [bytes(line).decode() for line in characters]
    assert texts == sorted(set(texts))
    assert ROW_IDS.now(1)[0] > texts[-1]
    assert {(text[8], text[13], text[14], text[18], text[23]) for text in texts} == {
        ("-", "-", "7", "-", "-")
    }
    assert {text[19] for text in texts} <= set("89ab")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(house: House) -> None:
    import psutil

    me = psutil.Process(os.getpid())
    small = asked(2_000, 5).drop_columns(["ref", "note"])
    table = small.append_column("note", pa.array(["of the north"] * 2_000))

    def grown(copies: int) -> int:
        """The highest resident memory during a call, over that before it; the answer is read and thrown away."""
        body = stream(pa.concat_tables([table] * copies), 20_000)
        seen, over = [me.memory_info().rss], Event()
        watching = Thread(
            target=lambda: [seen.append(me.memory_info().rss) for _ in iter(lambda: over.wait(0.005), True)]
        )
        watching.start()
        headers = {"content-type": ARROW}
        with house.http.stream(
            "POST", "/v1/projects/fruit/predict?log=false", content=body, headers=headers
        ) as answer:
            size = sum(len(piece) for piece in answer.iter_bytes())
        over.set()
        watching.join()
        assert size > 50 * 2_000 * copies // 2
        return max(seen) - seen[0]

    grown(10)
    assert grown(150) < 40 * 2**20


def test_the_client_scores_tables_and_says_what_is_wrong_with_one(house: House) -> None:
    table = asked(120)
    with Incumbent(house.url) as client:
        found = client.score_table("fruit", table)
        assert found["id"].to_pylist() == table["ref"].to_pylist()
        with pytest.raises(IncumbentError) as refused:
            client.score_table("fruit", table.drop_columns(["size"]))
        assert (refused.value.status, refused.value.field) == (422, "size")
        sizes = pa.array(["tall"] * 120)
        broken = table.set_column(table.schema.get_field_index("size"), "size", sizes)
        nulls = client.score_table("fruit", broken, errors="null", log=False)
        assert nulls["value"].null_count == 120


def test_spool_files_leave_nothing_behind(house: House) -> None:
    score(house, "fruit", stream(asked(100)))
    spool = Path(house.app.state.context.settings.home).resolve() / "spool"
    assert list(spool.iterdir()) == []
