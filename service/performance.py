"""Live quality: what was answered, beside the truth that came later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.metrics import metric
from automl.schema import Schema
from automl.task import Task
from registry.records import Project, QualityRecord
from registry.store import Registry

WINDOW_ROWS = 1_000
MOST_ROWS = 200_000


def performance(registry: Registry, project: Project) -> dict[str, Any]:
    """The project's metric on answered rows whose truth is known: in all, by model version, and by windows
    of 1,000 answers in order of time. Looks at the newest 200,000 such rows. Beside it the newest looks at the
    champion, with truth and without."""
    task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
    scored = registry.datasets.scored(project.id, limit=MOST_ROWS)
    scored = scored.sort_by([("at", "ascending")])
    y, p = answers_and_truths(scored, task, schema)
    versions = np.asarray(scored["model_version"].to_numpy(), dtype=np.int64)
    times = scored["at"].to_pylist()
    return {
        "metric": task.metric,
        "rows": len(y),
        "score": _score(task, y, p),
        "by_version": [
            {"version": int(version), "rows": int(mine.sum()), "score": _score(task, y[mine], p[mine])}
            for version in np.unique(versions)
            for mine in [versions == version]
        ],
        "windows": [
            {
                "from": times[start],
                "to": times[min(start + WINDOW_ROWS, len(y)) - 1],
                "rows": len(y[start : start + WINDOW_ROWS]),
                "score": _score(task, y[start : start + WINDOW_ROWS], p[start : start + WINDOW_ROWS]),
            }
            for start in range(0, len(y), WINDOW_ROWS)
        ],
        "champion": side_by_side(registry, project),
    }


def answers_and_truths(
    scored: pa.Table, task: Task, schema: Schema
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Truths as class positions or numbers, and answers as probabilities (n, K) or numbers (n,)."""
    labels = scored["label"].to_pylist()
    if not task.is_classification:
        truth = np.array([float(label) for label in labels], dtype=np.float64)
        return truth, np.asarray(scored["score"].to_numpy(), dtype=np.float64)
    position: Mapping[str, int] = {
        schema.target.text(label): place for place, label in enumerate(task.classes)
    }
    y = np.array([position[label] for label in labels], dtype=np.int64)
    return y, answers(scored, task, len(task.classes))


def answers(scored: pa.Table, task: Task, classes: int) -> npt.NDArray[np.float64]:
    """Answers as probabilities (n, ``classes``), or numbers (n,)."""
    if not task.is_classification:
        return np.asarray(scored["score"].to_numpy(), dtype=np.float64)
    p = np.zeros((len(scored), classes))
    for row, shares in enumerate(scored["probabilities"].to_pylist()):
        p[row, : len(shares)] = shares
    return p


def unit_of_drop(registry: Registry, project: Project) -> float:
    """What a policy's ``max_drop`` is a share of: 1, or the naive baseline's error for metrics without a scale."""
    assert project.champion is not None
    if project.task["metric"] not in ("rmse", "mae"):
        return 1.0
    model = registry.models.get(project.id, project.champion)
    verdict = {} if model.run is None else registry.runs.get(project.id, model.run).verdict or {}
    return float(verdict.get("baseline_score") or 1.0)


def side_by_side(registry: Registry, project: Project) -> dict[str, Any]:
    """The newest look at the champion's live quality with truth (``realised``) and without (``estimated``), and
    at whether its answers have moved; each None until there was one. ``not_estimated`` says why there can be
    no estimate for this champion."""
    found: dict[str, Any] = {
        kind: None if record is None or record.model_version != project.champion else _seen(record)
        for kind in ("realised", "estimated", "prediction_drift")
        for record in [registry.quality.latest(project.id, kind)]
    }
    model = None if project.champion is None else registry.models.get(project.id, project.champion)
    return {**found, "not_estimated": None if model is None else model.details.get("not_estimated")}


def _seen(record: QualityRecord) -> dict[str, Any]:
    return {
        "at": record.at,
        "model_version": record.model_version,
        "score": record.score,
        "reference": record.reference,
        **record.report,
    }


def _score(task: Task, y: npt.NDArray[Any], p: npt.NDArray[np.float64]) -> float | None:
    """The metric, or None where it says nothing (no rows, one class only)."""
    if len(y) == 0 or (task.is_classification and len(np.unique(y)) < 2):
        return None
    value = metric(task.metric).score(y, p)
    return float(value) if np.isfinite(value) else None
