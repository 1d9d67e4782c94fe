"""How far losses were followed: one state a project, moved by compare-and-set, with its evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_builders import datasets_in, feedback, ids, predictions, upload
from registry_builders import NOW, after, at_once

from registry.database import Database
from registry.datasets import Datasets
from registry.loss_monitors import LOSS_CHANGE, LossMonitors
from registry.projects import Projects
from registry.quality import QualityReports
from registry.records import BatchKind, Project


@pytest.fixture
def monitors(db: Database) -> LossMonitors:
    return LossMonitors(db)


def test_state_is_kept_as_it_was_handed_over(monitors: LossMonitors, project: Project) -> None:
    assert monitors.get(project.id) is None
    state = {"levels": [[[0.25, 0.0]]], "seen": 1}
    assert monitors.advance(project.id, expected=None, model_version=1, upto=4, state=state, at=NOW)
    kept = monitors.get(project.id)
    assert kept is not None
    assert (kept.model_version, kept.upto, kept.state, kept.at) == (1, 4, state, NOW)


def test_of_many_who_saw_the_same_truths_one_keeps_what_it_made(db: Database, project: Project) -> None:
    monitors, reports = LossMonitors(db), QualityReports(db)
    assert monitors.advance(project.id, expected=None, model_version=1, upto=1, state={}, at=NOW)
    seen = monitors.get(project.id)

    def keep(number: int) -> bool:
        return LossMonitors(db).advance(
            project.id,
            expected=seen,
            model_version=1,
            upto=2,
            state={"by": number},
            change=(0.1, 0.3, {"rows": 100}),
            at=after(1),
        )

    assert sorted(map(bool, at_once(keep))) == [False] * 7 + [True]
    (report,) = reports.list(project.id, LOSS_CHANGE)
    assert (report.reference, report.score, report.report, report.at) == (0.1, 0.3, {"rows": 100}, after(1))


def test_of_many_who_begin_one_does(db: Database, project: Project) -> None:
    def begin(number: int) -> bool:
        return LossMonitors(db).advance(
            project.id, expected=None, model_version=1, upto=number, state={}, at=NOW
        )

    assert sorted(map(bool, at_once(begin))) == [False] * 7 + [True]


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


def predict(datasets: Datasets, project: Project, row_ids: list[str], model: int, seconds: float) -> None:
    with datasets.stage(project) as staging:
        staging.write_predictions(predictions(row_ids, model=model, at=after(seconds)))
        datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=after(seconds))


def test_answers_come_once_with_the_batch_that_brought_their_truth(db: Database, datasets: Datasets) -> None:
    project = Projects(db).create("p", task={}, policy={}, at=NOW)
    upload(datasets, project, "a", 6, labelled=0)
    predict(datasets, project, ids("a", 6)[::-1], 1, 1)
    predict(datasets, project, ids("a", 6)[:1], 2, 2)
    first = feedback(datasets, project, ids("a", 3), "yes").number
    pseudo = feedback(datasets, project, ids("a", 6)[5:], "no", source="pseudo").number
    second = feedback(datasets, project, ids("a", 6)[3:5], "no").number

    def found(after: int, upto: int, model: int = 1) -> list[tuple[str, str]]:
        table = datasets.answered(project.id, after=after, upto=upto, model_version=model)
        return list(zip(table["_row_id"].to_pylist(), table["label"].to_pylist(), strict=True))

    a = ids("a", 6)
    assert found(0, second) == [(a[0], "yes"), (a[1], "yes"), (a[2], "yes"), (a[3], "no"), (a[4], "no")]
    assert found(first, second) == [(a[3], "no"), (a[4], "no")]
    assert found(first, pseudo) == []
    assert found(0, first, model=2) == [(a[0], "yes")]
    assert found(second, second) == []
