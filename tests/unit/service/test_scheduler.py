from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry

from registry.errors import Conflict
from registry.records import Project, RunStatus
from registry.store import Registry
from service.approving import Approving
from service.metrics import Metrics
from service.scheduler import Scheduler
from service.settings import Settings


class Idle:
    """Stands where the workshop and the drift watch do: takes on nothing."""

    def take_on(self) -> None: ...
    def look_at(self, project: Project, policy: object) -> None: ...
    def stop(self) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def scheduler(registry: Registry, clock: Clock) -> Scheduler:
    return Scheduler(
        registry,
        Settings(home=registry.home),
        clock=clock,
        metrics=Metrics(),
        workshop=cast(Any, Idle()),
        drift_watch=cast(Any, Idle()),
        quality_watch=cast(Any, Idle()),
        probation_watch=cast(Any, Idle()),
        estimate_watch=cast(Any, Idle()),
        forecast_watch=cast(Any, Idle()),
        outlier_watch=cast(Any, Idle()),
        attribution_watch=cast(Any, Idle()),
        fairness_watch=cast(Any, Idle()),
        approving=Approving(registry, clock=clock, metrics=Metrics(), on_change=lambda: None),
        maintain=lambda: None,
    )


def finish(registry: Registry, clock: Clock, **ending: Any) -> None:
    run = registry.runs.claim("here", lease_seconds=30, at=clock.now)
    assert run is not None
    registry.runs.conclude(
        run.id, run.fence, **{"status": RunStatus.COMPLETED, "verdict": {}, **ending}, at=clock.now
    )


def reigning(registry: Registry, policy: dict[str, Any]) -> Project:
    """A project with a champion whose first run is over."""
    project = make_project(registry, policy=policy)
    make_model(registry, project)
    make_champion(registry, project, 1)
    return registry.projects.get("fruit")


NIGHTLY = {"triggers": {"schedule": "0 3 * * *", "new_labels": None, "drift": None}, "min_fresh_labels": 10}


def test_two_schedulers_start_one_run_between_them(registry: Registry) -> None:
    make_project(registry)
    clock = Clock()
    one, other = scheduler(registry, clock), scheduler(registry, clock)
    one.tick()
    other.tick()
    project = registry.projects.get("fruit")
    assert [run.number for run in registry.runs.list(project.id)] == [1]
    started = [entry for entry in registry.ledger.decisions(project.id) if entry.outcome == "triggered"]
    assert [entry.trigger for entry in started] == ["first_champion"]


def test_a_nightly_run_starts_once_a_night_even_after_a_long_sleep(registry: Registry) -> None:
    project = reigning(registry, NIGHTLY)
    clock = Clock()
    scheduler(registry, clock).tick()
    clock.now += timedelta(days=3)
    one, other = scheduler(registry, clock), scheduler(registry, clock)
    one.tick()
    other.tick()
    finish(registry, clock)
    one.tick()
    assert [run.trigger["kind"] for run in registry.runs.list(project.id)] == ["schedule"]
    assert registry.due.get(project.id, "schedule") == datetime(2026, 1, 9, 3, tzinfo=NOW.tzinfo)


def test_the_same_refusal_is_kept_once(registry: Registry) -> None:
    project = reigning(
        registry, {"triggers": {"schedule": None, "new_labels": {"count": 500}, "drift": None}}
    )
    clock = Clock()
    ticks = scheduler(registry, clock)
    for _ in range(5):
        ticks.tick()
    scheduler(registry, clock).tick()
    decisions = registry.ledger.decisions(project.id)
    assert [entry.outcome for entry in decisions] == ["refused"]
    assert "of the 500" in decisions[0].reason


def test_a_lost_run_is_started_again_once_and_no_more(registry: Registry) -> None:
    project = make_project(registry)
    clock = Clock()
    ticks = scheduler(registry, clock)
    ticks.tick()
    for _ in range(4):
        registry.runs.claim("doomed", lease_seconds=30, at=clock.now)
        clock.now += timedelta(seconds=31)
        ticks.tick()
    runs = registry.runs.list(project.id)
    assert [(run.attempt, run.status.value) for run in runs] == [(2, "failed"), (1, "failed")]
    assert all((run.error or "").startswith("interrupted") for run in runs)


def test_a_manual_run_is_a_decision_too_and_a_second_one_conflicts(registry: Registry) -> None:
    project = make_project(registry)
    ticks = scheduler(registry, Clock())
    run = ticks.request_run(project, reason="because", budget_seconds=7, engines={"tpot": 1.0})
    assert (run.plan["budget_seconds"], run.plan["engines"]) == (7, {"tpot": 1.0})
    last = registry.ledger.last_decision(project.id)
    assert last is not None
    assert (last.trigger, last.reason, last.run) == ("manual", "because", 1)
    with pytest.raises(Conflict):
        ticks.request_run(project, reason="again", budget_seconds=None, engines=None)


def test_a_changed_schedule_moves_the_due_time_forward(registry: Registry) -> None:
    project = reigning(registry, NIGHTLY)
    clock = Clock()
    ticks = scheduler(registry, clock)
    ticks.tick()
    policy = {**project.policy, "triggers": {**project.policy["triggers"], "schedule": "*/10 * * * *"}}
    registry.projects.update("fruit", policy=policy)
    ticks.tick()
    assert registry.due.get(project.id, "schedule") == NOW + timedelta(minutes=10)
