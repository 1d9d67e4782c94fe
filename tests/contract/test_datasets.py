from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from dataset_builders import datasets_in, faults, feedback, ids, labels, predictions, rows, upload
from deltalake import DeltaTable
from registry_builders import NOW, after

from registry.database import Database
from registry.datasets import Datasets
from registry.errors import Conflict, DuplicateRows, NotFound
from registry.lineage import GENESIS, chain
from registry.projects import Projects
from registry.records import BatchKind, Project
from registry.staging import Staging


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


def staged(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "staging").glob("*") if path.is_dir()]


def test_a_batch_is_read_back_as_it_was_written(datasets: Datasets, project: Project) -> None:
    batch = upload(datasets, project, "a", 10, labelled=6)
    assert (batch.number, batch.rows, batch.labelled, batch.unlabelled) == (1, 10, 6, 4)
    assert (batch.kind, batch.dataset_version, batch.created_at) == (BatchKind.UPLOAD, 1, NOW)
    everything = datasets.read(project.id, 1, labelled=False)
    written = rows("a", 10)
    assert everything.select(written.column_names).equals(written)
    assert everything["_label"].to_pylist() == ["yes"] * 6 + [None] * 4
    assert set(everything["_source"].to_pylist()) == {"upload"}
    assert set(everything["_arrived_at"].to_pylist()) == {NOW}
    assert set(everything["_batch"].to_pylist()) == {1}
    only = datasets.read(project.id, 1)
    assert only.equals(everything.slice(0, 6))
    assert only["_label_source"].to_pylist() == ["given"] * 6
    narrow = datasets.read(project.id, 1, columns=["amount"])
    assert narrow.column_names[:5] == ["_row_id", "_batch", "_arrived_at", "_source", "amount"]
    assert "word" not in narrow.column_names


def test_an_old_version_gives_exactly_the_old_rows(datasets: Datasets, project: Project) -> None:
    upload(datasets, project, "a", 5)
    before = datasets.read(project.id, 1, labelled=False)
    upload(datasets, project, "b", 7, labelled=0)
    feedback(datasets, project, [*ids("a", 2), *ids("b", 3)], "no")
    assert datasets.read(project.id, 1, labelled=False).equals(before)
    assert datasets.read(project.id, 2).num_rows == 5
    newest = datasets.read(project.id, 3)
    assert newest["_label"].to_pylist() == ["no"] * 2 + ["yes"] * 3 + ["no"] * 3
    assert [version.number for version in datasets.versions(project.id)] == [3, 2, 1]
    assert [version.number for version in datasets.versions(project.id, 1, before=3)] == [2]


def test_versions_count_and_chain_their_batches(datasets: Datasets, project: Project) -> None:
    batches = [upload(datasets, project, name, 4, labelled=2) for name in "abc"]
    expected = GENESIS
    for batch in batches:
        expected = chain(expected, batch.content_hash)
        version = datasets.version(project.id, batch.dataset_version)
        assert version.content_hash == expected
        assert (version.rows, version.labels) == (4 * batch.number, 2 * batch.number)
        assert datasets.verify(project.id, version.number)
    latest = datasets.latest(project.id)
    assert latest == datasets.version(project.id, 3)
    assert datasets.batch(project.id, 2) == batches[1]
    assert datasets.batches(project.id) == tuple(reversed(batches))
    assert datasets.batches(project.id, limit=1, before=3) == (batches[1],)


