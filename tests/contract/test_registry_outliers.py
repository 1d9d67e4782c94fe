"""Odd rows as they are remembered: looks in order, one of many that saw the same, and the oddest rows first."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_builders import datasets_in, feedback, ids, upload
from registry_builders import NOW, after, at_once

from registry.blobs import BlobStore
from registry.database import Database
from registry.outliers import MOST_KEPT, Look, OddRow, Outliers
from registry.records import Project


@pytest.fixture
def outliers(db: Database) -> Outliers:
    return Outliers(db)


def look(upto: int, *, odd: int = 1, model: int | None = 1) -> Look:
    return Look(
        model_version=model,
        dataset_version=None if model else 1,
        upto=upto,
        rows=100,
        odd=odd,
        passed_over=0,
        threshold=0.99,
        columns={"size": odd},
    )


def odd(
    name: str, score: float = 0.99, times: float = 5.0, *, batch: int = 1, source: str = "upload"
) -> OddRow:
    reasons = [{"column": "size", "share": 0.9, "value": 4.0, "usual": [0.0, 1.0]}]
    return OddRow(
        row_id=name, batch=batch, source=source, score=score, times=times, reasons=reasons, arrived_at=NOW
    )


def test_a_look_and_its_rows_are_kept_as_they_were_handed_over(outliers: Outliers, project: Project) -> None:
    assert outliers.latest(project.id) is None
    assert outliers.keep(project.id, look(3), [odd("a")], after=None, at=NOW)
    kept = outliers.latest(project.id)
    assert kept is not None
    assert (kept.upto, kept.rows, kept.odd, kept.columns, kept.at) == (3, 100, 1, {"size": 1}, NOW)
    (row,) = outliers.list(project.id)
    assert (row.row_id, row.reasons, row.look) == ("a", odd("a").reasons, kept.number)


def test_the_oddest_come_first_and_can_be_asked_for_by_source_and_batch(
    outliers: Outliers, project: Project
) -> None:
    rows = [
        odd("mild", 0.99),
        odd("far", 1.0, 9.0, source="prediction"),
        odd("farther", 1.0, 90.0, batch=2),
    ]
    outliers.keep(project.id, look(2), rows, after=None, at=NOW)
    assert [row.row_id for row in outliers.list(project.id)] == ["farther", "far", "mild"]
    assert [row.row_id for row in outliers.list(project.id, limit=1)] == ["farther"]
    assert [row.row_id for row in outliers.list(project.id, source="prediction")] == ["far"]
    assert [row.row_id for row in outliers.list(project.id, batch=1)] == ["far", "mild"]


def test_of_many_who_looked_at_the_same_rows_one_keeps_what_it_saw(db: Database, project: Project) -> None:
    def keep(number: int) -> bool:
        return Outliers(db).keep(project.id, look(1), [odd(f"by-{number}")], after=None, at=NOW)

    assert sorted(map(bool, at_once(keep))) == [False] * 7 + [True]
    assert len(Outliers(db).list(project.id)) == 1


def test_another_measure_takes_the_place_of_what_stood_out_by_the_one_before(
    outliers: Outliers, project: Project
) -> None:
    outliers.keep(project.id, look(1, model=None), [odd("a"), odd("b")], after=None, at=NOW)
    first = outliers.latest(project.id)
    assert first is not None
    assert outliers.keep(project.id, look(1), [odd("b", 1.0)], after=first.number, anew=True, at=after(1))
    assert [(row.row_id, row.score) for row in outliers.list(project.id)] == [("b", 1.0)]
    assert [one.model_version for one in outliers.looks(project.id)] == [1, None]


def test_old_looks_leave_with_their_rows_once_there_are_too_many(
    outliers: Outliers, project: Project
) -> None:
    number: int | None = None
    for turn in range(4):
        rows = [odd(f"{turn}-{place}", batch=turn + 1) for place in range(MOST_KEPT // 3)]
        assert outliers.keep(project.id, look(turn, odd=len(rows)), rows, after=number, at=after(turn))
        latest = outliers.latest(project.id)
        assert latest is not None
        number = latest.number
    assert outliers.list(project.id, batch=1) == ()
    assert len(outliers.list(project.id, limit=10_000)) == 3 * (MOST_KEPT // 3)


def test_a_deleted_project_leaves_no_odd_row_behind(
    db: Database, outliers: Outliers, project: Project, tmp_path: Path
) -> None:
    blob = BlobStore(tmp_path / "blobs", b"k" * 32, db).put(b"a measure", at=NOW)
    made = outliers.add_measure(project.id, dataset_version=2, rows=50, blob=blob, at=NOW)
    assert outliers.measure(project.id) == made
    outliers.keep(project.id, look(1), [odd("a")], after=None, at=NOW)
    outliers.drop(project.id)
    assert outliers.measure(project.id) is None
    assert outliers.latest(project.id) is None
    assert outliers.list(project.id) == ()


def test_rows_that_came_since_a_batch_are_read_newest_first_and_the_rest_counted(
    db: Database, project: Project, tmp_path: Path
) -> None:
    datasets = datasets_in(tmp_path, db)
    upload(datasets, project, "a", 30)
    first = upload(datasets, project, "b", 20)
    feedback(datasets, project, ids("a", 3), "no")
    last = upload(datasets, project, "c", 10, at=after(1))
    came = datasets.arrivals(project.id, after=first.number, most=100)
    assert came.read()["_row_id"].to_pylist() == ids("c", 10)
    assert (came.upto, came.rows) == (last.number, 10)
    came = datasets.arrivals(project.id, after=0, most=25)
    rows = came.read()
    assert set(ids("c", 10)) < set(rows["_row_id"].to_pylist())
    assert (len(rows), came.rows) == (25, 60)
    came = datasets.arrivals(project.id, after=last.number, most=25)
    assert (len(came.read()), came.rows) == (0, 0)
