"""Live quality by windows of answers, kept as it becomes known: what a page can draw without reading a table."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa

from automl.decay import decay
from automl.schema import Schema
from automl.task import Task
from registry.records import Project, QualityRecord
from registry.store import Registry
from service.performance import answers_and_truths

WINDOW = "window"
"""The kind of these reports: ``score`` of a window, its champion's holdout score as ``reference``."""
WINDOW_ROWS = 1_000
LEAST_ROWS = 50
MOST_WINDOWS = 50
"""Of more truths at once (an import of labels), the newest answers are taken."""
WITHIN = timedelta(hours=1)
"""A window that does not fill is kept after so long, once it has :data:`LEAST_ROWS`."""
_RESAMPLES = 100
_MANY = 10**9


def keep_windows(registry: Registry, project: Project, now: datetime) -> int:
    """Keep the windows that filled since the last one of this champion; how many.

    Windows are of answers whose truth came in the meantime, in order of the answers' time, each at most
    :data:`WINDOW_ROWS`. Nothing is kept while there is too little truth.
    """
    version, newest = project.champion, registry.datasets.latest(project.id)
    if version is None or newest is None:
        return 0
    last = registry.quality.latest(project.id, WINDOW)
    mine = last is not None and last.model_version == version
    truths = registry.datasets.facts(project.id).truths
    fresh = truths - _noted(last, "truths")
    waited = last is None or now - last.at >= WITHIN
    if fresh < (LEAST_ROWS if waited or not mine else WINDOW_ROWS):
        return 0
    after = _noted(last, "upto") if mine else _before_reign(registry, project)
    scored = registry.datasets.answered(project.id, after=after, upto=newest.batch, model_version=version)
    if scored.num_rows < LEAST_ROWS:
        return 0
    reference = registry.models.get(project.id, version).details.get("score")
    if reference is None:
        return 0
    noted = {"upto": newest.batch, "truths": truths}
    kept = [
        _keep(registry, project, piece, float(reference), noted, now)
        for piece in _pieces(scored.slice(max(0, scored.num_rows - WINDOW_ROWS * MOST_WINDOWS)))
    ]
    return sum(kept)


def _noted(record: QualityRecord | None, name: str) -> int:
    return 0 if record is None else int(record.report[name])


def _before_reign(registry: Registry, project: Project) -> int:
    """The batch after which truths about this champion's own answers can have come."""
    reign = registry.ledger.promotions(project.id, limit=1)
    if not reign:
        return 0
    before = (
        one.number for one in registry.datasets.batches(project.id, limit=200) if one.created_at < reign[0].at
    )
    return next(before, 0)


def _pieces(scored: pa.Table) -> list[pa.Table]:
    """As few windows as there have to be, of about the same size."""
    count = -(-scored.num_rows // WINDOW_ROWS)
    cuts = [scored.num_rows * place // count for place in range(count + 1)]
    return [scored.slice(start, end - start) for start, end in pairwise(cuts)]


def _keep(
    registry: Registry,
    project: Project,
    piece: pa.Table,
    reference: float,
    noted: dict[str, Any],
    now: datetime,
) -> bool:
    task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
    y, p = answers_and_truths(piece, task, schema)
    found = decay(
        y,
        p,
        metric_name=task.metric,
        reference=reference,
        reference_rows=_MANY,  # the error of the live score alone
        alpha=0.05,
        seed=project.epoch,
        resamples=_RESAMPLES,
    )
    if found is None:
        return False
    times = piece["at"]
    assert project.champion is not None
    registry.quality.add(
        project.id,
        model_version=project.champion,
        kind=WINDOW,
        score=found.score,
        reference=reference,
        report={
            "metric": task.metric,
            "rows": found.rows,
            "error": found.error,
            "from": times[0].as_py().isoformat(),
            "to": times[-1].as_py().isoformat(),
            **noted,
        },
        at=now,
    )
    return True
