"""The tick. APScheduler wakes it; what is due, who holds it and what was decided is in the registry.

A restart or a second process neither loses nor doubles anything: due times move by compare-and-set, a project
has at most one active run, and a run belongs to whoever holds its lease.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from registry.decisions import NewDecision
from registry.errors import Conflict, NotFound
from registry.leases import DueMove
from registry.records import Project, Run
from registry.store import Registry
from service.approving import Approving
from service.attribution_watch import AttributionWatch
from service.clock import Clock
from service.conclusion import ended, queued
from service.drift_watch import DriftWatch
from service.estimate_watch import EstimateWatch
from service.facts import gather
from service.fairness_watch import FairnessWatch
from service.forecasts.kind import is_forecasting
from service.forecasts.watch import ForecastWatch
from service.metrics import Metrics
from service.outlier_watch import OutlierWatch
from service.policy import Policy
from service.probation import ProbationWatch
from service.quality_watch import QualityWatch
from service.rests import Rests
from service.schedule import next_due
from service.search_policy import QUICK
from service.settings import Settings
from service.triggers import Refusal, Trigger, due
from service.workshop import Workshop

logger = logging.getLogger(__name__)

_TICK = "tick"
_FOR_LABELS = frozenset({"min_fresh_labels", "missing_classes"})
"""Refusals that labels would end."""


class Watch(Protocol):
    """Looks at one side of a project in a thread of its own."""

    def look_at(self, project: Project, policy: Policy) -> None: ...

    def stop(self) -> None: ...


class Scheduler:
    """Looks at every project's triggers, queues runs and hands queued runs to the workshop."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        clock: Clock,
        metrics: Metrics,
        workshop: Workshop,
        drift_watch: DriftWatch,
        quality_watch: QualityWatch,
        probation_watch: ProbationWatch,
        estimate_watch: EstimateWatch,
        forecast_watch: ForecastWatch,
        outlier_watch: OutlierWatch,
        attribution_watch: AttributionWatch,
        fairness_watch: FairnessWatch,
        approving: Approving,
        maintain: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._workshop = workshop
        self._forecast_watch = forecast_watch
        self._row_watches = (
            drift_watch,
            quality_watch,
            probation_watch,
            estimate_watch,
            outlier_watch,
            attribution_watch,
            fairness_watch,
        )
        self._approving = approving
        self._maintain = maintain
        self._told: dict[int, tuple[str, str]] = {}
        self._ticking = threading.Lock()
        self._rests = Rests()
        self._timer = BackgroundScheduler(timezone=UTC)

    def start(self) -> None:
        """Begin to tick. A missed or late tick is not made up for: the next one sees everything."""
        if not self._settings.scheduler:
            return
        lenient = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._timer.add_job(
            self.tick,
            "interval",
            seconds=self._settings.tick_seconds,
            id=_TICK,
            next_run_time=datetime.now(UTC),
            **lenient,
        )
        self._timer.add_job(
            self._maintain,
            "interval",
            seconds=self._settings.maintenance_seconds,
            id="maintenance",
            **lenient,
        )
        self._timer.start()

    def stop(self) -> None:
        """Stop ticking, and end what runs here; an interrupted run is started again by the next process."""
        if self._timer.running:
            self._timer.shutdown(wait=True)
        self._workshop.stop()
        for watch in (*self._row_watches, self._forecast_watch):
            watch.stop()

    def nudge(self) -> None:
        """Tick now instead of later. Cheap; may be called from any thread."""
        if self._timer.running:
            self._timer.modify_job(_TICK, next_run_time=datetime.now(UTC))

    def tick(self) -> None:
        """One look at everything. Errors of one project never keep the others from theirs."""
        with self._ticking:
            now = self._clock()
            projects = self._registry.projects.list()
            names = {project.id: project.name for project in projects}
            for run in self._registry.runs.expire(tell=lambda run: ended(run, names), at=now):
                logger.warning("run %s was lost: %s", run.number, run.error)
            for project in projects:
                try:
                    self._look_at(project, now)
                except Exception:
                    logger.exception("could not look at the triggers of %s", project.name)
            self._workshop.take_on()

    def request_run(
        self,
        project: Project,
        *,
        reason: str,
        budget_seconds: float | None,
        engines: dict[str, float] | None,
        by: str | None = None,
    ) -> Run:
        """Queue a run on somebody's word. Raises Conflict when one is active."""
        policy = Policy.stored(project.policy)
        evidence = {"truths": self._registry.datasets.facts(project.id).truths}
        trigger = Trigger(kind="manual", reason=reason, fired=("manual",), evidence=evidence)
        run = self._enqueue(project, policy, trigger, budget_seconds=budget_seconds, engines=engines, by=by)
        self.nudge()
        return run

    def _look_at(self, project: Project, now: datetime) -> None:
        if project.schema is None:
            return
        policy = Policy.stored(project.policy)
        rest = self._rests
        self._keep_due_time(project, policy, now)
        self._approving.look_at(project)
        for watch in self._watches(project):
            rest()
            watch.look_at(project, policy)
        rest()
        facts = gather(self._registry, project, policy, now)
        rest()
        answer = due(policy, facts, now)
        if isinstance(answer, Trigger):
            attempt = 2 if answer.kind == "retry" else 1
            due_time = self._used_up(project, policy, now)
            with suppress(Conflict):  # another process was quicker
                self._enqueue(project, policy, answer, attempt=attempt, due_time=due_time)
            return
        if answer.uses_up_schedule and (move := self._used_up(project, policy, now)) is not None:
            self._registry.due.set(project.id, move.trigger, move.due_at, expected=move.expected)
        self._refuse(project, answer)

    def _watches(self, project: Project) -> tuple[Watch, ...]:
        """Of a forecasting project only its forecasts are watched: see :mod:`service.forecasts.kind`."""
        if is_forecasting(project):
            return (self._forecast_watch,)
        return self._row_watches

    def _refuse(self, project: Project, refusal: Refusal) -> None:
        told = (refusal.guard, refusal.reason)
        before = self._told.get(project.id) or self._told_last(project)
        if before == told:
            self._told[project.id] = told
            return
        self._registry.ledger.decide(
            project.id,
            outcome="refused",
            trigger=refusal.guard,
            reason=refusal.reason,
            evidence=dict(refusal.evidence),
            events=_raised(project.name, refusal, None if before is None else before[0]),
            at=self._clock(),
        )
        self._told[project.id] = told
        self._metrics.decisions.labels(project.name, refusal.guard, "refused").inc()

    def _told_last(self, project: Project) -> tuple[str, str] | None:
        """The refusal that the ledger ends with, where it does: another process, or an earlier one, wrote it."""
        last = self._registry.ledger.last_decision(project.id)
        return (last.trigger, last.reason) if last is not None and last.outcome == "refused" else None

    def _enqueue(
        self,
        project: Project,
        policy: Policy,
        trigger: Trigger,
        *,
        attempt: int = 1,
        due_time: DueMove | None = None,
        budget_seconds: float | None = None,
        engines: dict[str, float] | None = None,
        by: str | None = None,
    ) -> Run:
        version = self._registry.datasets.latest(project.id)
        if version is None:
            raise NotFound(f"the project {project.name!r} has no data yet")
        plan = {
            "budget_seconds": budget_seconds or policy.search.budget_seconds,
            "engines": engines or policy.search.engines,
            "policy": policy.model_dump(mode="json"),
            "truths": self._registry.datasets.facts(project.id).truths,
        }
        if trigger.kind == "first_champion" and policy.search.starts_quickly:
            plan |= _quick(policy)
        evidence = dict(trigger.evidence)
        run = self._registry.runs.enqueue(
            project.id,
            trigger={
                "kind": trigger.kind,
                "fired": list(trigger.fired),
                "evidence": evidence,
                **({} if by is None else {"by": by}),
            },
            reason=trigger.reason,
            plan=plan,
            dataset_version=version.number,
            seed=version.number,
            attempt=attempt,
            decision=NewDecision(
                outcome="triggered", trigger=trigger.kind, reason=trigger.reason, evidence=evidence
            ),
            due=due_time,
            tell=lambda run: queued(project.name, run),
            at=self._clock(),
        )
        self._told.pop(project.id, None)
        self._metrics.decisions.labels(project.name, trigger.kind, "triggered").inc()
        return run

    def _keep_due_time(self, project: Project, policy: Policy, now: datetime) -> None:
        """Every project with a schedule has a due time that its expression names."""
        known = self._registry.due.get(project.id, "schedule")
        expression = policy.triggers.schedule
        if expression is None:
            if known is not None:
                self._registry.due.clear(project.id, "schedule")
            return
        upcoming = next_due(expression, now)
        # Earlier than known: the policy was changed to an expression that comes due sooner.
        if known is None or upcoming < known:
            self._registry.due.set(project.id, "schedule", upcoming, expected=known)

    def _used_up(self, project: Project, policy: Policy, now: datetime) -> DueMove | None:
        """The move of a due time that is over to the next; None when none is over."""
        known = self._registry.due.get(project.id, "schedule")
        expression = policy.triggers.schedule
        if expression is None or known is None or known > now:
            return None
        return DueMove(trigger="schedule", due_at=next_due(expression, now), expected=known)


def _raised(project: str, refusal: Refusal, before: str | None) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The events of a refusal. Labels are asked for once, not with each label that comes while more are awaited."""
    data = {"project": project, "reason": refusal.reason}
    if refusal.guard == "data_contract":
        return (("incumbent.contract.broken", data),)
    if refusal.guard in _FOR_LABELS and before not in _FOR_LABELS:
        return (("incumbent.labels.wanted", {**data, "guard": refusal.guard}),)
    return ()


def _quick(policy: Policy) -> dict[str, Any]:
    """What is otherwise in the plan of a quick first run. Its model is not trained on the rows that judge it, so that
    the full search that follows is judged on the same ones."""
    search = policy.search.model_copy(update={"blend": None})
    alone = policy.model_copy(update={"refit": False, "search": search})
    return {
        "budget_seconds": policy.search.first_seconds,
        "engines": {QUICK: 1.0},
        "policy": alone.model_dump(mode="json"),
        "quick": True,
    }
