"""Live quality before truth comes: reports on the newest answers, and what a label flip does to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from small_house import NOW, make_champion, make_model, make_project, open_registry

from automl.estimation import ClassificationEstimator
from automl.features import preprocessor
from automl.loss_estimation import RegressionEstimator
from automl.schema import infer
from automl.scoring import encoded
from automl.task import Task, TaskKind
from registry.records import BatchKind, NewModel, Project, RunStatus
from registry.store import Registry
from service.estimate_watch import EstimateWatch
from service.facts import gather
from service.metrics import Metrics
from service.performance import side_by_side
from service.policy import Policy
from service.quality_watch import QualityWatch
from service.triggers import Refusal, Trigger, due

POLICY: dict[str, Any] = {
    "triggers": {
        "schedule": None,
        "new_labels": None,
        "drift": None,
        "decay": {"min_rows": 100, "window": 400, "action": "retrain"},
        "estimated_decay": {"min_rows": 100, "window": 400, "action": "retrain"},
        "prediction_drift": {"min_rows": 100, "window": 400, "action": "annotate"},
    },
    "min_fresh_labels": 1,
    "cooldown": "PT0S",
}


class Clock:
    def __init__(self) -> None:
        self.now = NOW + timedelta(minutes=1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def sure_answers(rows: int, *, hard: float, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Honest probabilities of "yes", and labels drawn by them; ``hard`` is the share of rows that are a coin."""
    random = np.random.default_rng(seed)
    sure = np.where(random.random(rows) < 0.5, 0.02, 0.98)
    p = np.where(random.random(rows) < hard, random.uniform(0.3, 0.7, rows), sure)
    return p, (random.random(rows) < p).astype(np.int64)


def champion(registry: Registry, *, policy: dict[str, Any] = POLICY) -> Project:
    """A champion that was judged on 1,000 rows, and what the judge stage leaves of that."""
    project = make_project(registry, policy=policy)
    model = make_model(registry, project)
    p, y = sure_answers(1000, hard=0.1, seed=0)
    both = np.column_stack([1 - p, p])
    metric = str(project.task["metric"])
    expectation = {
        "predictions": both.tolist(),
        "estimator": ClassificationEstimator.fit(y, both, seed=0, metrics=(metric,)).to_json(),
        "lacking": None,
    }
    put = registry.blobs.put
    run = registry.runs.enqueue(
        project.id,
        trigger={"kind": "manual"},
        reason="a test",
        plan={"truths": 100},
        dataset_version=1,
        seed=1,
        at=NOW - timedelta(hours=1),
    )
    claimed = registry.runs.claim("test", lease_seconds=60, at=NOW - timedelta(hours=1))
    assert claimed is not None
    judged = NewModel(
        blob=model.blob,
        engine="flaml",
        estimator="lrl1",
        config={},
        dataset_version=1,
        details={**model.details, "score": 0.97, "holdout_rows": 1000, "metric": metric},
        attachments={
            **model.attachments,
            "expectation": put(json.dumps(expectation).encode(), at=NOW),
        },
    )
    registry.runs.conclude(
        run.id,
        claimed.fence,
        status=RunStatus.COMPLETED,
        verdict={"outcome": "promoted", "baseline_score": 0.5},
        model=judged,
        at=NOW - timedelta(minutes=30),
    )
    make_champion(registry, project, 2)
    return registry.projects.get(project.name)


def answered(registry: Registry, project: Project, p: Any, y: Any | None, *, version: int = 2) -> None:
    """Rows that the champion answered with these probabilities, and their truth where it has come."""
    ids = [f"{version}-{len(p)}-{k}" for k in range(len(p))]
    at = pa.repeat(pa.scalar(NOW + timedelta(seconds=5), pa.timestamp("us", tz="UTC")), len(p))
    with registry.datasets.stage(project) as staging:
        rows = {"size": np.zeros(len(p)), "colour": ["red"] * len(p), "_row_id": ids}
        staging.write_rows(pa.table({**rows, "_source": pa.repeat("prediction", len(p))}))
        staging.write_predictions(
            pa.table(
                {
                    "_row_id": pa.array(ids),
                    "model_version": pa.array([version] * len(p), pa.int32()),
                    "value": pa.array(np.where(p > 0.5, "yes", "no")),
                    "score": pa.array(p),
                    "probabilities": pa.array([[1 - one, one] for one in p.tolist()]),
                    "at": at,
                }
            )
        )
        if y is not None:
            staging.write_labels(
                pa.table(
                    {
                        "_row_id": pa.array(ids),
                        "label": pa.array(np.where(y == 1, "yes", "no")),
                        "source": pa.repeat("feedback", len(p)),
                        "at": at,
                    }
                )
            )
        registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)


