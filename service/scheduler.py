"""The tick. APScheduler wakes it; what is due, who holds it and what was decided is in the registry.

A restart or a second process neither loses nor doubles anything: due times move by compare-and-set, a project
has at most one active run, and a run belongs to whoever holds its lease.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from registry.errors import Conflict, NotFound
from registry.records import Project, Run
from registry.store import Registry
from service.clock import Clock
from service.drift_watch import DriftWatch
from service.estimate_watch import EstimateWatch
from service.facts import gather
from service.metrics import Metrics
from service.policy import Policy
from service.probation import ProbationWatch
from service.quality_watch import QualityWatch
from service.schedule import next_due
from service.settings import Settings
from service.triggers import Refusal, Trigger, due
from service.workshop import Workshop

logger = logging.getLogger(__name__)

_TICK = "tick"


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
        maintain: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._workshop = workshop
        self._drift_watch = drift_watch
        self._quality_watch = quality_watch
        self._probation_watch = probation_watch
        self._estimate_watch = estimate_watch
        self._maintain = maintain
        self._told: dict[int, tuple[str, str]] = {}
        self._ticking = threading.Lock()
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
        self._drift_watch.stop()
        self._quality_watch.stop()
        self._probation_watch.stop()
        self._estimate_watch.stop()

    def nudge(self) -> None:
        """Tick now instead of later. Cheap; may be called from any thread."""
        if self._timer.running:
            self._timer.modify_job(_TICK, next_run_time=datetime.now(UTC))

    def tick(self) -> None:
        """One look at everything. Errors of one project never keep the others from theirs."""
        with self._ticking:
            now = self._clock()
            for run in self._registry.runs.expire(at=now):
                logger.warning("run %s was lost: %s", run.number, run.error)
            for project in self._registry.projects.list():
                try:
                    self._look_at(project, now)
                except Exception:
                    logger.exception("could not look at the triggers of %s", project.name)
            self._workshop.take_on()

    def request_run(
        self, project: Project, *, reason: str, budget_seconds: float | None, engines: dict[str, float] | None
    ) -> Run:
        """Queue a run on somebody's word. Raises Conflict when one is active."""
        now = self._clock()
        policy = Policy.model_validate(project.policy)
        evidence = {"truths": self._registry.datasets.facts(project.id).truths}
        trigger = Trigger(kind="manual", reason=reason, fired=("manual",), evidence=evidence)
        run = self._enqueue(project, policy, trigger, now, budget_seconds=budget_seconds, engines=engines)
        self._decide(project, "triggered", "manual", reason, evidence, run.number, now)
        self.nudge()
        return run

    def _look_at(self, project: Project, now: datetime) -> None:
        if project.schema is None:
            return
        policy = Policy.model_validate(project.policy)
        self._keep_due_time(project, policy, now)
        self._drift_watch.look_at(project, policy)
        self._quality_watch.look_at(project, policy)
        self._probation_watch.look_at(project, policy)
        self._estimate_watch.look_at(project, policy)
        facts = gather(self._registry, project, policy, now)
        answer = due(policy, facts, now)
        if isinstance(answer, Trigger):
            self._start(project, policy, answer, now)
            return
        if answer.uses_up_schedule:
            self._use_up_schedule(project, policy, now)
        self._refuse(project, answer, now)

    def _start(self, project: Project, policy: Policy, trigger: Trigger, now: datetime) -> None:
        attempt = 2 if trigger.kind == "retry" else 1
        try:
            run = self._enqueue(project, policy, trigger, now, attempt=attempt)
        except Conflict:  # another process was quicker
            return
        self._use_up_schedule(project, policy, now)
        self._decide(
            project, "triggered", trigger.kind, trigger.reason, dict(trigger.evidence), run.number, now
        )

    def _refuse(self, project: Project, refusal: Refusal, now: datetime) -> None:
        told = (refusal.guard, refusal.reason)
        if self._told.get(project.id) == told:
            return
        if project.id not in self._told:
            last = self._registry.ledger.last_decision(project.id)
            if last is not None and (last.outcome, last.trigger, last.reason) == ("refused", *told):
                self._told[project.id] = told
                return
        self._told[project.id] = told
        self._decide(project, "refused", refusal.guard, refusal.reason, dict(refusal.evidence), None, now)
        if refusal.guard == "data_contract":
            data = {"project": project.name, "reason": refusal.reason}
            self._registry.ledger.emit("incumbent.contract.broken", data, project_id=project.id, at=now)

    def _decide(
        self,
        project: Project,
        outcome: str,
        trigger: str,
        reason: str,
        evidence: Mapping[str, object],
        run: int | None,
        now: datetime,
    ) -> None:
        if outcome == "triggered":
            self._told.pop(project.id, None)
        self._registry.ledger.decide(
            project.id, outcome=outcome, trigger=trigger, reason=reason, evidence=evidence, run=run, at=now
        )
        self._metrics.decisions.labels(project.name, trigger, outcome).inc()

    def _enqueue(
        self,
        project: Project,
        policy: Policy,
        trigger: Trigger,
        now: datetime,
        *,
        attempt: int = 1,
        budget_seconds: float | None = None,
        engines: dict[str, float] | None = None,
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
        return self._registry.runs.enqueue(
            project.id,
            trigger={"kind": trigger.kind, "fired": list(trigger.fired), "evidence": dict(trigger.evidence)},
            reason=trigger.reason,
            plan=plan,
            dataset_version=version.number,
            seed=version.number,
            attempt=attempt,
            at=now,
        )

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

    def _use_up_schedule(self, project: Project, policy: Policy, now: datetime) -> None:
        known = self._registry.due.get(project.id, "schedule")
        expression = policy.triggers.schedule
        if expression is not None and known is not None and known <= now:
            self._registry.due.set(project.id, "schedule", next_due(expression, now), expected=known)