def test_the_tables_are_plain_delta_tables_at_the_recorded_versions(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    for name in "abc":
        upload(datasets, project, name, 4)
    (folder,) = [path for path in (tmp_path / "tables").iterdir() if path.is_dir()]
    for number in (1, 2, 3):
        version = datasets.version(project.id, number)
        for table, at in (("rows", version.rows_version), ("labels", version.labels_version)):
            found = DeltaTable(folder / table, version=at).to_pyarrow_table()
            assert found.num_rows == 4 * number
            assert max(found["_batch"].to_pylist()) == number


def test_content_and_not_layout_makes_the_hash(datasets: Datasets, project: Project, db: Database) -> None:
    other = Projects(db).create("other", task={}, policy={}, at=NOW)
    written = rows("a", 100)
    told = labels(ids("a", 100), at=NOW)
    with datasets.stage(project) as staging:
        staging.write_rows(written)
        staging.write_labels(told)
        one = datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    order = random.Random(1).sample(range(100), 100)
    with datasets.stage(other) as staging:
        for piece in written.take(order).select(list(reversed(written.column_names))).to_batches(7):
            staging.write_rows(piece)
        for piece in told.take(order[::-1]).to_batches(9):
            staging.write_labels(piece)
        two = datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert one.content_hash == two.content_hash
    assert (
        datasets.read(project.id, 1)
        .drop(["_batch"])
        .select(written.column_names)
        .equals(datasets.read(other.id, 1).select(written.column_names))
    )


def test_truth_outranks_a_models_word_and_the_latest_of_equals_counts(
    datasets: Datasets, project: Project
) -> None:
    upload(datasets, project, "a", 4, labelled=0)
    one, two, three, four = ids("a", 4)
    feedback(datasets, project, [one, two], "old")
    feedback(datasets, project, [one, three], "guess", source="pseudo", told_at=after(100))
    feedback(datasets, project, [three], "better guess", source="pseudo", told_at=after(50))
    feedback(datasets, project, [two], "new", source="human", told_at=after(-100))
    found = datasets.read(project.id, 5, labelled=False)
    assert found["_label"].to_pylist() == ["old", "new", "better guess", None]
    assert found["_label_source"].to_pylist() == ["feedback", "human", "pseudo", None]
    assert datasets.truths(project.id, [one, two, three, four]) == {
        one: "old",
        two: "new",
        three: None,
        four: None,
    }
    facts = datasets.facts(project.id)
    assert (facts.rows, facts.truths) == (4, 2)


def test_of_two_labels_in_one_batch_index_and_tables_choose_the_same(
    datasets: Datasets, project: Project
) -> None:
    upload(datasets, project, "a", 3, labelled=0)
    one, two, three = ids("a", 3)
    with datasets.stage(project) as staging:
        staging.write_labels(labels([one, two], "b", at=after(2)))
        staging.write_labels(labels([one, one], "a", at=after(5)))
        staging.write_labels(labels([two, three], "c", at=after(1)))
        staging.write_labels(labels([two, three], "d"))  # at the time of the commit, which is before
        datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=NOW)
    assert datasets.read(project.id, 2)["_label"].to_pylist() == ["a", "b", "c"]
    assert datasets.truths(project.id, [one, two, three]) == {one: "a", two: "b", three: "c"}
    assert datasets.facts(project.id).truths == 3


def test_known_ids_are_told_from_unknown_ones(datasets: Datasets, project: Project) -> None:
    upload(datasets, project, "ä'\"\\", 3)
    strange = ["nobody", "", "a\0b", "\ud800", "x" * 300]
    assert datasets.known(project.id, [*ids("ä'\"\\", 2), *strange]) == set(ids("ä'\"\\", 2))
    assert datasets.known(project.id, []) == set()