def watch(registry: Registry, clock: Clock, metrics: Metrics | None = None) -> EstimateWatch:
    return EstimateWatch(
        registry,
        clock=clock,
        metrics=metrics or Metrics(),
        served=lambda name: None,
        on_report=lambda: None,
    )


def decision(registry: Registry, project: Project, clock: Clock) -> Trigger | Refusal:
    policy = Policy.model_validate(project.policy)
    return due(policy, gather(registry, project, policy, clock.now), clock.now)


def test_answers_that_are_less_sure_lower_the_estimate_and_start_a_run_before_any_truth(
    registry: Registry,
) -> None:
    project, clock, metrics = champion(registry), Clock(), Metrics()
    answered(registry, project, sure_answers(400, hard=0.8, seed=1)[0], None)
    watch(registry, clock, metrics).report(project, Policy.model_validate(project.policy))
    seen = side_by_side(registry, project)
    assert seen["realised"] is None
    assert seen["estimated"]["decayed"]
    assert seen["estimated"]["score"] < seen["estimated"]["reference"] - 0.05
    assert seen["prediction_drift"]["moved"]
    assert b'incumbent_estimated_metric{model="2",project="fruit"}' in metrics.text()
    answer = decision(registry, project, clock)
    assert isinstance(answer, Trigger)
    assert answer.kind == "estimated_decay"
    assert "without their truth" in answer.reason


def test_answers_as_sure_as_ever_leave_everything_quiet(registry: Registry) -> None:
    project, clock = champion(registry), Clock()
    answered(registry, project, sure_answers(400, hard=0.1, seed=1)[0], None)
    watch(registry, clock).report(project, Policy.model_validate(project.policy))
    assert not side_by_side(registry, project)["prediction_drift"]["moved"]
    assert isinstance(decision(registry, project, clock), Refusal)


def test_a_label_flip_with_unchanged_features_fires_decay_while_the_estimate_stays_silent(
    registry: Registry,
) -> None:
    project, clock, metrics = champion(registry), Clock(), Metrics()
    p, y = sure_answers(400, hard=0.1, seed=1)
    answered(registry, project, p, 1 - y)
    policy = Policy.model_validate(project.policy)
    watch(registry, clock).report(project, policy)
    assert policy.triggers.decay is not None
    realised = QualityWatch(registry, clock=clock, metrics=metrics, on_report=lambda: None)
    realised._report(project, policy.triggers.decay)
    seen = side_by_side(registry, project)
    assert seen["realised"]["score"] < 0.2
    assert seen["estimated"]["score"] > 0.9
    assert not seen["estimated"]["decayed"]
    assert b'incumbent_realized_metric{model="2",project="fruit"}' in metrics.text()
    answer = decision(registry, project, clock)
    assert isinstance(answer, Trigger)
    assert answer.fired == ("decay",)


def test_only_the_champions_own_answers_count_and_too_few_say_nothing(registry: Registry) -> None:
    project, clock = champion(registry), Clock()
    answered(registry, project, sure_answers(400, hard=0.9, seed=1)[0], None, version=1)
    answered(registry, project, sure_answers(99, hard=0.9, seed=2)[0], None)
    watch(registry, clock).report(project, Policy.model_validate(project.policy))
    seen = side_by_side(registry, project)
    assert (seen["estimated"], seen["prediction_drift"]) == (None, None)


def test_a_model_that_brought_nothing_to_compare_with_is_left_alone(registry: Registry) -> None:
    project, clock = champion(registry), Clock()
    make_champion(registry, project, 1)
    project = registry.projects.get(project.name)
    answered(registry, project, sure_answers(400, hard=0.9, seed=1)[0], None, version=1)
    watch(registry, clock).report(project, Policy.model_validate(project.policy))
    assert side_by_side(registry, project)["estimated"] is None


def test_it_looks_again_after_half_a_window_and_no_sooner_than_the_pause(registry: Registry) -> None:
    project, clock = champion(registry), Clock()
    policy = Policy.model_validate(project.policy)
    looking = watch(registry, clock)

    def looks() -> int:
        looking.look_at(project, policy)
        looking.stop()
        return len(registry.quality.list(project.id, "estimated"))

    assert looks() == 0
    answered(registry, project, sure_answers(150, hard=0.1, seed=1)[0], None)
    assert looks() == 0  # half a window is 200
    answered(registry, project, sure_answers(151, hard=0.1, seed=2)[0], None)
    assert looks() == 1
    answered(registry, project, sure_answers(202, hard=0.1, seed=3)[0], None)
    assert looks() == 1  # the pause is a minute
    clock.now += timedelta(minutes=2)
    assert looks() == 2
    assert looks() == 2
    # another process begins where the last report ended
    again = watch(registry, clock)
    again.look_at(project, policy)
    again.stop()
    assert len(registry.quality.list(project.id, "estimated")) == 2


