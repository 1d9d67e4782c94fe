"""A pipeline's word on rows, in the one shape that metrics and the judge read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from automl.task import Label, Task

if TYPE_CHECKING:  # each takes long to import, and nothing here but their names is needed
    import pandas as pd
    from sklearn.pipeline import Pipeline


def predictions(pipeline: Pipeline, rows: pd.DataFrame, task: Task) -> npt.NDArray[np.float64]:
    """Probabilities of shape (n, K) in the order of ``task.classes``, or numbers of shape (n,)."""
    if task.is_classification:
        return np.asarray(pipeline.predict_proba(rows), dtype=np.float64)
    return np.asarray(pipeline.predict(rows), dtype=np.float64)


def aligned(
    probabilities: npt.NDArray[np.float64], known: Sequence[Label], classes: Sequence[Label]
) -> npt.NDArray[np.float64]:
    """Probabilities over ``known`` classes as ones over ``classes``; a class the model never knew gets 0."""
    if tuple(known) == tuple(classes):
        return probabilities
    out = np.zeros((len(probabilities), len(classes)))
    for position, label in enumerate(known):
        out[:, list(classes).index(label)] = probabilities[:, position]
    return out


def answer_gap(answers: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> float:
    """The largest difference between two sets of answers, relative above 1; infinite where one is no number or the
    shapes differ.

    >>> answer_gap(np.array([0.5, 100.0]), np.array([0.5, 100.0]))
    0.0
    """
    if answers.shape != expected.shape:
        return float("inf")
    if not answers.size:
        return 0.0
    gap = float(np.max(np.abs(answers - expected) / (1 + np.abs(expected))))
    return gap if np.isfinite(gap) else float("inf")


def latency_ms(pipeline: Pipeline, rows: pd.DataFrame, task: Task, *, calls: int = 15) -> float:
    """The median milliseconds of predicting one row, after one call that is not counted."""
    one: Any = rows.iloc[:1]
    predictions(pipeline, one, task)
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        predictions(pipeline, one, task)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken) * 1000)


def encoded(pipeline: Pipeline, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The numeric features (n, d) that the pipeline's own preprocessing makes of rows, before any model's steps."""
    steps = pipeline.steps
    last = next(place for place, (name, _) in enumerate(steps) if name == "encode")
    return np.asarray(pipeline[: last + 1].transform(rows), dtype=np.float64)
