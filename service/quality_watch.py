"""Looks at live quality whenever enough new truth has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from automl.decay import decay
from automl.schema import Schema
from automl.task import Task
from registry.records import Project
from registry.store import Registry
from service.beside import Beside
from service.clock import Clock
from service.loss_watch import LossWatch
from service.metrics import Metrics
from service.performance import answers_and_truths, unit_of_drop
from service.policy import Decay, Policy

_PAUSE = timedelta(seconds=30)


class QualityWatch:
    """Realised quality of the champion on its own answers since its promotion, beside its holdout score.

    A report is evidence: :func:`service.triggers.due` decides what it means. Works in a thread of its own, on at
    most ``window`` answers.
    """

    def __init__(
        self, registry: Registry, *, clock: Clock, metrics: Metrics, on_report: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._on_report = on_report
        self._beside = Beside()
        self._looked: dict[tuple[int, int], tuple[int, datetime]] = {}
        self._losses = LossWatch(registry, clock=clock, on_report=on_report)

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a report when half a window (at least ``min_rows``) of truths has come since the last one, and
        not more often than twice a minute; every new truth goes to the loss watch. Returns at once."""
        self._losses.look_at(project, policy)
        rule = policy.triggers.decay
        busy = self._beside.busy
        if rule is None or project.champion is None or busy:
            return
        truths = self._registry.datasets.facts(project.id).truths
        key, now = (project.id, project.epoch), self._clock()
        seen, at = self._looked.setdefault(key, (truths, now))
        if truths - seen < max(rule.min_rows, rule.window // 2) or now - at < _PAUSE:
            return
        self._looked[key] = (truths, now)

        failed = f"the look at the live quality of {project.name} failed"
        self._beside.begin(f"quality-{project.id}", lambda: self._report(project, rule), failed=failed)

    def stop(self) -> None:
        self._losses.stop()
        self._beside.join()

    def _report(self, project: Project, rule: Decay) -> None:
        assert project.champion is not None
        reference = self._reference(project)
        if reference is None:
            return
        since = self._registry.ledger.promotions(project.id, limit=1)[0].at
        scored = self._registry.datasets.scored(project.id, since=since, limit=rule.window)
        mine = np.asarray(scored["model_version"].to_numpy()) == project.champion
        task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
        y, p = answers_and_truths(scored.filter(mine), task, schema)
        if len(y) < rule.min_rows:
            return
        score, rows = reference
        found = decay(
            y,
            p,
            metric_name=task.metric,
            reference=score,
            reference_rows=rows,
            alpha=rule.alpha,
            seed=project.epoch,
        )
        if found is None:
            return
        allowed = rule.max_drop * unit_of_drop(self._registry, project)
        self._registry.quality.add(
            project.id,
            model_version=project.champion,
            kind="realised",
            score=found.score,
            reference=score,
            report={**found.to_json(), "allowed": allowed, "metric": task.metric},
            at=self._clock(),
        )
        self._metrics.realized_metric.labels(project.name, str(project.champion)).set(found.score)
        self._on_report()

    def _reference(self, project: Project) -> tuple[float, int] | None:
        """The champion's holdout score, and the rows it was taken on."""
        assert project.champion is not None
        model = self._registry.models.get(project.id, project.champion)
        score = model.details.get("score")
        if score is None or model.run is None:
            return None
        return float(score), int(model.details["holdout_rows"])