def test_an_estimate_that_a_run_has_answered_is_no_reason_any_more(registry: Registry) -> None:
    project, clock = champion(registry), Clock()
    answered(registry, project, sure_answers(400, hard=0.8, seed=1)[0], None)
    policy = Policy.model_validate(project.policy)
    watch(registry, clock).report(project, policy)
    facts = gather(registry, project, policy, clock.now)
    assert facts.estimate is not None
    registry.runs.enqueue(
        project.id,
        trigger={"kind": "manual"},
        reason="a test",
        plan={"truths": 120},
        dataset_version=1,
        seed=1,
        at=clock.now + timedelta(minutes=1),
    )
    run = registry.runs.claim("test", lease_seconds=60, at=clock.now + timedelta(minutes=1))
    assert run is not None
    registry.runs.conclude(
        run.id, run.fence, status=RunStatus.FAILED, error="no", at=clock.now + timedelta(minutes=2)
    )
    assert gather(registry, project, policy, clock.now).estimate is None


def test_a_regression_is_estimated_from_the_losses_it_was_seen_to_make(registry: Registry) -> None:
    project, served, losses_at = regression(registry)
    clock = Clock()
    policy = Policy.model_validate(project.policy)

    def estimated(x: Any) -> Any:
        ids = [f"{len(x)}-{k}" for k in range(len(x))]
        at = pa.repeat(pa.scalar(NOW + timedelta(seconds=5), pa.timestamp("us", tz="UTC")), len(x))
        with registry.datasets.stage(project) as staging:
            source = pa.repeat("prediction", len(x))
            staging.write_rows(pa.table({"x": x, "_row_id": ids, "_source": source}))
            table = {"_row_id": ids, "value": [str(one) for one in x], "score": served.predict(x), "at": at}
            version = pa.array([1] * len(x), pa.int32())
            staging.write_predictions(pa.table({**table, "model_version": version}))
            registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)
        looking = EstimateWatch(
            registry,
            clock=clock,
            metrics=Metrics(),
            served=lambda name: served,
            on_report=lambda: None,
        )
        looking.report(project, policy)
        return side_by_side(registry, project)["estimated"]

    usual = estimated(np.random.default_rng(1).uniform(0, 2, 300).round(4))
    assert not usual["decayed"]
    hard = estimated(np.random.default_rng(2).uniform(1.5, 2, 400).round(4))
    assert hard["decayed"]
    assert hard["score"] == pytest.approx(losses_at(1.75), rel=0.5)


class Served:
    """The deployment as the watch knows it."""

    version = 1

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def features(self, table: pa.Table) -> Any:
        return encoded(self.pipeline, table.select(["x"]).to_pandas())

    def predict(self, x: Any) -> Any:
        return self.pipeline.predict(pd.DataFrame({"x": x}))


def regression(registry: Registry) -> tuple[Project, Any, Any]:
    """A champion whose errors grow with the square of ``x``: large where ``x`` is."""
    random = np.random.default_rng(0)
    x = random.uniform(0, 2, 2000).round(4)
    y = 3 * x + 2 * x**2 * random.normal(size=2000)
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="auto")
    schema, task = infer(pa.table({"x": x, "y": y}), task)
    policy = Policy.model_validate(POLICY)
    registry.projects.create("price", task=task.to_json(), policy=policy.model_dump(mode="json"), at=NOW)
    project = registry.projects.update("price", task=task.to_json(), schema=schema.to_json())
    rows = pd.DataFrame({"x": x})
    steps = preprocessor(schema, task, seed=0).steps
    pipeline = Pipeline([*steps, ("model", LinearRegression())]).fit(rows[:1000], y[:1000])
    given = pipeline.predict(rows[1000:])
    estimator = RegressionEstimator.fit(encoded(pipeline, rows[1000:]), y[1000:], given, seed=0)
    expectation = {"predictions": given.tolist(), "estimator": estimator.to_json(), "lacking": None}
    blob = registry.blobs.put(b"not read here", at=NOW)
    expected = registry.blobs.put(json.dumps(expectation).encode(), at=NOW)
    details = {"task": task.to_json(), "score": 1.0, "holdout_rows": 1000}
    model = NewModel(
        blob=blob,
        engine="flaml",
        estimator="enet",
        config={},
        dataset_version=1,
        details=details,
        attachments={"expectation": expected},
    )
    registry.models.register(project.id, model, at=NOW)
    make_champion(registry, project, 1)
    return registry.projects.get("price"), Served(pipeline), lambda at: 2 * at**2
