"""Shadow scoring: another model answers the rows that the champion has answered, unseen and without hurry.

Nothing here is on the way of an answer. The predictor leaves its rows in a bounded queue, which costs it one
append; a full queue drops them and counts. One thread looks at the queue a few times a second, by when the
answers are out, scores some of what is there and rests for twelve times as long as that took: it never has more than a
thirteenth of a core, and less where few passes suffice; of what comes faster it takes a sample. (The thread is not given
a lower priority: while it held the interpreter's lock and waited for a processor, answers would wait with it.)

What is in the queue when the process dies is lost: shadow answers are a sample, not a log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.scoring import aligned
from registry.errors import NotFound
from registry.records import BatchKind
from registry.store import Registry
from service.clock import Clock
from service.deployment import Deployment
from service.metrics import Metrics
from service.prediction import Answered
from service.rests import BESIDE
from service.understudies import Understudy

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_REST = 12.0
_ROWS_AT_ONCE = 100
_STORED_AT_ONCE = 5_000
_TIMED_ROWS = 16
_TIMED_EVERY = 1.0
_TIMES_KEPT = 200
_STOP_SECONDS = 5.0

Key = tuple[int, int]
"""Project and probation, or project and version."""


@dataclass(slots=True)
class Conduct:
    """How a model version behaved in this process: calls, and those that failed because of it."""

    calls: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Median seconds of both models for the same small tables, ``calls`` of them."""

    champion: float
    shadow: float
    calls: int


@dataclass(slots=True)
class _Waiting:
    """Shadow answers of one project that are not stored yet."""

    project: str
    tables: list[pa.Table] = field(default_factory=list)
    rows: int = 0


class Shadow:
    """The queue, its thread, and what they count. :meth:`answered` and :meth:`outcome` neither wait nor raise."""

    def __init__(
        self,
        registry: Registry,
        understudies: Callable[[], Mapping[str, Understudy]],
        *,
        clock: Clock,
        metrics: Metrics,
        flush_seconds: float,
        queue_rows: int,
        timed_every: float = _TIMED_EVERY,
    ) -> None:
        self._registry = registry
        self._understudies = understudies
        self._clock = clock
        self._metrics = metrics
        self._flush_seconds = flush_seconds
        self._queue_rows = queue_rows
        self._queue: deque[tuple[Answered, int, datetime]] = deque()
        self._rows = 0
        self._lock = threading.Lock()
        self._conducts: dict[Key, Conduct] = defaultdict(Conduct)
        self._times: dict[Key, deque[tuple[float, float]]] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._timed_every = timed_every
        self._timed_at = -timed_every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Score what waits, for a few seconds, and store it. A model that doesn't come back is not waited for."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_SECONDS)

    # On the answer's side

    def wants(self, deployment: Deployment) -> bool:
        return _beside(self._understudies().get(deployment.project), deployment)

    def answered(self, rows: Answered) -> None:
        """Leave rows for the project's understudy, if it has one beside this very champion."""
        understudy = self._understudies().get(rows.deployment.project)
        if understudy is None or not _beside(understudy, rows.deployment):
            return
        count = len(rows.ids)
        with self._lock:
            room = self._rows + count <= self._queue_rows
            if room:
                self._queue.append((rows, understudy.probation, self._clock()))
                self._rows += count
        if not room:
            self._metrics.shadow_dropped.labels(rows.deployment.project).inc(count)

    def outcome(self, deployment: Deployment, calls: int, failed: int) -> None:
        with self._lock:
            conduct = self._conducts[deployment.project_id, deployment.version]
            conduct.calls += calls
            conduct.failed += failed

    # What was seen

    @property
    def queued(self) -> int:
        """Rows that wait."""
        return self._rows

    def conduct(self, project_id: int, version: int) -> Conduct:
        with self._lock:
            seen = self._conducts.get((project_id, version), Conduct())
            return Conduct(seen.calls, seen.failed)

    def pace(self, project_id: int, probation: int) -> Pace | None:
        """None before the first small table."""
        with self._lock:
            times = list(self._times.get((project_id, probation), ()))
        if not times:
            return None
        ours, theirs = zip(*times, strict=True)
        return Pace(champion=median(ours), shadow=median(theirs), calls=len(times))

    # The thread

    def work_off(self) -> float:
        """Score some of what waits; the seconds that took. Called by the thread, and by tests in its place."""
        batch = self._take()
        if not batch:
            return 0.0
        started = time.perf_counter()
        first = batch[0]
        timed = len(first[0].ids) <= _TIMED_ROWS and started - self._timed_at >= self._timed_every
        if timed:
            self._timed_at = started
        for jobs in [batch[:1], batch[1:]] if timed else [batch]:
            if jobs:
                self._score(jobs, timed=timed and jobs[0] is first)
        return time.perf_counter() - started

    def flush(self) -> None:
        """Store what was scored. What can't be stored stays for the next time, up to the size of the queue."""
        for project_id in list(self._waiting):
            self._store(project_id)

    def _work(self) -> None:
        BESIDE.begin()
        flushed = time.monotonic()
        pause = _LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                BESIDE.rest()
                pause = _REST * self.work_off()
                if not self._rows:
                    pause = max(_LOOK_SECONDS, pause)
            except Exception:
                logger.exception("shadow scoring failed; going on with the next rows")
            full = any(one.rows >= _STORED_AT_ONCE for one in self._waiting.values())
            if full or time.monotonic() - flushed >= self._flush_seconds:
                flushed = time.monotonic()
                self.flush()
        until = time.monotonic() + _STOP_SECONDS / 2
        while self._rows and time.monotonic() < until:
            self.work_off()
        self.flush()

    def _take(self) -> list[tuple[Answered, int, datetime]]:
        """The oldest jobs that one model call can answer together."""
        batch: list[tuple[Answered, int, datetime]] = []
        rows = 0
        with self._lock:
            while self._queue:
                job = self._queue[0]
                count = len(job[0].ids)
                alike = not batch or (job[0].deployment is batch[0][0].deployment and job[1] == batch[0][1])
                if not alike or (batch and rows + count > _ROWS_AT_ONCE):
                    break
                batch.append(self._queue.popleft())
                rows += count
                self._rows -= count
        return batch

    def _score(self, jobs: Sequence[tuple[Answered, int, datetime]], *, timed: bool) -> None:
        champion, probation = jobs[0][0].deployment, jobs[0][1]
        understudy = self._understudies().get(champion.project)
        if understudy is None or understudy.probation != probation:  # the probation is over
            return
        table = pa.concat_tables([rows.table for rows, _, _ in jobs])
        try:
            started = time.perf_counter()
            raw = understudy.deployment.raw(table)
            seconds = time.perf_counter() - started
            answers = _answers(jobs, understudy, champion, raw)
        except Exception:
            self._metrics.shadow_failed.labels(champion.project).inc(len(table))
            logger.warning("the shadow of %s failed on %d rows", champion.project, len(table), exc_info=True)
            return
        if timed:
            with self._lock:
                key = (champion.project_id, probation)
                times = self._times.setdefault(key, deque(maxlen=_TIMES_KEPT))
                times.append((jobs[0][0].seconds, seconds))
        self._metrics.shadow_scored.labels(champion.project).inc(len(table))
        waiting = self._waiting.setdefault(champion.project_id, _Waiting(champion.project))
        waiting.tables.append(answers)
        waiting.rows += len(answers)

    def _store(self, project_id: int) -> None:
        waiting = self._waiting[project_id]
        try:
            project = self._registry.projects.by_id(project_id)
            with self._registry.datasets.stage(project) as staging:
                for table in waiting.tables:
                    staging.write_shadows(table)
                self._registry.datasets.commit(
                    staging,
                    kind=BatchKind.SHADOW,
                    details={"source": "shadow scoring", "answers": waiting.rows},
                    at=self._clock(),
                )
        except NotFound:  # deleted since
            pass
        except Exception:  # stored twice after all, a row still counts once
            logger.exception("shadow answers could not be stored; trying again")
            if waiting.rows <= self._queue_rows:
                return
            self._metrics.shadow_dropped.labels(waiting.project).inc(waiting.rows)
        del self._waiting[project_id]


