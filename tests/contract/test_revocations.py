"""Labels are taken back in one act, and what was there before stays exactly what it was."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from dataset_builders import datasets_in, feedback, ids, labels, predictions, rows, upload
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_builders import NOW, after

from registry import row_index, table_schemas
from registry.columns import conform
from registry.database import Database
from registry.datasets import Datasets
from registry.errors import Conflict
from registry.label_ledger import LabelLedger
from registry.labeling import Labeling
from registry.projects import Projects
from registry.records import Batch, BatchKind, Project
from registry.revocations import Criteria


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


@pytest.fixture
def ledger(db: Database, datasets: Datasets) -> LabelLedger:
    return LabelLedger(db, datasets)


def tell(
    datasets: Datasets,
    project: Project,
    row_ids: list[str],
    label: str,
    source: str = "feedback",
    *,
    origin: str | None = None,
    teacher: int | None = None,
    told_at: datetime = NOW,
) -> Batch:
    count = len(row_ids)
    with datasets.stage(project) as staging:
        staging.write_labels(
            pa.table(
                {
                    "_row_id": row_ids,
                    "label": [label] * count,
                    "source": [source] * count,
                    "origin": pa.array([origin] * count, pa.string()),
                    "teacher": pa.array([teacher] * count, pa.int32()),
                    "at": pa.array([told_at] * count, pa.timestamp("us", "UTC")),
                }
            )
        )
        return datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=NOW)


def revoke(ledger: LabelLedger, project: Project, *, at: datetime = NOW, **criteria: object) -> Batch | None:
    return ledger.revoke(project.id, Criteria(**criteria), reason="wrong", actor="ann", at=at)  # type: ignore[arg-type]


def held(datasets: Datasets, project: Project, version: int | None = None) -> dict[str, str]:
    latest = datasets.latest(project.id)
    assert latest is not None
    table = datasets.read(project.id, version or latest.number)
    return dict(zip(table["_row_id"].to_pylist(), table["_label"].to_pylist(), strict=True))


def test_revoked_labels_count_no_longer_and_older_versions_read_as_before(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    upload(datasets, project, "a", 6, labelled=0)
    clean = tell(datasets, project, ids("a", 2), "yes", "human", origin="human:ben")
    tell(datasets, project, ids("a", 6)[2:], "no", "human", origin="human:anna")
    before = {n: datasets.read(project.id, n, labelled=False) for n in (1, 2, 3)}
    hashes = {n: datasets.version(project.id, n).content_hash for n in (1, 2, 3)}

    batch = revoke(ledger, project, origin="human:anna")

    assert batch is not None
    assert (batch.kind, batch.rows, batch.details["revoked"]) == (BatchKind.REVOCATION, 0, 4)
    assert batch.dataset_version == 4
    assert held(datasets, project) == dict.fromkeys(ids("a", 2), "yes")
    for n, table in before.items():
        assert datasets.read(project.id, n, labelled=False).equals(table)
        assert datasets.version(project.id, n).content_hash == hashes[n]
    # the clean training set is back, bit for bit
    assert datasets.read(project.id, 4).equals(datasets.read(project.id, clean.dataset_version))
    assert datasets.facts(project.id).truths == 2
    assert all(datasets.verify(project.id, n) for n in (1, 2, 3, 4))
    assert datasets.latest(project.id).content_hash not in hashes.values()  # type: ignore[union-attr]


def test_the_index_of_truths_follows_a_revocation(
    datasets: Datasets, ledger: LabelLedger, project: Project, db: Database
) -> None:
    upload(datasets, project, "a", 3, labelled=2)
    feedback(datasets, project, ids("a", 3), "no")
    assert datasets.truths(project.id, ids("a", 3)) == dict.fromkeys(ids("a", 3), "no")
    revoke(ledger, project, source="feedback")
    # the truth that came with the upload holds again; the third row has none
    assert datasets.truths(project.id, ids("a", 3)) == dict(
        zip(ids("a", 3), ["yes", "yes", None], strict=True)
    )
    assert datasets.facts(project.id).truths == row_index.count_truths(db, project.id) == 2
    feedback(datasets, project, ids("a", 3)[2:], "no")
    assert datasets.facts(project.id).truths == 3
    assert held(datasets, project) == dict(zip(ids("a", 3), ["yes", "yes", "no"], strict=True))


def test_a_teacher_is_revoked_with_all_its_pseudo_labels_and_truth_is_untouched(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    upload(datasets, project, "a", 6, labelled=1)
    tell(datasets, project, ids("a", 6)[1:4], "no", "pseudo", teacher=3)
    tell(datasets, project, ids("a", 6)[4:], "no", "pseudo", teacher=4)
    batch = revoke(ledger, project, teacher=3)
    assert batch is not None
    assert batch.details["revoked"] == 3
    assert list(held(datasets, project)) == [ids("a", 1)[0], *ids("a", 6)[4:]]
    assert datasets.facts(project.id).truths == 1


def test_truth_takes_the_place_of_a_pseudo_label_in_the_version_it_comes_with(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    upload(datasets, project, "a", 2, labelled=0)
    tell(datasets, project, ids("a", 2), "no", "pseudo", teacher=1)
    told = feedback(datasets, project, ids("a", 1), "yes")
    tell(datasets, project, ids("a", 2), "no", "pseudo", teacher=2)  # a model's word never outranks it
    for version in (told.dataset_version, told.dataset_version + 1):
        table = datasets.read(project.id, version)
        assert table["_label"].to_pylist() == ["yes", "no"]
        assert table["_label_source"].to_pylist() == ["feedback", "pseudo"]
    revoke(ledger, project, source="feedback")
    assert set(held(datasets, project).values()) == {"no"}


def test_only_labels_from_a_time_on_are_revoked_and_later_ones_count(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    upload(datasets, project, "a", 4, labelled=0)
    for place, row in enumerate(ids("a", 3)):
        tell(datasets, project, [row], "no", origin="feedback:crm", told_at=after(place))
    revoke(ledger, project, origin="feedback:crm", since=after(1))
    assert list(held(datasets, project)) == ids("a", 1)
    tell(datasets, project, ids("a", 3)[1:], "yes", origin="feedback:crm", told_at=after(2))
    assert list(held(datasets, project).values()) == ["no", "yes", "yes"]


def test_nothing_to_revoke_writes_nothing(datasets: Datasets, ledger: LabelLedger, project: Project) -> None:
    upload(datasets, project, "a", 2)
    assert revoke(ledger, project, origin="nobody") is None
    assert datasets.facts(project.id).version == 1
    first = revoke(ledger, project, source="given")
    assert first is not None
    assert revoke(ledger, project, source="given") is None  # they are gone already
    assert [each.revoked for each in ledger.revocations(project.id)] == [2]
    with pytest.raises(ValueError, match="name a source"):
        Criteria()


def test_a_repeated_call_with_its_key_gives_the_first_answer(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    upload(datasets, project, "a", 2)
    call = {"reason": "wrong", "actor": "ann", "idempotency_key": "k", "request_digest": "d", "at": NOW}
    first = ledger.revoke(project.id, Criteria(source="given"), **call)  # type: ignore[arg-type]
    feedback(datasets, project, ids("a", 1), "no", source="given")
    assert ledger.revoke(project.id, Criteria(source="given"), **call) == first  # type: ignore[arg-type]
    assert list(held(datasets, project)) == ids("a", 1)
    with pytest.raises(Conflict):
        ledger.revoke(project.id, Criteria(source="human"), **{**call, "request_digest": "e"})  # type: ignore[arg-type]


def test_entries_are_told_apart_into_those_that_count_and_those_revoked(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    upload(datasets, project, "a", 2)
    tell(datasets, project, ids("a", 2), "no", origin="feedback:crm")
    revoke(ledger, project, origin="feedback:crm")
    assert ledger.entries(project.id)["source"].to_pylist() == ["given"] * 2
    assert ledger.entries(project.id, revoked=True)["origin"].to_pylist() == ["feedback:crm"] * 2
    assert ledger.entries(project.id, version=2).num_rows == 4


def test_predictions_are_no_longer_scored_by_revoked_truth(
    datasets: Datasets, ledger: LabelLedger, project: Project
) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(rows("a", 2))
        staging.write_predictions(predictions(ids("a", 2)))
        datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)
    tell(datasets, project, ids("a", 2), "no", origin="feedback:crm")
    assert datasets.scored(project.id).num_rows == 2
    revoke(ledger, project, origin="feedback:crm")
    assert datasets.scored(project.id).num_rows == 0
    assert datasets.scored(project.id, labelled=False)["label"].to_pylist() == [None, None]


def test_a_revoked_annotators_answers_leave_the_queue(
    datasets: Datasets, ledger: LabelLedger, project: Project, db: Database
) -> None:
    upload(datasets, project, "a", 2, labelled=0)
    desk = Labeling(db)
    for name in ("anna", "ben"):
        desk.answer(project.id, name, [(ids("a", 1)[0], "no")], at=NOW)
    tell(datasets, project, ids("a", 2), "no", "human", origin="human:anna")
    revoke(ledger, project, origin="human:anna")
    assert [each.annotator for each in desk.answers(project.id)] == ["ben"]


def test_tables_of_before_origins_were_kept_read_as_before(
    datasets: Datasets, ledger: LabelLedger, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = pa.schema([field for field in table_schemas.LABELS if field.name != "origin"])
    with monkeypatch.context() as patch, datasets.stage(project) as staging:
        patch.setitem(table_schemas.SCHEMAS, "labels", old)
        staging.write_rows(rows("a", 3))
        staging._write("labels", conform(labels(ids("a", 3)), old))  # as it was staged then
        staging.labels = staging.truths = staging.rows = 3
        datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert "origin" not in datasets.tables_of(project.id).table("labels").schema().to_arrow().names
    first = datasets.read(project.id, 1)
    assert first["_label_origin"].null_count == 3
    upload(datasets, project, "b", 1, labelled=0)
    tell(datasets, project, ids("b", 1), "no", origin="feedback:crm")
    assert datasets.read(project.id, 1).equals(first)
    assert all(datasets.verify(project.id, n) for n in (1, 2, 3))
    revoke(ledger, project, origin="feedback:crm")
    assert datasets.read(project.id, 4).equals(first)


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("upload"), st.integers(1, 3), st.integers(0, 3)),
        st.tuples(
            st.just("tell"),
            st.sampled_from(["feedback", "human", "pseudo"]),
            st.sampled_from([None, "human:anna", "feedback:crm"]),
            st.integers(0, 3),
        ),
        st.tuples(
            st.just("revoke"), st.sampled_from(["given", "feedback", "human", "pseudo"]), st.integers(0, 3)
        ),
        st.tuples(
            st.just("revoke origin"), st.sampled_from(["human:anna", "feedback:crm"]), st.integers(0, 3)
        ),
    ),
    min_size=2,
    max_size=7,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_whatever_happens_older_versions_never_change_and_the_index_is_right(
    acts: list[tuple[object, ...]], db: Database, datasets: Datasets, ledger: LabelLedger
) -> None:
    _names.append("p")
    project = Projects(db).create(f"p{len(_names)}", task={}, policy={}, at=NOW)
    upload(datasets, project, "first", 3, labelled=2)
    known = ids("first", 3)
    seen: dict[int, tuple[str, pa.Table]] = {}
    for step, act in enumerate(acts):
        if act[0] == "upload":
            name = f"u{step}"
            upload(datasets, project, name, int(act[1]), labelled=int(act[2]))  # type: ignore[call-overload]
            known += ids(name, int(act[1]))  # type: ignore[call-overload]
        elif act[0] == "tell":
            some = known[int(act[3]) :: 2][:2] or known[:1]  # type: ignore[call-overload]
            source, origin = str(act[1]), act[2]
            tell(datasets, project, some, f"l{step}", source, origin=origin, told_at=after(step))  # type: ignore[arg-type]
        elif act[0] == "revoke":
            revoke(ledger, project, source=act[1], since=after(int(act[2])) if act[2] else None)  # type: ignore[call-overload]
        else:
            revoke(ledger, project, origin=act[1], since=after(int(act[2])) if act[2] else None)  # type: ignore[call-overload]
        for number, (content, table) in seen.items():
            assert datasets.version(project.id, number).content_hash == content
            assert datasets.read(project.id, number, labelled=False).equals(table)
        newest = datasets.latest(project.id)
        assert newest is not None
        now = datasets.read(project.id, newest.number, labelled=False)
        seen.setdefault(newest.number, (newest.content_hash, now))
        truths = {
            row: label if source != "pseudo" else None
            for row, label, source in zip(
                now["_row_id"].to_pylist(),
                now["_label"].to_pylist(),
                now["_label_source"].to_pylist(),
                strict=True,
            )
        }
        assert datasets.truths(project.id, known) == truths
        assert datasets.facts(project.id).truths == sum(truth is not None for truth in truths.values())
    assert datasets.verify(project.id, max(seen))


_names: list[str] = []
