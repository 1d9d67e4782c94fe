"""Intake below HTTP: chunks, schemas, ids, races; and the desk that takes feedback."""

from __future__ import annotations

import io
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_home import IntakeHome, csv_rows, jsonl, parquet

from automl.errors import SchemaError
from automl.schema import Schema
from automl.task import Task, TaskKind
from registry.errors import Conflict
from registry.records import Batch, Project
from service import intake
from service.admission import SeenIds
from service.chunks import Limits
from service.feedback import Answer, FeedbackDesk, Outcome
from service.first_upload import first_schema
from service.intake import Receipt, take_in
from service.problems import Problem
from service.readers import Source, open_source
from service.row_ids import ROW_IDS, RowIds

AT = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(expanded_bytes=10**9, rows=10**6, columns=1000)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IntakeHome]:
    made = IntakeHome(tmp_path_factory.mktemp("home"))
    yield made
    made.registry.close()


@pytest.fixture
def home(service: IntakeHome) -> IntakeHome:
    service.start_afresh()
    return service


def _source(body: bytes | str, filename: str = "a.csv", known: tuple[str, ...] = ("y",)) -> Source:
    return open_source(
        io.BytesIO(body.encode() if isinstance(body, str) else body),
        filename=filename,
        media_type=None,
        known=known,
        limits=LIMITS,
        folder=Path("/tmp"),
    )


def _take(home: IntakeHome, body: bytes | str, filename: str = "a.csv", **more: Any) -> Receipt:
    project = more.pop("project", None) or home.registry.projects.get("p")
    options = {"digest": "d", "key": None, "at": AT, **more}
    return take_in(home.registry, project, _source(body, filename), **options)


def _task(**more: Any) -> Task:
    return Task(kind=TaskKind.CLASSIFICATION, target="y", metric="auto", **more)


# the first schema


def test_a_class_that_comes_after_the_sample_is_known() -> None:
    body = csv_rows(60_000) + "1,red,rare\n"
    schema, task = first_schema(_source(body), _task())
    assert task.classes == ("no", "rare", "yes")
    assert schema.names == ("a", "b")


def test_labels_that_begin_after_the_sample_are_found() -> None:
    body = "a,y\n" + "1,\n" * 60_000 + "2,yes\n3,no\n"
    assert first_schema(_source(body), _task())[1].classes == ("no", "yes")


def test_numbers_and_texts_of_one_json_column_become_text() -> None:
    rows = [{"a": at if at % 2 else f"x{at}", "y": at % 2} for at in range(30_000)] * 2
    schema, task = first_schema(_source(jsonl(rows), "a.jsonl"), _task())
    assert schema.by_name["a"].kind in ("categorical", "text")
    assert task.classes == (0, 1)


def test_a_label_with_a_nul_character_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        first_schema(_source(parquet({"a": [1, 2], "y": ["n\0", "j"]}), "a.parquet"), _task())
    assert (caught.value.code, caught.value.field) == ("nul_character", "y")


