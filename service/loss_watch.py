"""Follows the champion's losses as truth arrives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from automl.adwin import Change
from automl.loss_monitor import LossMonitor
from automl.schema import Schema
from automl.task import Task
from registry.records import LossMonitorRecord, Project
from registry.store import Registry
from service.beside import Beside
from service.clock import Clock
from service.performance import answers_and_truths
from service.policy import LossRule, Policy
from service.quality_windows import keep_windows

MOST_ROWS = 50_000
"""Of more truths at once (an import of labels), the newest answers are taken."""
_PAUSE = timedelta(seconds=10)


class LossWatch:
    """Feeds each new truth about an answer of the champion into its project's monitor, once.

    The monitor's state is in the registry: a restart goes on where the last process stopped, and several
    processes share it. A new champion starts anew. A change of the mean loss is kept as a quality report:
    evidence, of which :func:`service.triggers.due` decides what it means.
    """

    def __init__(self, registry: Registry, *, clock: Clock, on_report: Callable[[], None]) -> None:
        self._registry = registry
        self._clock = clock
        self._on_report = on_report
        self._beside = Beside()
        self._looked: dict[int, tuple[int, int, datetime]] = {}

    def look_at(self, project: Project, policy: Policy) -> None:
        """Take in what came since the last look, in a thread, at most every ten seconds. Returns at once."""
        rule = None if policy.triggers.decay is None else policy.triggers.decay.loss
        busy = self._beside.busy
        if project.champion is None or busy:
            return
        truths, now = self._registry.datasets.facts(project.id).truths, self._clock()
        seen = self._looked.get(project.id)
        if seen is not None and (seen[:2] == (project.epoch, truths) or now - seen[2] < _PAUSE):
            return
        self._looked[project.id] = (project.epoch, truths, now)

        def work() -> None:
            if rule is not None:
                self.take_in(project, rule)
            keep_windows(self._registry, project, self._clock())

        self._beside.begin(
            f"loss-{project.id}", work, failed=f"the losses of {project.name} could not be followed"
        )

    def stop(self) -> None:
        self._beside.join()

    def take_in(self, project: Project, rule: LossRule) -> Change | None:
        """Take in all truths that the monitor has not seen; the change they brought, if any."""
        version, newest = project.champion, self._registry.datasets.latest(project.id)
        if version is None or newest is None:
            return None
        kept = self._registry.loss_monitors.get(project.id)
        monitor, after = _resumed(kept, version, rule)
        if newest.batch <= after:
            return None
        scored = self._registry.datasets.answered(
            project.id, after=after, upto=newest.batch, model_version=version
        )
        scored = scored.slice(max(0, scored.num_rows - MOST_ROWS))
        task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
        change = monitor.add(*answers_and_truths(scored, task, schema)) if scored.num_rows else None
        now = self._clock()
        is_kept = self._registry.loss_monitors.advance(
            project.id,
            expected=kept,
            model_version=version,
            upto=newest.batch,
            state=monitor.to_json(),
            change=None if change is None else (change.before, change.after, _report(change, rule)),
            at=now,
        )
        if change is None or not is_kept:
            return None
        if change.rose:
            data = {"project": project.name, "model_version": version, **_report(change, rule)}
            self._registry.ledger.emit("incumbent.loss.rose", data, project_id=project.id, at=now)
        self._on_report()
        return change


def _resumed(kept: LossMonitorRecord | None, version: int, rule: LossRule) -> tuple[LossMonitor, int]:
    """The monitor to go on with, and the batch up to which it knows the truths."""
    if kept is None or kept.model_version != version:
        return LossMonitor.new(rule.delta), 0
    try:
        monitor = LossMonitor.from_json(kept.state)
    except ValueError:  # kept by another version of Incumbent
        return LossMonitor.new(rule.delta), kept.upto
    if monitor.adwin.delta != rule.delta:
        return LossMonitor.new(rule.delta), kept.upto
    return monitor, kept.upto


def _report(change: Change, rule: LossRule) -> dict[str, float | int | bool]:
    return {
        "before": change.before,
        "after": change.after,
        "rose": change.rose,
        "rows": change.rows,
        "answers": change.at,
        "delta": rule.delta,
    }
