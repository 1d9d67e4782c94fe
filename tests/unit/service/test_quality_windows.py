"""Live quality by windows, kept over real tables: each truth once, and only where there is enough of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry
from test_loss_watch import serve

from registry.records import NewModel, Project
from registry.store import Registry
from service.quality_windows import WINDOW, keep_windows

LATER = NOW + timedelta(hours=2)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def project(registry: Registry) -> Project:
    made = make_project(registry)
    model = make_model(registry, made)
    judged = NewModel(
        blob=model.blob,
        engine=model.engine,
        estimator=model.estimator,
        config={},
        dataset_version=1,
        details={**model.details, "score": 0.9},
        attachments=model.attachments,
    )
    version = registry.models.register(made.id, judged, at=NOW).version
    make_champion(registry, made, version)
    return registry.projects.get("fruit")


def answer(registry: Registry, project: Project, name: str, count: int) -> None:
    serve(registry, project, name, count, wrong=0.1, version=project.champion or 0)


def rows_of(registry: Registry, project: Project) -> list[int]:
    return [int(one.report["rows"]) for one in reversed(registry.quality.list(project.id, WINDOW))]


def test_windows_hold_at_most_a_thousand_answers_and_together_every_truth_once(
    registry: Registry, project: Project
) -> None:
    answer(registry, project, "first", 2300)
    assert keep_windows(registry, project, LATER) == 3
    assert sum(rows_of(registry, project)) == 2300
    assert max(rows_of(registry, project)) <= 1000
    assert keep_windows(registry, project, LATER) == 0
    answer(registry, project, "second", 1000)
    assert keep_windows(registry, project, LATER) == 1
    assert sum(rows_of(registry, project)) == 3300
    last = registry.quality.latest(project.id, WINDOW)
    assert last is not None
    assert (last.reference, last.report["metric"]) == (0.9, project.task["metric"])
    assert 0 <= last.report["error"] < 0.2


def test_a_window_waits_to_fill_and_after_an_hour_takes_what_is_there(
    registry: Registry, project: Project
) -> None:
    answer(registry, project, "first", 1000)
    keep_windows(registry, project, LATER)
    answer(registry, project, "few", 80)
    assert keep_windows(registry, project, LATER + timedelta(minutes=5)) == 0
    assert keep_windows(registry, project, LATER + timedelta(minutes=61)) == 1
    assert rows_of(registry, project) == [1000, 80]


def test_too_little_truth_and_no_champion_keep_nothing(registry: Registry, project: Project) -> None:
    assert keep_windows(registry, project, LATER) == 0
    answer(registry, project, "few", 20)
    assert keep_windows(registry, project, LATER) == 0
