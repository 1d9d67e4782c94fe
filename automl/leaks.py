"""Columns that alone say the label almost perfectly: mostly something that is known only afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from automl.columns import ColumnKind, Schema
from automl.metrics import metric
from automl.task import Task

FROM = 0.99
"""ROC AUC (its mean over classes), or R², on rows that the column's own small tree was not fitted on."""
_ROWS = 4_000
_COLUMNS = 300
_LEAVES = 32
_FEWEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A suspected leak: its column, what it scores alone, and a sentence for people."""

    column: str
    score: float
    reason: str


def suspected_leaks(
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    *,
    schema: Schema,
    task: Task,
    seed: int,
    least: float = FROM,
) -> tuple[Leak, ...]:
    """The feature columns that reach ``least`` by themselves, the surest first.

    ``rows`` are typed by the schema, ``y`` class positions or numbers. A sample of at most 4,000 rows is looked at,
    half to fit a tree of 32 leaves on each column (a category by the mean label of its values) and half to score it; text
    is left out. Nothing is dropped: a column may well be that good.
    """
    if len(y) < _FEWEST:
        return ()
    rng = np.random.default_rng([7, seed])
    taken = rng.permutation(len(y))[:_ROWS]
    fit, held = taken[: len(taken) // 2], taken[len(taken) // 2 :]
    found = []
    for name in schema.feature_names(task)[:_COLUMNS]:
        if schema.by_name[name].kind is ColumnKind.TEXT or name not in rows:
            continue
        score = _alone(rows[name], y, fit, held, task, schema.by_name[name].kind)
        if np.isfinite(score) and score >= least:
            measure = "ROC AUC" if task.is_classification else "R²"
            reason = f"{name} alone predicts {task.target} with {measure} {score:.3f}: is it known before the label is?"
            found.append(Leak(column=name, score=score, reason=reason))
    return tuple(sorted(found, key=lambda leak: -leak.score))


def _alone(
    column: pd.Series[Any],
    y: npt.NDArray[Any],
    fit: npt.NDArray[np.intp],
    held: npt.NDArray[np.intp],
    task: Task,
    kind: ColumnKind,
) -> float:
    known, truth = y[fit], y[held]
    if task.is_classification and (len(np.unique(known)) < 2 or len(np.unique(truth)) < 2):
        return float("nan")
    values = _numbers(column, known, fit, kind)
    learnt, asked = values[fit].reshape(-1, 1), values[held].reshape(-1, 1)
    if task.is_classification:
        tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=5).fit(learnt, known)
        p = np.zeros((len(held), len(task.classes)))
        p[:, tree.classes_.astype(int)] = tree.predict_proba(asked)
        return float(metric("roc_auc").score(truth, p))
    tree = DecisionTreeRegressor(max_leaf_nodes=4 * _LEAVES, min_samples_leaf=3).fit(learnt, known)
    return float(metric("r2").score(truth, tree.predict(asked)))


def _numbers(
    column: pd.Series[Any], known: npt.NDArray[Any], fit: npt.NDArray[np.intp], kind: ColumnKind
) -> npt.NDArray[np.float64]:
    """The column as numbers; a category is the mean label of its value among the rows to fit on, NaN where unseen."""
    if kind is ColumnKind.CATEGORICAL:
        texts = column.astype(object).where(column.notna(), "")
        means = pd.Series(known, index=texts.iloc[fit].to_numpy()).astype(float).groupby(level=0).mean()
        return np.asarray(texts.map(means).to_numpy(dtype=np.float64, na_value=np.nan))
    if kind is ColumnKind.DATETIME:
        seconds = (column - column.min()).dt.total_seconds()
        return np.asarray(seconds.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
