"""Files written as their table keeps them are taken over as they are, and any other is written there: nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from dataset_builders import datasets_in, ids, predictions, rows, upload
from registry_builders import NOW

from registry.database import Database
from registry.datasets import Datasets
from registry.final_files import final_file
from registry.lineage import batch_hash, row_digests
from registry.parts import Parts
from registry.records import Batch, BatchKind, Project

AT = datetime(2026, 1, 5, 12, 0, 0, 123_457, tzinfo=UTC)


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


def logged(name: str, count: int, **more: Any) -> pa.Table:
    """Rows as the prediction log has them, complete."""
    table = rows(name, count)
    for column, values in more.items():
        table = table.append_column(column, values)
    moments = pa.array(
        [AT + timedelta(microseconds=place) for place in range(count)], pa.timestamp("us", "UTC")
    )
    return table.append_column("_arrived_at", moments).append_column(
        "_source", pa.array(["prediction"] * count)
    )


def commit(
    datasets: Datasets, project: Project, name: str, count: int = 40, *, number: int = 0, **more: Any
) -> Batch:
    """A batch written as if it were to be the next one, or the one of ``number``."""
    with datasets.stage(project) as staging:
        parts = Parts(staging.folder, number or datasets.next_number(project.id))
        stored = parts.write_rows(logged(name, count, **more))
        parts.write_predictions(predictions(ids(name, count), at=AT))
        parts.seal()
        digests = [row_digests(batch) for batch in stored.to_batches()]
        staging.filled(rows=count, predictions=count, content=batch_hash(digests, ()))
        return datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)


def taken_over(tmp_path: Path, table: str) -> list[str]:
    (folder,) = [path for path in (tmp_path / "tables").iterdir() if path.is_dir()]
    return sorted(path.name.split("-")[1] for path in (folder / table).glob("batch-*.parquet"))


def test_the_batch_that_was_expected_is_taken_over_and_reads_as_any_other(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    commit(datasets, project, "a")  # brings the columns
    batch = commit(datasets, project, "b")
    assert taken_over(tmp_path, "rows") == ["2"]
    assert taken_over(tmp_path, "predictions") == ["1", "2"]
    assert datasets.verify(project.id, batch.dataset_version)
    found = datasets.read(project.id, 2, labelled=False)
    assert found.num_rows == 80
    wanted = logged("b", 40)
    assert found.slice(40).select(wanted.column_names).equals(wanted)
    assert found["_batch"].to_pylist() == [1] * 40 + [2] * 40
    assert datasets.rows(project.id, ["b-000007"])["amount"].to_pylist() == [7.0]
    assert datasets.scored(project.id, since=AT, labelled=False).num_rows == 80
    assert datasets.scored(project.id, since=AT + timedelta(seconds=1), labelled=False).num_rows == 0


def test_when_another_comes_first_the_rows_are_written_with_the_number_they_got(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    commit(datasets, project, "a")
    upload(datasets, project, "u", 4)
    batch = commit(datasets, project, "b", number=2)
    assert (batch.number, taken_over(tmp_path, "rows")) == (3, [])
    assert datasets.read(project.id, 3, labelled=False)["_batch"].to_pylist()[-40:] == [3] * 40
    assert datasets.verify(project.id, 3)


def test_rows_with_a_column_more_or_less_find_their_table_all_the_same(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    commit(datasets, project, "a")
    commit(datasets, project, "b", more=pa.array(["x"] * 40))
    commit(datasets, project, "c")
    assert taken_over(tmp_path, "rows") == ["3"]
    found = datasets.read(project.id, 3, labelled=False)
    assert found["more"].to_pylist() == [None] * 40 + ["x"] * 40 + [None] * 40
    assert datasets.verify(project.id, 3)


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([float("inf")] + [0.5] * 39),
        pa.array(["long" * 2_000, *["short"] * 39]),
    ],
    ids=["a number without end", "a text too long to tell"],
)
def test_what_the_log_of_a_table_can_not_tell_is_written_the_usual_way(
    datasets: Datasets, project: Project, tmp_path: Path, odd: pa.Array
) -> None:
    commit(datasets, project, "a", odd=odd)
    commit(datasets, project, "b", odd=odd)
    assert taken_over(tmp_path, "rows") == []
    found = datasets.read(project.id, 2, labelled=False)
    assert found["odd"].to_pylist() == odd.to_pylist() * 2


def test_every_value_can_be_looked_for_in_files_that_were_taken_over(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    nothing = pa.nulls(40, pa.string())
    minus = pa.array([-0.0] + [float("nan")] * 19 + [None] * 20)
    for name in "ab":
        commit(datasets, project, name, nothing=nothing, minus=minus, whole=pa.array(range(-20, 20)))
    table = datasets.tables_of(project.id)
    assert taken_over(tmp_path, "rows") == ["2"]
    second = ds.field("_batch") == 2
    for condition, count in (
        (ds.field("_row_id") == "b-000039", 1),
        (ds.field("_arrived_at") == pa.scalar(AT + timedelta(microseconds=39), pa.timestamp("us", "UTC")), 1),
        (ds.field("amount") > 38.5, 1),
        (ds.field("word").is_null(), 10),
        (ds.field("good") == pa.scalar(True), 20),
        (ds.field("nothing").is_null(), 40),
        (ds.field("minus") == 0.0, 1),
        (ds.field("whole") == -20, 1),
    ):
        assert table.dataset("rows").to_table(filter=second & condition).num_rows == count


def test_a_commit_that_died_after_it_had_linked_the_file_is_finished_once(
    datasets: Datasets, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(datasets, project, "a")
    from deltalake import DeltaTable

    def dies(*_: object, **__: object) -> None:
        raise OSError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", dies)
        with pytest.raises(OSError, match="away"):
            commit(datasets, project, "b")
    assert datasets.latest(project.id).rows == 40  # type: ignore[union-attr]
    datasets.recover(NOW)
    assert taken_over(tmp_path, "rows") == ["2"]
    found = datasets.read(project.id, 2, labelled=False)
    assert sorted(found["_row_id"].to_pylist()) == sorted([*ids("a", 40), *ids("b", 40)])


def test_a_file_is_final_for_its_own_batch_only_and_with_nothing_left_to_fill_in(tmp_path: Path) -> None:
    parts = Parts(tmp_path, 7)
    parts.write_rows(logged("a", 4))
    parts.seal()
    (path,) = parts.files.paths("rows")
    assert final_file(path, "rows", 7) is not None
    assert final_file(path, "rows", 8) is None
    assert final_file(path, "labels", 7) is None
    other = tmp_path / "other"
    other.mkdir()
    parts = Parts(other, 7)
    parts.write_rows(rows("a", 4))
    parts.seal()
    assert final_file(parts.files.paths("rows")[0], "rows", 7) is None
