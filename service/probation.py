"""Watches champions on probation, and changes the champion when live rows prove that it should.

Nothing is decided on a request's time. The tick opens probations and notices that something came; a thread reads
what came, adds it to the stored state and acts. State and deed are in the registry, each written as a whole: a
process that dies in between has looked at nothing, and another goes on where it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from automl.contest import Contest
from automl.schema import Schema
from automl.shift import prediction_shift
from automl.task import Task
from registry.approval_records import NewApproval
from registry.errors import Conflict, NotFound, StaleEpoch, StaleFence
from registry.probations import Probation, ProbationMode, ProbationStatus
from registry.records import Json, NewPromotion, Project, PromotionKind
from registry.store import Registry
from service.approving import asked
from service.clock import Clock
from service.metrics import Metrics
from service.policy import Policy
from service.probation_guards import Evidence
from service.probation_rows import answers, truths_and_answers
from service.probation_rule import contest_so_far, proposal
from service.probation_ruling import Ruling, rule, told
from service.rests import BESIDE, REST
from service.settings import Settings
from service.shadow import Conduct, Shadow

logger = logging.getLogger(__name__)

_PAUSE = timedelta(seconds=1)
_GUARD_PAUSE = timedelta(seconds=10)
_REST = 10
"""Looks rest for so many times what the last one worked, however much truth comes."""
_SHIFTED_ROWS = 2_000
_LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What was there when a probation was last looked at."""

    at: datetime
    truths: int
    version: int | None
    """None where the look came to nothing: it is due again, whether or not anything comes."""
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    contest: Contest
    evidence: Evidence
    through: int

    @property
    def state(self) -> dict[str, Any]:
        """Without a contest while no row may count: the rows so far are read again next time."""
        contest = self.contest.to_json() if self.contest.has_begun else None
        return {"contest": contest, "evidence": self.evidence.to_json()}


