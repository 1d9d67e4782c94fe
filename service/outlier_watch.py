"""Has the rows measured that came in, uploaded or asked about, and keeps those that stand out. The request path waits
for none of it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import msgspec

from registry.outliers import Look, OddRow
from registry.reading import Arrivals
from registry.records import Project
from registry.store import Registry
from service.clock import Clock
from service.companion import Companion
from service.metrics import Metrics
from service.outlier_messages import Looked, Rows
from service.outliers import Measure, Measures, newest_share
from service.policy import Outliers, Policy
from service.rests import BESIDE

logger = logging.getLogger(__name__)

MOST_ROWS = 50_000
"""Rows measured in one look at most, the newest; a second of work, spread over ten."""
MOST_ODD = 1_000
"""Odd rows kept of one look, the oddest; all are counted."""
WITHIN_SECONDS = 300.0
"""So long a look may take, on a busy machine."""
_LOOKS = 50


class OutlierWatch:
    """One look at a time in this process; of several processes that look at the same rows one keeps what it saw.

    A thread waits and keeps what was seen; a process works, started when first needed, and rests more than it
    works. Where another measure has come into force, a new champion's, the newest rows are measured anew.
    """

    def __init__(self, registry: Registry, measures: Measures, *, clock: Clock, metrics: Metrics) -> None:
        self._registry = registry
        self._measures = measures
        self._clock = clock
        self._metrics = metrics
        # One thread for as long as there is a watch: the process dies with the thread that started it.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="outliers")
        self._looking: Future[None] | None = None
        self._companion: Companion | None = None
        self._stopping = threading.Event()
        self._looked: dict[int, tuple[tuple[int, int], datetime]] = {}

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a look when something came in, or the champion changed, since the last one. Returns at once."""
        rule = policy.outliers
        busy = self._looking is not None and not self._looking.done()
        if rule is None or project.schema is None or busy or self._stopping.is_set():
            return
        now, seen = self._clock(), (self._registry.datasets.facts(project.id).version, project.epoch)
        before = self._looked.get(project.id)
        if before is not None and (before[0] == seen or now - before[1] < rule.pause):
            return
        self._looked[project.id] = (seen, now)

        def work() -> None:
            BESIDE.begin()
            try:
                self.look(project, rule)
            except Exception:
                if not self._stopping.is_set():
                    logger.exception("the look for odd rows of %s failed", project.name)

        self._looking = self._executor.submit(work)

    def stop(self) -> None:
        """Let go of a look that is under way: the next server looks again."""
        self._stopping.set()
        companion = self._companion
        if companion is not None:
            companion.end()
        self._executor.shutdown(wait=True)

    def look(self, project: Project, rule: Outliers) -> None:
        """Measure what came in since the last look; nothing where there is no measure yet, or no new row."""
        now = self._clock()
        measure = self._measures.made(project, now)
        if measure is None:
            return
        latest = self._registry.outliers.latest(project.id)
        anew = latest is None or not _same(measure, latest)
        after = 0 if latest is None or anew else latest.upto
        came = self._registry.datasets.arrivals(project.id, after=after, most=MOST_ROWS)
        if not came.rows:
            return
        seen = self._measured(measure, came, rule.threshold)
        found = [OddRow(**msgspec.structs.asdict(row)) for row in seen.found]
        look = Look(
            model_version=measure.model_version,
            dataset_version=measure.dataset_version,
            upto=came.upto,
            rows=seen.rows,
            odd=seen.odd,
            passed_over=came.rows - seen.rows,
            threshold=rule.threshold,
            columns=_counted(found),
        )
        expected = None if latest is None else latest.number
        if self._registry.outliers.keep(project.id, look, found, after=expected, anew=anew, at=now):
            share = newest_share(self._registry.outliers.looks(project.id, limit=_LOOKS))
            if share is not None:
                self._metrics.outlier_share.labels(project.name).set(share[0] / share[1])

    def _measured(self, measure: Measure, came: Arrivals, threshold: float) -> Looked:
        """What the process says of the rows. Raises RuntimeError when it says nothing."""
        if self._stopping.is_set():
            raise RuntimeError("the server stops; the next one looks again")
        asked = Rows(
            measure=self._registry.blobs.open(measure.blob),
            folder=str(came.folder.absolute()),
            upto=came.upto,
            held=list(came.held),
            rows=came.rows,
            newest=came.most,
            threshold=threshold,
            most=MOST_ODD,
        )
        companion = self._companion
        if companion is None or not companion.lives:
            companion = self._companion = Companion("service.outlier_child")
        try:
            companion.tell(msgspec.msgpack.encode(asked))
            message = companion.hear(WITHIN_SECONDS)
        except (TimeoutError, OSError) as error:
            companion.end()
            raise RuntimeError("the process that looks for odd rows ended, or said nothing") from error
        seen = msgspec.msgpack.decode(message, type=Looked)
        if seen.error is not None:
            raise RuntimeError(seen.error)
        return seen


def _same(measure: Measure, look: Look) -> bool:
    return (measure.model_version, measure.dataset_version) == (look.model_version, look.dataset_version)


def _counted(found: list[OddRow]) -> dict[str, int]:
    """How often each column is the first reason, most first."""
    return dict(Counter(row.reasons[0]["column"] for row in found if row.reasons).most_common())