def test_a_first_upload_sets_classes_and_metric_of_the_task(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    project = home.registry.projects.get("p")
    task = Task.from_json(project.task)
    assert (task.classes, task.metric) == (("no", "yes"), "roc_auc")
    assert project.schema_version == 1


def test_a_later_upload_keeps_the_schema(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    before = home.registry.projects.get("p")
    _take(home, "a,b,y\n1,green,\n")
    assert home.registry.projects.get("p") == before


# columns that come and go


def test_a_json_column_may_be_absent_from_a_whole_chunk(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    rows = [{"a": 1.5, "y": "no"}] * 25_000 + [{"a": 2.5, "b": "red"}]
    receipt = _take(home, jsonl(rows), "a.jsonl")
    assert receipt.batch.rows == 25_001
    assert home.stored()["b"].null_count == 25_000


def test_a_required_column_that_no_json_row_has_is_missing(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    with pytest.raises(SchemaError) as caught:
        _take(home, jsonl([{"a": 1.5, "y": "no"}] * 25_000), "a.jsonl")
    assert (caught.value.code, caught.value.column) == ("missing_column", "b")
    assert home.leftovers() == []
    assert len(home.batches()) == 1


def test_an_upload_of_nothing_but_faults_is_given_up_early(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    with pytest.raises(Problem) as caught:
        _take(home, "a,b,y\n" + "oops,red,no\n" * 300_000)
    assert caught.value.code == "all_rows_refused"
    assert "first 100,000 rows" in caught.value.detail


# ids


@pytest.fixture
def named(home: IntakeHome) -> Project:
    return home.project("q", id_column="id")


def test_an_id_that_comes_again_chunks_later_is_quarantined(home: IntakeHome, named: Project) -> None:
    body = csv_rows(45_000, ids=True) + "r7,1,red,yes\nr44999,1,red,yes\n"
    batch = _take(home, body, project=named).batch
    assert (batch.rows, batch.quarantined) == (45_000, 2)
    rows = home.registry.datasets.quarantine(named.id, 10)
    assert {(row["line"], row["column"], row["code"]) for row in rows} == {
        (45_001, "id", "duplicate_id"),
        (45_002, "id", "duplicate_id"),
    }


def test_an_id_that_is_stored_already_is_quarantined(home: IntakeHome, named: Project) -> None:
    _take(home, csv_rows(40, ids=True), project=named)
    batch = _take(home, csv_rows(40, start=30, ids=True), project=home.registry.projects.get("q")).batch
    assert (batch.rows, batch.quarantined) == (30, 10)
    assert home.stored(project="q").num_rows == 70


def test_the_same_rows_again_are_refused_as_duplicates(home: IntakeHome, named: Project) -> None:
    _take(home, csv_rows(40, ids=True), project=named)
    with pytest.raises(Problem) as caught:
        _take(home, csv_rows(40, ids=True), project=home.registry.projects.get("q"))
    assert caught.value.extra["reason"] == "duplicate_id"
    assert "feedback" in str(caught.value.remedy)


def test_ids_without_a_value_or_too_long_are_quarantined(home: IntakeHome, named: Project) -> None:
    body = csv_rows(40, ids=True) + f",1,red,yes\n{'x' * 256},1,red,no\n"
    batch = _take(home, body, project=named).batch
    assert batch.details["quarantine_reasons"] == {"missing_id": 1, "invalid_id": 1}


def test_whole_numbers_are_ids_without_a_point_whatever_the_format(home: IntakeHome, named: Project) -> None:
    columns = {"id": [float(at) for at in range(20)], "a": list(range(20)), "y": ["n", "j"] * 10}
    _take(home, parquet(columns), "a.parquet", project=named)
    assert set(home.stored(project="q")["_row_id"].to_pylist()) == {str(at) for at in range(20)}


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=12), max_size=12))
def test_an_id_is_new_exactly_once(chunks: list[list[str]]) -> None:
    seen, known = SeenIds(), set[str]()
    for ids in chunks:
        for name, fresh in zip(ids, seen.add(ids, set()), strict=True):
            assert fresh == (name not in known)
            known.add(name)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=30), st.lists(st.integers(-5, 5), max_size=30))
def test_row_ids_ascend_and_are_uuids_of_version_7_whatever_the_clock_does(
    counts: list[int], steps: list[int]
) -> None:
    ids, made = RowIds(), list[str]()
    for at, count in enumerate(counts):
        moment = datetime.fromtimestamp(1_800_000_000 + (steps[at] if at < len(steps) else 0), UTC)
        made += ids.take(count, moment)
    assert made == sorted(set(made))
    for text in made[:3]:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, text)


def test_a_row_id_begins_with_its_time() -> None:
    milliseconds = int(AT.timestamp() * 1000)
    assert uuid.UUID(RowIds().take(1, AT)[0]).int >> 80 == milliseconds
    assert ROW_IDS.now(1) < ROW_IDS.now(1)


# races


def test_of_two_first_uploads_at_once_one_sets_the_schema_and_both_are_stored(home: IntakeHome) -> None:
    project = home.registry.projects.get("p")
    together = threading.Barrier(4)

    def upload(at: int) -> Batch:
        together.wait()
        return _take(home, csv_rows(40 + at), project=project).batch

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(upload, range(4)))
    assert sorted(batch.rows for batch in batches) == [40, 41, 42, 43]
    assert home.registry.projects.get("p").schema_version == 1
    assert home.stored().num_rows == 166


def test_a_first_upload_that_lost_the_race_is_held_to_the_other_schema(home: IntakeHome) -> None:
    stale = home.registry.projects.get("p")
    _take(home, csv_rows(40))
    with pytest.raises(SchemaError) as caught:
        _take(home, "other,y\n1,yes\n2,no\n", project=stale)
    assert caught.value.code == "missing_column"


def test_a_changed_policy_does_not_stop_a_first_upload(home: IntakeHome) -> None:
    stale = home.registry.projects.get("p")
    home.registry.projects.update("p", policy={"x": 1})
    assert _take(home, csv_rows(40), project=stale).batch.rows == 40
    assert home.registry.projects.get("p").policy == {"x": 1}


