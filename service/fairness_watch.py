"""Looks at the groups of sensitive columns whenever enough new truth has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from automl.task import Task
from registry.records import Project
from registry.store import Registry
from service.beside import Beside
from service.clock import Clock
from service.fairness_reports import newest
from service.policy import Policy
from service.trust_fairness import Fairness

_PAUSE = timedelta(seconds=10)
_LEASE_SECONDS = 300.0
_NOT_LOOKED = -1
"""In the place of a number of truths: any number is news."""


class FairnessWatch:
    """One look at a time in this process, and one for the same truths among all processes. A report is evidence and
    starts no run. Works in a thread of its own, on at most ``window`` answers.
    """

    def __init__(self, registry: Registry, *, node: str, clock: Clock, on_report: Callable[[], None]) -> None:
        self._registry = registry
        self._node = node
        self._clock = clock
        self._on_report = on_report
        self._beside = Beside()
        self._looked: dict[int, tuple[int, int, datetime]] = {}

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a look when a quarter of a window (at least ``min_rows``) of truths has come since the last one, and not
        more often than every ten seconds. Returns at once."""
        rule = policy.gates.trust.fairness
        busy = self._beside.busy
        if rule is None or project.champion is None or busy or not _audits(project, rule):
            return
        truths, now = self._registry.datasets.facts(project.id).truths, self._clock()
        seen = self._looked.get(project.id)
        if seen is not None and (seen[:2] == (project.epoch, truths) or now - seen[2] < _PAUSE):
            return
        self._looked[project.id] = (project.epoch, truths, now)

        failed = f"the look at the groups of {project.name} failed"
        self._beside.begin(f"fairness-{project.id}", lambda: self.look(project, rule, truths), failed=failed)

    def stop(self) -> None:
        self._beside.join()

    def look(self, project: Project, rule: Fairness, truths: int) -> bool:
        """Look now, unless too little has come since the last look or another process is at it; whether it was done."""
        from service.live_fairness import look  # brings pandas, which no start of a server should wait for

        name = f"fairness:{project.id}"
        lease = self._registry.leases.acquire(name, self._node, seconds=_LEASE_SECONDS, at=self._clock())
        if lease is None:  # held, perhaps by a process that died: these truths are still to be looked at
            seen = self._looked.get(project.id)
            if seen is not None:
                self._looked[project.id] = (seen[0], _NOT_LOOKED, seen[2])
            return False
        try:
            before = newest(self._registry, project)
            enough = max(rule.min_rows, rule.window // 4)
            if before is not None and truths - int(before.report["truths"]) < enough:
                return False
            kept = look(self._registry, project, rule, truths=truths, now=self._clock())
        finally:
            self._registry.leases.release(lease)
        if kept is not None:
            self._on_report()
        return kept is not None


def _audits(project: Project, rule: Fairness) -> bool:
    return bool(rule.columns or Task.from_json(project.task).sensitive)
