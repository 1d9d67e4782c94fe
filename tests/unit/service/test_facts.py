"""What the triggers read, from a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry

from registry.records import Project
from registry.store import Registry
from service.facts import gather
from service.policy import Policy


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def a_run(registry: Registry, project: Project, minutes: int, *fired: str) -> None:
    at = NOW + timedelta(minutes=minutes)
    trigger = {"kind": fired[0], "fired": list(fired)}
    plan = {"truths": 10, "budget_seconds": 1}
    run = registry.runs.enqueue(
        project.id, trigger=trigger, reason="a test", plan=plan, dataset_version=1, seed=1, at=at
    )
    registry.runs.request_cancel(run.id, at=at)


def test_decay_is_answered_once_a_run_was_started_by_it_in_this_champions_reign(registry: Registry) -> None:
    project = make_project(registry)
    a_run(registry, project, -5, "decay")
    make_champion(registry, project, make_model(registry, project).version)
    project = registry.projects.get(project.name)

    def answered() -> bool:
        return gather(registry, project, Policy(), NOW + timedelta(hours=1)).decay_answered

    assert not answered()
    a_run(registry, project, 5, "schedule")
    assert not answered()
    a_run(registry, project, 10, "schedule", "decay")
    assert answered()
