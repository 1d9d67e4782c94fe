"""Metrics that are read when they are asked for: what the registry knows of all processes, and this one's storage."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from registry.errors import RegistryError
from registry.records import RunStatus
from registry.standing import Numbers
from registry.store import Registry
from service.clock import Clock
from service.fairness_reports import FAIRNESS, gaps_of
from service.metrics import Metrics

logger = logging.getLogger(__name__)

REALISED, ESTIMATED, ATTRIBUTED = "realised", "estimated", "attribution"


class StandingMetrics(Collector):
    """``log_bytes`` is how much of the prediction log waits for the tables. What the registry
    knows is that of the last :meth:`read`; where it did not answer, that is told."""

    def __init__(
        self,
        registry: Registry,
        metrics: Metrics,
        home: Path,
        *,
        clock: Clock,
        log_bytes: Callable[[], int],
        most_log_bytes: int,
        serving_wh: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._home = home
        self._clock = clock
        self._log_bytes = log_bytes
        self._most_log_bytes = most_log_bytes
        self._serving_wh = serving_wh
        self._numbers: Numbers | None = None

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        log, limit, disk, up, serving = (_family(name) for name in _OWN)
        log.add_metric([], self._log_bytes())
        limit.add_metric([], self._most_log_bytes)
        disk.add_metric([], shutil.disk_usage(self._home).free)
        numbers = self._numbers
        up.add_metric([], numbers is not None)
        serving.add_metric([], self._serving_wh() * 3600)
        yield from (log, limit, disk, up, serving)
        if numbers is not None:
            yield from self._of_registry(numbers)

    def read(self) -> None:
        """Ask the registry, and set the gauges that single watches set in the process which looked: so all processes
        tell the same, after a restart too."""
        try:
            self._numbers = numbers = self._registry.standing.now(whole=(FAIRNESS,))
        except RegistryError as error:
            self._numbers = None
            logger.warning("the registry does not tell how things stand: %s", error)
            return
        gauges = {
            REALISED: self._metrics.realized_metric,
            ESTIMATED: self._metrics.estimated_metric,
            ATTRIBUTED: self._metrics.attribution_drift,
        }
        for score in numbers.scores:
            if score.kind in gauges:
                gauges[score.kind].labels(score.project, str(score.model_version)).set(score.score)
        for project, share in numbers.drifted.items():
            self._metrics.drift_share.labels(project).set(share)

    def _of_registry(self, numbers: Numbers) -> Iterator[GaugeMetricFamily]:
        age, promised, queue, running, oldest, search, replay = (_family(name) for name in _SHARED)
        now = self._clock()
        for project, since in numbers.crowned.items():
            age.add_metric([project], (now - since).total_seconds())
        for score in numbers.scores:
            if score.kind == REALISED:
                promised.add_metric([score.project, str(score.model_version)], score.reference)
        queue.add_metric(["runs"], numbers.runs[RunStatus.QUEUED])
        queue.add_metric(["replays"], numbers.replays[RunStatus.QUEUED])
        queue.add_metric(["alerts"], numbers.alerts)
        running.add_metric(["runs"], numbers.runs[RunStatus.RUNNING])
        running.add_metric(["replays"], numbers.replays[RunStatus.RUNNING])
        waited = 0.0 if numbers.told_since is None else (now - numbers.told_since).total_seconds()
        oldest.add_metric([], max(0.0, waited))
        for used in numbers.energy:
            of = search if used.kind == "search" else replay
            of.add_metric([used.project, used.source], used.wh * 3600)
        yield from (age, promised, queue, running, oldest, search, replay, *_groups(numbers))


def _groups(numbers: Numbers) -> Iterator[GaugeMetricFamily]:
    """The gaps between groups that have a limit: a few a column, whatever its values."""
    gap, low, limit = (_family(name) for name in _GAPS)
    for one in numbers.reports:
        for each in gaps_of(one.report):
            if each["limit"] is None:
                continue
            labels = [one.project, str(one.model_version), each["column"], each["measure"]]
            gap.add_metric(labels, each["champion"]["value"])
            low.add_metric(labels, each["champion"]["low"])
            limit.add_metric(labels, each["limit"])
    yield from (gap, low, limit)


def families() -> Iterator[GaugeMetricFamily]:
    """The metrics without values: what their names mean."""
    return map(_family, (*_OWN, *_SHARED, *_GAPS))


_OWN = {
    "incumbent_prediction_log_bytes": ("Answers that are logged and not in the tables yet.", ()),
    "incumbent_prediction_log_limit_bytes": ("From here on prediction calls are refused.", ()),
    "incumbent_disk_free_bytes": ("Free disk space of the home folder.", ()),
    "incumbent_registry_up": ("Whether the database answers.", ()),
    "incumbent_serving_energy_joules": (
        "Energy of this process since it started, estimated from its processor time.",
        (),
    ),
}
_SHARED = {
    "incumbent_champion_age_seconds": ("Since the champion took its place.", ("project",)),
    "incumbent_promised_metric": (
        "The project's metric on the rows that judged the champion, beside incumbent_realized_metric.",
        ("project", "model"),
    ),
    "incumbent_queue_depth": ("What waits: runs, replays, alerts; in the whole installation.", ("queue",)),
    "incumbent_running": ("What runs: runs, replays; in the whole installation.", ("queue",)),
    "incumbent_alert_oldest_pending_seconds": ("How long the oldest alert that is to be told waits.", ()),
    "incumbent_search_energy_joules": (
        "Energy of all searches so far, as far as known; source: measured or estimated.",
        ("project", "source"),
    ),
    "incumbent_replay_energy_joules": (
        "Energy of all policy replays so far, as far as known; source: measured or estimated.",
        ("project", "source"),
    ),
}
_GAP_LABELS = ("project", "model", "column", "measure")
_GAPS = {
    "incumbent_fairness_gap": (
        "The largest difference between two groups of an audited column on the newest answers with truth.",
        _GAP_LABELS,
    ),
    "incumbent_fairness_gap_low": ("What that difference is surely above.", _GAP_LABELS),
    "incumbent_fairness_limit": ("The largest difference that the policy allows.", _GAP_LABELS),
}


def _family(name: str) -> GaugeMetricFamily:
    text, labels = {**_OWN, **_SHARED, **_GAPS}[name]
    return GaugeMetricFamily(name, text, labels=labels)
