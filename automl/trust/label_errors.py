"""Labels that are likely wrong: what a model that never saw a row says surely, and its label denies.

Confident learning (Northcutt, Jiang & Chuang 2021) by cleanlab, on probabilities that are out of sample: a quick model of
the house's own, trained on four fifths of the rows and asked about the last. Of numbers, errors of prediction far out of the
usual. What is named is to be looked at by a person. Nothing is deleted or changed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

from automl.errors import SearchFailed
from automl.quick import quick_model
from automl.schema import Schema
from automl.task import Task

Values = npt.NDArray[np.float64]

FEWEST = 100
_MOST = 5_000
_LEAST = 1_000
_SPEED = 150_000
"""Rows times features times classes that the quick model is trained on and asked about in a second."""
_FOLDS = 5
_SUREST = 3
_FAR = 8.0
"""Of a number's error, in spreads of the middle half of all errors, beyond its own quarter."""


def rows_within(seconds: float, columns: int, classes: int) -> int:
    """So many rows can be looked at in this time: at least 1,000, at most 5,000."""
    each = max(columns, 1) * (classes if classes > 2 else 1)
    return int(np.clip(seconds * _SPEED / each, _LEAST, _MOST))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suspects:
    """Of n rows: ``suspected`` says which labels are to be looked at, ``sure`` (0 to 1) how surely the model says another,
    ``says`` which class position, or what number."""

    suspected: npt.NDArray[np.bool_]
    sure: Values
    says: Values
    denied: int
    surest: int

    @property
    def share(self) -> float:
        return float(self.suspected.mean()) if len(self.suspected) else 0.0

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """The places of those suspected, the surest first."""
        places = np.flatnonzero(self.suspected)
        return places[np.argsort(-self.sure[places], kind="stable")]


def out_of_sample(
    rows: pd.DataFrame, y: npt.NDArray[Any], *, schema: Schema, task: Task, seed: int
) -> Values | None:
    """Probabilities (n, K), or numbers (n,), of a quick model that was not trained on the row it is asked about. None where
    the rows can't be learnt from: too few, of one class, without a column that varies."""
    if len(y) < FEWEST:
        return None
    by_class = task.is_classification and np.unique(y, return_counts=True)[1].min() >= _FOLDS
    folds = (StratifiedKFold if by_class else KFold)(_FOLDS, shuffle=True, random_state=seed)
    said = np.zeros((len(y), len(task.classes)) if task.is_classification else len(y))
    try:
        for train, asked in folds.split(np.zeros(len(y)), y):
            X = rows.iloc[train].reset_index(drop=True)
            model = quick_model(X, y[train], schema=schema, task=task, seed=seed)
            answer = model.predict_proba if task.is_classification else model.predict
            said[asked] = answer(rows.iloc[asked])
    except SearchFailed:
        return None
    return said


def suspects(y: npt.NDArray[Any], said: Values, task: Task) -> Suspects:
    """Which labels ``y`` (class positions, or numbers) the answers ``said`` speak against."""
    return _classes(y, said) if task.is_classification else _numbers(y, said)


def _classes(y: npt.NDArray[Any], said: Values) -> Suspects:
    from cleanlab.filter import find_label_issues

    present = np.unique(y)
    suspected = np.zeros(len(y), dtype=bool)
    if len(present) > 1:
        known = said[:, present]
        known = np.clip(known, 1e-9, None) / np.clip(known, 1e-9, None).sum(axis=1, keepdims=True)
        with warnings.catch_warnings():  # of classes with few rows
            warnings.simplefilter("ignore")
            suspected = find_label_issues(
                np.searchsorted(present, y), known, filter_by="prune_by_noise_rate", n_jobs=1
            )
    best, wrong = said.argmax(axis=1), said.argmax(axis=1) != y
    surest = np.argsort(-said.max(axis=1), kind="stable")[: max(len(y) // _SUREST, 1)]
    own = said[np.arange(len(y)), y.astype(np.intp)]
    return Suspects(
        suspected=np.asarray(suspected, dtype=bool) & wrong,
        sure=np.clip(said.max(axis=1) - own, 0.0, 1.0),
        says=best.astype(np.float64),
        denied=int(wrong[surest].sum()),
        surest=len(surest),
    )


def _numbers(y: npt.NDArray[Any], said: Values) -> Suspects:
    """Errors beyond the quarters by more than eight times their distance (Tukey's far out is three)."""
    errors = np.asarray(y, dtype=np.float64) - said
    lower, upper = np.percentile(errors, (25, 75))
    spread = float(upper - lower) or float(np.abs(errors).mean()) or 1.0
    beyond = np.maximum(lower - errors, errors - upper) / spread
    return Suspects(
        suspected=beyond > _FAR,
        sure=1.0 - 1.0 / (1.0 + np.clip(beyond, 0.0, None)),
        says=said,
        denied=int(np.sum(beyond > _FAR)),
        surest=len(errors),
    )