def test_a_stored_id_is_refused_and_nothing_remains(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    upload(datasets, project, "a", 3)
    with datasets.stage(project) as staging:
        staging.write_rows(rows("new", 2))
        staging.write_rows(rows("a", 1))
        with pytest.raises(DuplicateRows) as caught:
            datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert caught.value.row_ids == tuple(ids("a", 1))
    assert datasets.known(project.id, ids("new", 2)) == set()
    assert staged(tmp_path) == []
    assert upload(datasets, project, "b", 1).number == 2


def test_an_id_twice_in_a_batch_is_refused(datasets: Datasets, project: Project) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(rows("a", 3))
        staging.write_rows(rows("a", 2))
        with pytest.raises(DuplicateRows) as caught:
            datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert caught.value.row_ids == tuple(ids("a", 2))
    assert datasets.latest(project.id) is None


def test_a_key_used_again_stores_nothing_twice(datasets: Datasets, project: Project, tmp_path: Path) -> None:
    first = upload(datasets, project, "a", 3, key="k", digest="d")
    assert upload(datasets, project, "a", 3, key="k", digest="d", at=after(9)) == first
    assert datasets.replay(project.id, "k", "d") == first
    assert datasets.replay(project.id, "other", "d") is None
    with pytest.raises(Conflict) as caught:
        upload(datasets, project, "b", 3, key="k", digest="another")
    assert caught.value.code == "idempotency_mismatch"
    with pytest.raises(Conflict):
        datasets.replay(project.id, "k", "another")
    assert datasets.facts(project.id).rows == 3
    assert staged(tmp_path) == []


def test_columns_may_come_and_stay_away(datasets: Datasets, project: Project) -> None:
    upload(datasets, project, "a", 2)
    with datasets.stage(project) as staging:
        staging.write_rows(pa.table({"_row_id": ["x"], "fresh (%)": [1.5]}))
        datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    newest = datasets.read(project.id, 2, labelled=False)
    assert newest["fresh (%)"].to_pylist() == [None, None, 1.5]
    assert newest["good"].to_pylist() == [True, False, None]
    assert "fresh (%)" not in datasets.read(project.id, 1, labelled=False).column_names
    assert datasets.verify(project.id, 1)
    assert datasets.verify(project.id, 2)


def test_the_pieces_of_a_batch_may_have_different_columns(datasets: Datasets, project: Project) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(pa.table({"_row_id": ["a"], "x": [1.0]}))
        staging.write_rows(pa.table({"_row_id": ["b"], "y": ["new"], "x": [2.0]}))
        staging.write_rows(pa.table({"_row_id": ["c"]}))
        with pytest.raises(ValueError):
            staging.write_rows(pa.table({"_row_id": ["d"], "x": ["text"]}))
        datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    found = datasets.read(project.id, 1, labelled=False)
    assert found.select(["_row_id", "x", "y"]).to_pylist() == [
        {"_row_id": "a", "x": 1.0, "y": None},
        {"_row_id": "b", "x": 2.0, "y": "new"},
        {"_row_id": "c", "x": None, "y": None},
    ]
    assert datasets.verify(project.id, 1)


@pytest.mark.parametrize("column", [{"amount": ["text"]}, {"Amount": [1.0]}], ids=["type", "case"])
def test_a_column_of_another_type_or_case_is_refused(
    datasets: Datasets, project: Project, column: dict[str, list[object]]
) -> None:
    upload(datasets, project, "a", 2)
    with datasets.stage(project) as staging:
        staging.write_rows(pa.table({"_row_id": ["x"], **column}))
        with pytest.raises(Conflict) as caught:
            datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert caught.value.code == "schema_changed"
    assert upload(datasets, project, "b", 1).number == 2


def test_two_cases_of_one_name_in_a_first_batch_are_refused(datasets: Datasets, project: Project) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(pa.table({"_row_id": ["a"], "x": [1.0]}))
        staging.write_rows(pa.table({"_row_id": ["b"], "X": [1.0]}))
        with pytest.raises(Conflict):
            datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert upload(datasets, project, "b", 1).number == 1


@pytest.mark.parametrize(
    "name", ["a.b", "`x`", " ", "é😀", "new\nline", 'it\'s "%20"', "{x},;(=)", "x" * 300]
)
def test_any_name_makes_a_column(datasets: Datasets, project: Project, name: str) -> None:
    for number in range(2):
        with datasets.stage(project) as staging:
            staging.write_rows(pa.table({"_row_id": [f"r{number}"], name: [1.5]}))
            datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert datasets.read(project.id, 2, labelled=False, columns=[name])[name].to_pylist() == [1.5, 1.5]
    assert datasets.recent(project.id, 1)[name].to_pylist() == [1.5]


UNUSABLE: list[Callable[[Staging], None]] = [
    lambda staging: staging.write_rows(pa.table({"a": [1.0]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": [""], "a": [1.0]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["x" * 256]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["a\0b"]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": pa.array([None], pa.string())})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["x"], "_strange": [1.0]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["x"], "": [1.0]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["x"], "a\0b": [1.0]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["x"], "list": [[1.0]]})),
    lambda staging: staging.write_rows(pa.table({"_row_id": ["x"], "a": [1.0], "A": [1.0]})),
    lambda staging: staging.write_labels(pa.table({"_row_id": ["x"], "label": ["y"], "source": ["rumour"]})),
    lambda staging: staging.write_labels(pa.table({"_row_id": ["x"], "label": ["a\0b"]})),
    lambda staging: staging.write_labels(pa.table({"_row_id": ["x"], "label": ["a"], "wight": [1.0]})),
]


@pytest.mark.parametrize("write", UNUSABLE)
def test_what_no_table_takes_is_refused_while_staging(
    datasets: Datasets, project: Project, write: Callable[[Staging], None], tmp_path: Path
) -> None:
    with datasets.stage(project) as staging, pytest.raises(ValueError):
        write(staging)
    assert staged(tmp_path) == []


def test_an_empty_project_has_facts_and_no_versions(datasets: Datasets, project: Project) -> None:
    facts = datasets.facts(project.id)
    assert (facts.version, facts.rows, facts.truths, facts.predictions) == (0, 0, 0, 0)
    assert facts.last_row_at is None
    assert datasets.latest(project.id) is None
    assert datasets.batches(project.id) == ()
    assert datasets.recent(project.id, 5).num_rows == 0
    assert datasets.scored(project.id).num_rows == 0
    assert datasets.quarantine(project.id) == []
    for missing in (datasets.batch, datasets.version, datasets.read, datasets.verify):
        with pytest.raises(NotFound):
            missing(project.id, 1)
    with pytest.raises(NotFound):
        datasets.recent(999, 5)


def test_facts_say_when_rows_and_truths_last_came(datasets: Datasets, project: Project) -> None:
    upload(datasets, project, "a", 3, labelled=0, at=after(1))
    assert datasets.facts(project.id).last_truth_at is None
    feedback(datasets, project, ids("a", 1), "yes", at=after(2))
    feedback(datasets, project, ids("a", 2), "yes", source="pseudo", at=after(3))
    facts = datasets.facts(project.id)
    assert (facts.last_row_at, facts.last_truth_at) == (after(1), after(2))
    assert (facts.version, facts.rows, facts.truths) == (3, 3, 1)