def _beside(one: Understudy | None, champion: Deployment) -> bool:
    if one is None or one.champion != champion.version:
        return False
    return one.deployment.project_id == champion.project_id


def _answers(
    jobs: Sequence[tuple[Answered, int, datetime]],
    understudy: Understudy,
    champion: Deployment,
    raw: npt.NDArray[np.float64],
) -> pa.Table:
    """The two answers to each row as they are stored, probabilities in the order of the task's classes."""
    count = sum(len(rows.ids) for rows, _, _ in jobs)
    other = understudy.deployment
    theirs = other.answer(raw)
    columns: dict[str, pa.Array] = {
        "_row_id": pa.array([name for rows, _, _ in jobs for name in rows.ids], pa.string()),
        "probation": pa.repeat(pa.scalar(understudy.probation, pa.int32()), count),
        "champion_version": pa.repeat(pa.scalar(champion.version, pa.int32()), count),
        "champion_score": pa.array(np.concatenate([rows.scores.scores for rows, _, _ in jobs])),
        "model_version": pa.repeat(pa.scalar(other.version, pa.int32()), count),
        "score": pa.array(theirs.scores),
        "at": pa.array([at for rows, _, at in jobs for _ in rows.ids], pa.timestamp("us", tz="UTC")),
    }
    if theirs.probabilities is not None:
        classes = champion.task.classes
        given = [rows.scores.probabilities for rows, _, _ in jobs if rows.scores.probabilities is not None]
        ours = aligned(np.concatenate(given), champion.classes, classes)
        shares = pa.list_(pa.float64())
        columns["champion_probabilities"] = pa.array(ours.tolist(), shares)
        columns["probabilities"] = pa.array(
            aligned(theirs.probabilities, other.classes, classes).tolist(), shares
        )
    return pa.table(columns)
