"""Looks at the champion's newest answers before their truth comes: how good they are likely to be, and whether they
are other answers than those it was judged by. The twin of :mod:`service.quality_watch`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.estimation import ClassificationEstimator, Estimate
from automl.loss_estimation import RegressionEstimator
from automl.prediction_drift import prediction_drift
from automl.task import Task
from registry.records import Project
from registry.store import Registry
from service.beside import Beside
from service.clock import Clock
from service.deployment import Deployment
from service.metrics import Metrics
from service.performance import answers, unit_of_drop
from service.policy import EstimatedDecay, Policy, PredictionDrift

ESTIMATED, MOVED = "estimated", "prediction_drift"


class EstimateWatch:
    """Reports of the kinds ``estimated`` and ``prediction_drift`` for the champion, since its promotion.

    A report is evidence: :func:`service.triggers.due` decides what it means. Works in a thread of its own, on at
    most the policy's windows. ``served`` gives the model that this process serves.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Clock,
        metrics: Metrics,
        served: Callable[[str], Deployment | None],
        on_report: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._served = served
        self._on_report = on_report
        self._beside = Beside()
        self._looked: dict[tuple[int, int], tuple[int, datetime]] = {}

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a look when half a window (at least ``min_rows``) of answers has come since the last one, and no
        sooner than the policy's pause. Returns at once."""
        rules = _rules(policy)
        busy = self._beside.busy
        if not rules or project.champion is None or busy:
            return
        predictions = self._registry.datasets.facts(project.id).predictions
        key, now = (project.id, project.epoch), self._clock()
        if key not in self._looked:
            self._looked[key] = (self._before(project, predictions), now - _pause(rules))
        seen, at = self._looked[key]
        if predictions - seen < min(max(rule.min_rows, rule.window // 2) for rule in rules):
            return
        if now - at < _pause(rules):
            return
        self._looked[key] = (predictions, now)

        failed = f"the look at the newest answers of {project.name} failed"
        self._beside.begin(f"estimate-{project.id}", lambda: self.report(project, policy), failed=failed)

    def stop(self) -> None:
        self._beside.join()

    def report(self, project: Project, policy: Policy) -> None:
        """Keep what the newest answers of the champion say; nothing where there are too few, or the model brought
        nothing to compare with."""
        assert project.champion is not None
        model = self._registry.models.get(project.id, project.champion)
        if "expectation" not in model.attachments:
            return
        expected = json.loads(self._registry.blobs.open(model.attachments["expectation"].digest))
        since = self._registry.ledger.promotions(project.id, limit=1)[0].at
        most = max(rule.window for rule in _rules(policy))
        scored = self._registry.datasets.scored(project.id, since=since, limit=most, labelled=False)
        scored = scored.filter(pc.equal(scored["model_version"], project.champion))
        known = len(model.details["task"]["classes"])
        triggers = policy.triggers
        if triggers.estimated_decay is not None and expected["estimator"] is not None:
            self._estimate(project, scored, known, expected["estimator"], triggers.estimated_decay)
        if triggers.prediction_drift is not None:
            self._compare(project, scored, known, expected["predictions"], triggers.prediction_drift)
        self._on_report()

    def _before(self, project: Project, predictions: int) -> int:
        """Answers there were at the last report on this champion; after a restart, too."""
        for kind in (ESTIMATED, MOVED):
            latest = self._registry.quality.latest(project.id, kind)
            if latest is not None and latest.model_version == project.champion:
                return int(latest.report["predictions"])
        return predictions

    def _estimate(
        self,
        project: Project,
        scored: pa.Table,
        known: int,
        estimator: Mapping[str, Any],
        rule: EstimatedDecay,
    ) -> None:
        window = _newest(scored, rule.window)
        if len(window) < rule.min_rows:
            return
        task = Task.from_json(project.task)
        if task.is_classification:
            found = ClassificationEstimator.from_json(estimator).estimate(
                answers(window, task, known), task.metric
            )
        else:
            rows = self._rows(project, window)
            if rows is None:
                return
            features, given = rows
            found = RegressionEstimator.from_json(estimator).estimate(features, given, task.metric)
        self._keep_estimate(project, found, rule)

    def _keep_estimate(self, project: Project, found: Estimate, rule: EstimatedDecay) -> None:
        assert project.champion is not None
        allowed = rule.max_drop * unit_of_drop(self._registry, project)
        self._registry.quality.add(
            project.id,
            model_version=project.champion,
            kind=ESTIMATED,
            score=found.value,
            reference=found.usual,
            report={**found.to_json(), "allowed": allowed, **self._so_far(project)},
            at=self._clock(),
        )
        gauge = self._metrics.estimated_metric.labels(project.name, str(project.champion))
        gauge.set(found.value)

    def _compare(
        self,
        project: Project,
        scored: pa.Table,
        known: int,
        reference: list[Any],
        rule: PredictionDrift,
    ) -> None:
        assert project.champion is not None
        window = _newest(scored, rule.window)
        if len(window) < rule.min_rows or not reference:
            return
        task = Task.from_json(project.task)
        found = prediction_drift(
            np.asarray(reference, dtype=np.float64), answers(window, task, known), threshold=rule.threshold
        )
        self._registry.quality.add(
            project.id,
            model_version=project.champion,
            kind=MOVED,
            score=found.effect,
            reference=found.threshold,
            report={**found.to_json(), **self._so_far(project)},
            at=self._clock(),
        )

    def _so_far(self, project: Project) -> dict[str, int]:
        return {"predictions": self._registry.datasets.facts(project.id).predictions}

    def _rows(
        self, project: Project, window: pa.Table
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """The model's own features of the answered rows, and its answers; None while this process serves another
        model."""
        served = self._served(project.name)
        if served is None or served.version != project.champion:
            return None
        rows = self._registry.datasets.recent(project.id, len(window), source="prediction")
        place = pc.index_in(rows["_row_id"], window["_row_id"].combine_chunks())
        rows, place = rows.filter(pc.is_valid(place)), pc.drop_null(place)
        if not len(rows):
            return None
        features = served.features(rows)
        return features, np.asarray(window["score"].take(place).to_numpy(), dtype=np.float64)


def _rules(policy: Policy) -> tuple[EstimatedDecay | PredictionDrift, ...]:
    both = (policy.triggers.estimated_decay, policy.triggers.prediction_drift)
    return tuple(rule for rule in both if rule is not None)


def _pause(rules: tuple[EstimatedDecay | PredictionDrift, ...]) -> timedelta:
    return min(rule.pause for rule in rules)


def _newest(scored: pa.Table, count: int) -> pa.Table:
    return scored.slice(max(0, len(scored) - count))