class ProbationWatch:
    """:meth:`look_at` is for the tick and returns at once; :meth:`evaluate` does the work, in a thread."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        shadow: Shadow,
        clock: Clock,
        metrics: Metrics,
        on_change: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._shadow = shadow
        self._clock = clock
        self._metrics = metrics
        self._on_change = on_change
        self._looks: dict[tuple[int, int], _Look] = {}
        self._before: dict[tuple[int, int, int], Conduct] = {}
        self._took: dict[int, timedelta] = {}
        self._due: dict[int, None] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def look_at(self, project: Project, policy: Policy) -> None:
        """Begin the probation that is due, and have an open one looked at when something new came."""
        probation = self._registry.probations.current(project.id)
        if probation is not None and probation.epoch < project.epoch:
            self._expire(project, probation)
            probation = None
        if probation is None:
            probation = self._begin(project, policy)
        if probation is None or probation.epoch != project.epoch or self._stopping.is_set():
            return
        if self._has_news(project, probation):
            self._ask_for(project.id)

    def stop(self) -> None:
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=15)

    def evaluate(self, project_id: int) -> bool:
        """Read what came since the last look, keep it, and end the probation if that decides it; whether that could be
        done, or another process is at it (or was, and died less than a minute ago)."""
        lease = self._registry.leases.acquire(
            f"probation:{project_id}", self._settings.node, seconds=_LEASE_SECONDS, at=self._clock()
        )
        if lease is None:
            return False
        try:
            project = self._registry.projects.by_id(project_id)
            probation = self._registry.probations.current(project_id)
            if probation is not None and probation.epoch == project.epoch:
                self._act(project, probation, self._see(project, probation))
        except (StaleEpoch, StaleFence, Conflict, NotFound) as overtaken:
            logger.info("a probation was overtaken: %s", overtaken)
        finally:
            self._registry.leases.release(lease)
        return True

    # Beginning and noticing

    def _begin(self, project: Project, policy: Policy) -> Probation | None:
        now = self._clock()
        due = proposal(self._registry, project, policy, now)
        if due is None:
            return None
        newest = self._registry.datasets.latest(project.id)
        batch = 0 if newest is None else newest.batch
        data = {
            "project": project.name,
            "mode": due.mode.value,
            "champion": project.champion,
            "other": due.other,
            "reason": due.reason,
        }
        try:
            begun = self._registry.probations.begin(
                project.id,
                expected_epoch=project.epoch,
                mode=due.mode,
                other=due.other,
                rule={**due.rule, "began": batch},
                through=batch,
                reason=f"Open: {due.reason}.",
                events=(("incumbent.probation.began", data),),
                ends_at=due.ends_at,
                at=now,
            )
        except (StaleEpoch, Conflict):  # another process was quicker
            return None
        self._on_change()
        return begun

    def _has_news(self, project: Project, probation: Probation) -> bool:
        now = self._clock()
        if probation.looked_at is None and now - probation.began_at < _PAUSE < probation.ends_at - now:
            return False  # nothing can have been stored of it yet
        facts = self._registry.datasets.facts(project.id)
        failed = self._conduct(probation, probation.champion).failed
        look = _Look(at=now, truths=facts.truths, version=facts.version, failed=failed)
        key = (project.id, probation.number)
        last = self._looks.get(key)
        if last is not None and now < probation.ends_at:
            same = (last.truths, last.failed) == (look.truths, look.failed)
            pause = max(_GUARD_PAUSE if same else _PAUSE, self._took.get(project.id, timedelta()) * _REST)
            if now - last.at < pause or (same and last.version == look.version):
                return False
        self._looks[key] = look
        return True

    def _ask_for(self, project_id: int) -> None:
        with self._guard:
            self._due[project_id] = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="probation", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        BESIDE.begin()
        while not self._stopping.is_set():
            with self._guard:
                if not self._due:
                    self._thread = None
                    return
                project_id = next(iter(self._due))
                del self._due[project_id]
            started, processor = time.monotonic(), time.thread_time()
            looked = False
            try:
                looked = self.evaluate(project_id)
            except Exception:
                logger.exception("the probation of project %d could not be looked at", project_id)
            if not looked:
                self._look_again(project_id)
            # By the clock a look that gives way takes five times what it works.
            wall = (time.monotonic() - started) / (1.0 + REST)
            self._took[project_id] = timedelta(seconds=max(time.thread_time() - processor, wall))

    def _look_again(self, project_id: int) -> None:
        """What was noticed is not seen yet: without this, the last truths to come would wait for others to follow."""
        for key, last in list(self._looks.items()):
            if key[0] == project_id:
                self._looks[key] = replace(last, version=None)

    # Seeing

    def _see(self, project: Project, probation: Probation) -> _Seen:
        task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
        classes = probation.rule["classes"]
        pairs = self._registry.datasets.paired(
            project.id, probation.number, began=probation.rule["began"], after=probation.through
        )
        if pairs.anew:  # what counted so far counts no longer, or otherwise: a sum can't be taken apart
            probation = replace(probation, state=None, through=probation.rule["began"])
        y, ours, theirs = truths_and_answers(pairs.table, task, schema, classes)
        seen = contest_so_far(self._registry, probation).after(y, champion=ours, shadow=theirs)
        shift, rows = None, 0
        if probation.mode is ProbationMode.PREVIOUS and probation.rule["max_shift"] is not None:
            newest = self._registry.datasets.shadowed(project.id, probation.number, _SHIFTED_ROWS)
            rows = newest.num_rows
            shift = prediction_shift(*answers(newest, task, classes)) if rows else None
        through = pairs.upto if seen.has_begun else probation.through
        return _Seen(contest=seen, evidence=self._evidence(probation, shift, rows), through=through)

    def _evidence(self, probation: Probation, shift: float | None, rows: int) -> Evidence:
        mine = self._conduct(probation, probation.champion)
        other = self._shadow.conduct(probation.project_id, probation.other)
        pace = self._shadow.pace(probation.project_id, probation.number)
        return Evidence(
            calls=mine.calls,
            failed=mine.failed,
            other_calls=other.calls,
            other_failed=other.failed,
            seconds=None if pace is None else pace.champion,
            other_seconds=None if pace is None else pace.shadow,
            timed_calls=0 if pace is None else pace.calls,
            shift=shift,
            shifted_rows=rows,
        )

    def _conduct(self, probation: Probation, version: int) -> Conduct:
        """How a version behaved since this process first heard of the probation."""
        now = self._shadow.conduct(probation.project_id, version)
        key = (probation.project_id, probation.number, version)
        before = self._before.setdefault(key, now)
        return Conduct(now.calls - before.calls, now.failed - before.failed)

    # Acting

    def _act(self, project: Project, probation: Probation, seen: _Seen) -> None:
        over = self._clock() >= probation.ends_at
        ruling = rule(probation, seen.contest, seen.evidence, over=over)
        if ruling.status is ProbationStatus.OPEN:
            self._registry.probations.note(
                probation, state=seen.state, through=seen.through, reason=ruling.reason, at=self._clock()
            )
            return
        self._end(project, probation, ruling, state=seen.state, through=seen.through)

    def _expire(self, project: Project, probation: Probation) -> None:
        newest = next(iter(self._registry.ledger.promotions(project.id, limit=1)), None)
        by = "" if newest is None else f" ({newest.actor}: {newest.reason})"
        ruling = Ruling(status=ProbationStatus.EXPIRED, reason=f"Expired: the champion was changed{by}.")
        try:
            self._end(project, probation, ruling, state=probation.state, through=probation.through)
        except (StaleFence, NotFound):  # another process was quicker
            return

    def _asked(self, project: Project, ruling: Ruling) -> NewApproval | None:
        """What people are asked, where the shadow proved better and it is theirs to say."""
        if not ruling.asks:
            return None
        rule = Policy.stored(project.policy).approval
        return asked(rule, project, reason=ruling.reason, now=self._clock())

    def _end(
        self, project: Project, probation: Probation, ruling: Ruling, *, state: Json | None, through: int
    ) -> None:
        promotion = None
        if ruling.change is not None:
            promotion = NewPromotion(
                expected_epoch=probation.epoch,
                kind=ruling.change,
                reason=ruling.reason,
                actor="probation" if ruling.change is PromotionKind.ROLLBACK else "shadow",
            )
        self._registry.probations.end(
            probation,
            status=ruling.status,
            state=state,
            through=through,
            reason=ruling.reason,
            promotion=promotion,
            approval=self._asked(project, ruling),
            run=self._registry.models.get(project.id, probation.other).run,
            events=told(project.name, probation, ruling),
            at=self._clock(),
        )
        logger.info("probation %d of %s: %s", probation.number, project.name, ruling.reason)
        self._metrics.probations.labels(project.name, ruling.status.value).inc()
        if ruling.change is PromotionKind.ROLLBACK:
            self._metrics.rollbacks.labels(project.name).inc()
        elif ruling.change is not None:
            self._metrics.promotions.labels(project.name).inc()
        self._on_change()