def test_refused_rows_are_kept_with_their_reasons(datasets: Datasets, project: Project) -> None:
    for number, lines in enumerate(([4, 4, 9], [1], list(range(100))), 1):
        with datasets.stage(project) as staging:
            staging.write_quarantine(faults(lines))
            batch = datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=after(number))
        assert batch.quarantined == len(set(lines))
    (entry,) = datasets.quarantine(project.id, 5, batch=2)
    assert entry == {
        "batch": 2,
        "line": 1,
        "column": "amount",
        "code": "unparsable_number",
        "message": "'x' is no number",
        "row": '{"amount": "x"}',
        "at": after(2),
    }
    assert [entry["line"] for entry in datasets.quarantine(project.id, 102)[-3:]] == [99, 1, 4]
    assert len(datasets.quarantine(project.id, 3)) == 3
    assert datasets.facts(project.id).rows == 0


def test_recent_gives_the_newest_rows_of_a_source(datasets: Datasets, project: Project) -> None:
    upload(datasets, project, "a", 5, at=after(1))
    with datasets.stage(project) as staging:
        piece = rows("p", 4)
        staging.write_rows(piece.append_column("_source", pa.array(["prediction"] * 4)))
        staging.write_predictions(predictions(ids("p", 4)))
        datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=after(2))
    upload(datasets, project, "b", 3, at=after(3))
    assert datasets.recent(project.id, 4)["_row_id"].to_pylist() == [*ids("p", 4)[-1:], *ids("b", 3)]
    assert datasets.recent(project.id, 3, "prediction")["_row_id"].to_pylist() == ids("p", 4)[1:]
    assert datasets.recent(project.id, 100, "prediction").num_rows == 4
    assert datasets.recent(project.id, 100).num_rows == 12
    assert datasets.recent(project.id, 7, "upload")["_row_id"].to_pylist() == [*ids("a", 5)[1:], *ids("b", 3)]


def test_scored_puts_each_rows_last_prediction_beside_its_truth(datasets: Datasets, project: Project) -> None:
    p, q = ids("p", 4), ids("q", 2)
    for name, made_at, model, again in (("p", 10, 1, []), ("q", 20, 2, p[:1])):
        with datasets.stage(project) as staging:
            staging.write_rows(rows(name, 4 if name == "p" else 2))
            fresh = p if name == "p" else q
            staging.write_predictions(predictions([*fresh, *again], model=model, at=after(made_at)))
            datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=after(made_at))
    assert datasets.facts(project.id).predictions == 7
    feedback(datasets, project, [p[0], p[2], q[1]], "yes", told_at=after(30))
    feedback(datasets, project, [p[3]], "guess", source="pseudo")
    found = datasets.scored(project.id)
    assert found["_row_id"].to_pylist() == [p[2], p[0], q[1]]
    assert found["model_version"].to_pylist() == [1, 2, 2]
    assert found["label"].to_pylist() == ["yes"] * 3
    assert found["label_at"].to_pylist() == [after(30)] * 3
    assert found["probabilities"].to_pylist() == [[0.75, 0.25]] * 3
    names = ["_row_id", "model_version", "value", "score", "probabilities", "at", "label", "label_at"]
    assert found.column_names == names
    assert datasets.scored(project.id, limit=1)["_row_id"].to_pylist() == [q[1]]
    assert datasets.scored(project.id, after(15))["_row_id"].to_pylist() == [p[0], q[1]]
    everything = datasets.scored(project.id, labelled=False)
    assert everything.num_rows == 6
    assert everything["label"].null_count == 3


def test_a_deleted_projects_data_is_refused_and_dropped(
    datasets: Datasets, project: Project, db: Database, tmp_path: Path
) -> None:
    upload(datasets, project, "a", 3)
    with datasets.stage(project) as staging:
        staging.write_rows(rows("b", 1))
        Projects(db).delete(project.name, at=NOW)
        with pytest.raises(NotFound):
            datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    datasets.drop(project)
    datasets.drop(project)
    assert datasets.known(project.id, ids("a", 3)) == set()
    assert [path for path in (tmp_path / "tables").iterdir() if path.is_dir()] == []
    assert staged(tmp_path) == []


def test_times_in_any_zone_are_the_same_moment(datasets: Datasets, project: Project) -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with datasets.stage(project) as staging:
        local = pa.array([moment], pa.timestamp("ms", "Europe/Berlin"))
        staging.write_rows(pa.table({"_row_id": ["x"], "when": local}))
        datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert datasets.read(project.id, 1, labelled=False)["when"].to_pylist() == [moment]
    assert datasets.verify(project.id, 1)
