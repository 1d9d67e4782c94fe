"""Measures the rows that came in, uploaded or asked about, and keeps those that stand out. The request path waits for
none of it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.oddness import Odd
from registry.outliers import Look, OddRow
from registry.records import Project
from registry.store import Registry
from service.clock import Clock
from service.metrics import Metrics
from service.outliers import Measure, Measures, newest_share
from service.policy import Outliers, Policy
from service.rests import Pauses

logger = logging.getLogger(__name__)

MOST_ROWS = 50_000
"""Rows measured in one look at most, the newest; a second of work."""
MOST_ODD = 1_000
"""Odd rows kept of one look, the oddest; all are counted."""
_PIECE = 128
"""Rows measured in one go, between rests: calls wait for the interpreter no longer than some milliseconds."""
_PAUSE_FACTOR = 2.0
_LONGEST_TEXT = 100
_LOOKS = 50


class OutlierWatch:
    """One look at a time in this process; of several processes that look at the same rows one keeps what it saw.

    Works in a thread of its own, in small pieces. Where another measure has come into force, a new champion's, the
    newest rows are measured anew.
    """

    def __init__(self, registry: Registry, measures: Measures, *, clock: Clock, metrics: Metrics) -> None:
        self._registry = registry
        self._measures = measures
        self._clock = clock
        self._metrics = metrics
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._looked: dict[int, tuple[tuple[int, int], datetime]] = {}

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a look when something came in, or the champion changed, since the last one. Returns at once."""
        rule = policy.outliers
        busy = self._thread is not None and self._thread.is_alive()
        if rule is None or project.schema is None or busy or self._stopping.is_set():
            return
        now, seen = self._clock(), (self._registry.datasets.facts(project.id).version, project.epoch)
        before = self._looked.get(project.id)
        if before is not None and (before[0] == seen or now - before[1] < rule.pause):
            return
        self._looked[project.id] = (seen, now)

        def work() -> None:
            try:
                self.look(project, rule)
            except Exception:
                logger.exception("the look for odd rows of %s failed", project.name)

        self._thread = threading.Thread(target=work, name=f"outliers-{project.id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def look(self, project: Project, rule: Outliers) -> None:
        """Measure what came in since the last look; nothing where there is no measure yet, or no new row."""
        now = self._clock()
        measure = self._measures.made(project, now)
        if measure is None:
            return
        latest = self._registry.outliers.latest(project.id)
        anew = latest is None or not _same(measure, latest)
        after = 0 if latest is None or anew else latest.upto
        rows, upto, passed_over = self._registry.datasets.arrived(project.id, after=after, most=MOST_ROWS)
        if not rows.num_rows:
            return
        score, times = self._scored(measure, rows)
        odd = np.flatnonzero(score >= rule.threshold)
        oddest = odd[np.lexsort((-times[odd], -score[odd]))][:MOST_ODD]
        found = _described(measure, rows.take(pa.array(oddest)), score[oddest], times[oddest])
        look = Look(
            model_version=measure.model_version,
            dataset_version=measure.dataset_version,
            upto=upto,
            rows=rows.num_rows,
            odd=len(odd),
            passed_over=passed_over,
            threshold=rule.threshold,
            columns=_counted(found),
        )
        expected = None if latest is None else latest.number
        if self._registry.outliers.keep(project.id, look, found, after=expected, anew=anew, at=now):
            share = newest_share(self._registry.outliers.looks(project.id, limit=_LOOKS))
            if share is not None:
                self._metrics.outlier_share.labels(project.name).set(share[0] / share[1])

    def _scored(
        self, measure: Measure, rows: pa.Table
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        pause, ids = Pauses(_PAUSE_FACTOR), rows["_row_id"].to_pylist()
        parts = []
        for start in range(0, rows.num_rows, _PIECE):
            if self._stopping.is_set():
                raise RuntimeError("the server stops; the next one looks again")
            part = rows.slice(start, _PIECE)
            parts.append(measure.oddness.scores(part, ids[start : start + _PIECE]))
            pause()
        return np.concatenate([part.score for part in parts]), np.concatenate([part.times for part in parts])


def _same(measure: Measure, look: Look) -> bool:
    return (measure.model_version, measure.dataset_version) == (look.model_version, look.dataset_version)


def _described(
    measure: Measure, rows: pa.Table, score: npt.NDArray[np.float64], times: npt.NDArray[np.float64]
) -> list[OddRow]:
    if not rows.num_rows:
        return []
    ids, records = rows["_row_id"].to_pylist(), rows.to_pylist()
    whys = measure.oddness.why(rows, ids)
    return [
        OddRow(
            row_id=row["_row_id"],
            batch=row["_batch"],
            source=row["_source"] or "upload",
            score=float(score[at]),
            times=float(times[at]),
            reasons=[_reason(odd, row) for odd in whys[at]],
            arrived_at=row["_arrived_at"],
        )
        for at, row in enumerate(records)
    ]


def _reason(odd: Odd, row: Mapping[str, Any]) -> dict[str, Any]:
    """Why in a person's words: the column, its value, and between what nine of ten lie."""
    value = row.get(odd.column)
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        value = value[:_LONGEST_TEXT]
    usual = None if odd.usual is None else [float(edge) for edge in odd.usual]
    return {"column": odd.column, "share": round(odd.share, 4), "value": value, "usual": usual}


def _counted(found: list[OddRow]) -> dict[str, int]:
    """How often each column is the first reason, most first."""
    return dict(Counter(row.reasons[0]["column"] for row in found if row.reasons).most_common())
