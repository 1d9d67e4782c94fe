"""Scores stored forecasts as their actual values come, and looks whether the champion's are surely worse than expected."""

from __future__ import annotations

from collections.abc import Callable

from automl.forecasting.live import USUAL_SPREAD, live_quality
from automl.forecasting.steps import Step
from automl.task import Task
from registry.forecasts import ForecastRecord
from registry.records import Project
from registry.store import Registry
from service.beside import Beside
from service.clock import Clock
from service.forecasts.actuals import actuals, came_of, scored
from service.metrics import Metrics
from service.policy import Decay, Policy

MOST_OPEN = 5_000
"""Open forecasts that are looked at, the newest; older ones have outlived their series."""
REALISED = "realised"


class ForecastWatch:
    """Writes actual values to open forecasts with each new dataset version, and after that a report of the kind
    ``realised`` on the champion.

    A report is evidence: :func:`service.triggers.due` decides what it means. Works in a thread of its own.
    """

    def __init__(
        self, registry: Registry, *, clock: Clock, metrics: Metrics, on_report: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._on_report = on_report
        self._beside = Beside()
        self._seen: dict[int, int] = {}

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start to score when a dataset version came since the last time. Returns at once."""
        busy = self._beside.busy
        version = self._registry.datasets.facts(project.id).version
        if busy or not version or self._seen.get(project.id) == version:
            return

        def work() -> None:
            self.score(project, policy, version)
            self._seen[project.id] = version

        self._beside.begin(
            f"forecasts-{project.id}", work, failed=f"the forecasts of {project.name} could not be scored"
        )

    def stop(self) -> None:
        self._beside.join()

    def score(self, project: Project, policy: Policy, version: int) -> None:
        """Write what a dataset version tells of open forecasts; report on the champion where that is news."""
        waiting = self._registry.forecasts.list(project.id, open=True, limit=MOST_OPEN)
        news: dict[int, list[float | None]] = {}
        for model in {one.model_version for one in waiting}:
            mine = [one for one in waiting if one.model_version == model]
            step = Step.from_json(self._registry.models.get(project.id, model).details["step"])
            known = actuals(self._registry, project, version, step, min(one.origin for one in mine))
            for one in mine:
                came = came_of(one, known)
                if came != list(one.actuals):
                    news[one.number] = came
        if not news:
            return
        self._registry.forecasts.score(project.id, news, at=self._clock())
        rule = policy.triggers.decay
        if project.champion is not None and rule is not None:
            self._report(project, policy, rule)

    def _report(self, project: Project, policy: Policy, rule: Decay) -> None:
        assert project.champion is not None
        model = self._registry.models.get(project.id, project.champion)
        found = live_quality(
            scored(self._answered(project, rule)),
            spread=float(model.details.get("spread") or USUAL_SPREAD),
            alpha=rule.alpha,
            least=policy.forecast.min_steps or Task.from_json(project.task).horizon or 1,
        )
        if found is None:
            return
        self._registry.quality.add(
            project.id,
            model_version=project.champion,
            kind=REALISED,
            score=found.score,
            reference=found.reference,
            report={
                **found.to_json(),
                "allowed": rule.max_drop * found.reference,
                "metric": str(project.task["metric"]),
            },
            at=self._clock(),
        )
        self._metrics.realized_metric.labels(project.name, str(project.champion)).set(found.score)
        self._on_report()

    def _answered(self, project: Project, rule: Decay) -> tuple[ForecastRecord, ...]:
        """The newest forecasts of the champion since its promotion: about ``window`` steps of them."""
        horizon = Task.from_json(project.task).horizon or 1
        since = self._registry.ledger.promotions(project.id, limit=1)[0].at
        return self._registry.forecasts.list(
            project.id,
            model_version=project.champion,
            since=since,
            limit=max(1, rule.window // horizon),
        )
