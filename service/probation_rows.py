"""Shadow answers as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.schema import Schema
from automl.task import Task

Arrays = tuple[npt.NDArray[Any], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def answers(
    table: pa.Table, task: Task, classes: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The champion's and the shadow's answers: probabilities (n, classes) or numbers (n,)."""
    if not task.is_classification:
        ours, theirs = table["champion_score"].to_numpy(), table["score"].to_numpy()
        return np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    return _shares(table["champion_probabilities"], classes), _shares(table["probabilities"], classes)


def truths_and_answers(table: pa.Table, task: Task, schema: Schema, classes: int) -> Arrays:
    """Truths as class positions or numbers, and both models' answers.

    Left out is a row with a class that came after the probation began, which neither model can know, and one
    to which either answered with no number.
    """
    labels = table["label"].to_pylist()
    ours, theirs = answers(table, task, classes)
    if task.is_classification:
        position = {schema.target.text(label): place for place, label in enumerate(task.classes[:classes])}
        y: npt.NDArray[Any] = np.array([position.get(label, -1) for label in labels], dtype=np.int64)
        usable = (y >= 0) & np.isfinite(ours).all(axis=1) & np.isfinite(theirs).all(axis=1)
    else:
        y = np.array([float(label) for label in labels], dtype=np.float64)
        usable = np.isfinite(y) & np.isfinite(ours) & np.isfinite(theirs)
    return y[usable], ours[usable], theirs[usable]


def _shares(column: pa.ChunkedArray, classes: int) -> npt.NDArray[np.float64]:
    out = np.zeros((len(column), classes))
    for row, shares in enumerate(column.to_pylist()):
        kept = shares[:classes]
        out[row, : len(kept)] = kept
    return out