def test_rows_checked_by_an_edited_schema_are_checked_again(
    home: IntakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    _take(home, csv_rows(40))
    stale = home.registry.projects.get("p")
    assert stale.schema is not None
    schema = json.loads(json.dumps(dict(stale.schema)))
    schema["target"]["classes"] = ["maybe", "no", "yes"]
    task = {**stale.task, "classes": ["maybe", "no", "yes"]}
    home.registry.projects.update("p", schema=schema, task=task)
    batch = _take(home, "a,b,y\n1,red,maybe\n2,red,no\n", project=stale).batch
    assert (batch.rows, batch.quarantined) == (2, 0)


def test_the_same_rows_from_two_sides_at_once_are_stored_once(home: IntakeHome, named: Project) -> None:
    together = threading.Barrier(3)

    def upload(_: int) -> int:
        together.wait()
        try:
            return _take(home, csv_rows(500, ids=True), project=named).batch.rows
        except Problem as problem:
            if problem.extra.get("reason") != "duplicate_id":
                raise
            return 0

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(upload, range(3))) == [0, 0, 500]
    assert home.stored(project="q").num_rows == 500


def test_the_same_key_from_many_sides_at_once_stores_once(home: IntakeHome) -> None:
    project = home.registry.projects.get("p")
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda _: _take(home, csv_rows(40), project=project, key="k"), range(4)))
    assert {receipt.batch.number for receipt in receipts} == {1}
    assert home.stored().num_rows == 40


def test_a_project_that_keeps_changing_gives_up_with_a_conflict(
    home: IntakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed(source: Source, task: Task) -> tuple[Schema, Task]:
        home.registry.projects.update("p", policy={"at": uuid.uuid4().hex})
        return first_schema(source, task)

    monkeypatch.setattr(intake, "first_schema", disturbed)
    with pytest.raises(Problem) as caught:
        _take(home, csv_rows(40))
    assert (caught.value.status, caught.value.code) == (409, "busy")
    home.assert_untouched()


# the desk


def _answers(*pairs: tuple[str, str]) -> list[Answer]:
    return [Answer(row_id=name, label=label) for name, label in pairs]


def test_deliveries_that_come_together_share_commits_and_each_gets_its_own_outcome(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    _take(home, "a,b\n" + "1,red\n" * 60)
    project = home.registry.projects.get("p")
    desk = FeedbackDesk(home.registry)
    ids = home.ids()[-60:]
    together = threading.Barrier(30)

    def deliver(at: int) -> Outcome:
        together.wait()
        pairs = ((ids[2 * at], "yes"), (ids[2 * at + 1], "no"), (f"nobody{at}", "no"))
        return desk.deliver(project, _answers(*pairs), digest=str(at), at=AT)

    with ThreadPoolExecutor(30) as pool:
        outcomes = list(pool.map(deliver, range(30)))
    assert [outcome.accepted for outcome in outcomes] == [2] * 30
    assert [outcome.unknown for outcome in outcomes] == [(f"nobody{at}",) for at in range(30)]
    commits = len(home.batches()) - 2
    assert commits < 15
    assert home.stored()["_label"].null_count == 0


def test_of_two_conflicting_deliveries_one_counts(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    _take(home, "a,b\n1,red\n")
    project, desk, row = home.registry.projects.get("p"), FeedbackDesk(home.registry), home.ids()[-1]

    def deliver(label: str) -> Outcome:
        return desk.deliver(project, _answers((row, label)), digest=label, at=AT)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(deliver, ["yes", "no"])
    assert {first.accepted, second.accepted} == {0, 1}
    assert first.conflicting + second.conflicting == (row,)


def test_one_delivery_at_fault_does_not_hurt_those_beside_it(home: IntakeHome) -> None:
    _take(home, csv_rows(40), key="used")
    project, desk, row = home.registry.projects.get("p"), FeedbackDesk(home.registry), home.ids()[0]
    with pytest.raises(Conflict):
        desk.deliver(project, _answers((row, "no")), digest="other", at=AT, key="used")
    assert desk.deliver(project, _answers((row, "no")), digest="x", at=AT).unchanged == 1


def test_unknown_ids_are_looked_for_again_after_a_flush(home: IntakeHome) -> None:
    _take(home, csv_rows(40))
    _take(home, "a,b\n1,red\n")
    project, row = home.registry.projects.get("p"), home.ids()[-1]
    flushed: list[int] = []
    desk = FeedbackDesk(home.registry, lambda: flushed.append(1))
    assert desk.deliver(project, _answers((row, "no")), digest="x", at=AT).accepted == 1
    assert flushed == []
    assert desk.deliver(project, _answers(("nobody", "no")), digest="y", at=AT).unknown == ("nobody",)
    assert flushed == [1]


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds(home: IntakeHome) -> None:
    started = datetime.now(UTC)
    assert _take(home, csv_rows(100_000)).batch.rows == 100_000
    assert (datetime.now(UTC) - started).total_seconds() < 30
