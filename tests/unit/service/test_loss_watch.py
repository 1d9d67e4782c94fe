"""The champion's losses, followed over real tables: each truth once, over restarts, with evidence of a change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.adwin import Change
from automl.schema import Schema, check
from automl.task import Task
from registry.records import BatchKind, Project
from registry.store import Registry
from service.facts import gather
from service.loss_watch import LossWatch
from service.metrics import Metrics
from service.policy import LossRule, Policy
from service.quality_watch import QualityWatch

TIME = pa.timestamp("us", tz="UTC")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def project(registry: Registry) -> Project:
    made = make_project(registry)
    make_champion(registry, made, make_model(registry, made).version)
    return registry.projects.get("fruit")


def serve(
    registry: Registry, project: Project, name: str, count: int, *, wrong: float, version: int = 1
) -> None:
    """Rows answered by the champion at 90% for "yes", and their truth: another in a share ``wrong`` of them."""
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    random = np.random.default_rng(len(name) + count)
    ids = pa.array([f"{name}-{number}" for number in range(count)])
    rows = check(raw_rows(count), schema, task).table.append_column("_row_id", ids)
    at = pa.repeat(pa.scalar(NOW + timedelta(hours=1), TIME), count)
    predicted = {
        "_row_id": ids,
        "model_version": pa.repeat(pa.scalar(version, pa.int32()), count),
        "value": pa.repeat("yes", count),
        "score": pa.repeat(0.9, count),
        "probabilities": pa.array([[0.1, 0.9]] * count, pa.list_(pa.float64())),
        "at": at,
    }
    labels = {
        "_row_id": ids,
        "label": pa.array(["no" if lot < wrong else "yes" for lot in random.random(count)]),
        "source": pa.repeat("feedback", count),
        "at": at,
    }
    with registry.datasets.stage(project) as staging:
        staging.write_rows(rows)
        staging.write_predictions(pa.table(predicted))
        registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)
    with registry.datasets.stage(project) as staging:
        staging.write_labels(pa.table(labels))
        registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=NOW)


def take_in(registry: Registry, *, told: list[int] | None = None) -> Change | None:
    reports = [] if told is None else told
    watch = LossWatch(registry, clock=lambda: NOW + timedelta(hours=2), on_report=lambda: reports.append(1))
    return watch.take_in(registry.projects.get("fruit"), LossRule())


def test_label_flip_is_evidence_for_the_triggers_and_an_event(registry: Registry, project: Project) -> None:
    told: list[int] = []
    serve(registry, project, "calm", 800, wrong=0.1)
    assert take_in(registry, told=told) is None
    assert told == []
    serve(registry, project, "flipped", 200, wrong=0.9)
    change = take_in(registry, told=told)
    assert change is not None
    assert change.rose
    assert told == [1]
    fact = gather(registry, project, Policy(), NOW).loss
    assert fact is not None
    assert fact.before == pytest.approx(0.09, abs=0.03)
    assert fact.after > 2 * fact.before
    (event,) = [one for one in registry.ledger.events() if one.type == "incumbent.loss.rose"]
    assert event.data["model_version"] == 1


def test_loss_that_falls_again_takes_the_evidence_back(registry: Registry, project: Project) -> None:
    serve(registry, project, "calm", 800, wrong=0.1)
    serve(registry, project, "flipped", 300, wrong=0.9)
    assert take_in(registry) is not None
    serve(registry, project, "calm-again", 600, wrong=0.1)
    change = take_in(registry)
    assert change is not None
    assert not change.rose
    assert gather(registry, project, Policy(), NOW).loss is None


def test_each_truth_is_taken_in_once_whoever_takes_it(registry: Registry, project: Project) -> None:
    for number in range(3):
        serve(registry, project, f"part-{number}", 40, wrong=0.1)
        take_in(registry)
        take_in(registry)
    kept = registry.loss_monitors.get(project.id)
    assert kept is not None
    assert kept.state["adwin"]["seen"] == 120
    latest = registry.datasets.latest(project.id)
    assert latest is not None
    assert kept.upto == latest.batch


def test_new_champion_starts_anew(registry: Registry, project: Project) -> None:
    serve(registry, project, "old", 100, wrong=0.1)
    take_in(registry)
    make_champion(registry, project, make_model(registry, project, C=0.5).version)
    serve(registry, project, "new", 30, wrong=0.1, version=2)
    take_in(registry)
    kept = registry.loss_monitors.get(project.id)
    assert kept is not None
    assert (kept.model_version, kept.state["adwin"]["seen"]) == (2, 30)


def test_state_of_another_method_is_left_behind_without_the_truths_coming_again(
    registry: Registry, project: Project
) -> None:
    serve(registry, project, "first", 50, wrong=0.1)
    take_in(registry)
    kept = registry.loss_monitors.get(project.id)
    assert kept is not None
    old = {**kept.state, "adwin": {**kept.state["adwin"], "method": "another"}}
    assert registry.loss_monitors.advance(
        project.id, expected=kept, model_version=1, upto=kept.upto, state=old, at=NOW
    )
    serve(registry, project, "second", 20, wrong=0.1)
    take_in(registry)
    now = registry.loss_monitors.get(project.id)
    assert now is not None
    assert now.state["adwin"]["seen"] == 20


def test_the_quality_watch_feeds_it_and_not_more_often_than_it_should(
    registry: Registry, project: Project
) -> None:
    now = NOW + timedelta(hours=2)

    def clock() -> datetime:
        return now

    watch = QualityWatch(registry, clock=clock, metrics=Metrics(), on_report=lambda: None)
    serve(registry, project, "first", 50, wrong=0.1)
    watch.look_at(project, Policy())
    watch.stop()
    serve(registry, project, "second", 50, wrong=0.1)
    watch.look_at(project, Policy())  # too soon
    watch.stop()
    kept = registry.loss_monitors.get(project.id)
    assert kept is not None
    assert kept.state["adwin"]["seen"] == 50
    now += timedelta(seconds=20)
    watch.look_at(project, Policy())
    watch.stop()
    kept = registry.loss_monitors.get(project.id)
    assert kept is not None
    assert kept.state["adwin"]["seen"] == 100


def test_policy_without_it_follows_nothing(registry: Registry, project: Project) -> None:
    watch = QualityWatch(registry, clock=lambda: NOW, metrics=Metrics(), on_report=lambda: None)
    serve(registry, project, "first", 50, wrong=0.1)
    watch.look_at(project, Policy.model_validate({"triggers": {"decay": {"loss": None}}}))
    watch.stop()
    assert registry.loss_monitors.get(project.id) is None
