"""What a training problem looks like in a few numbers, and which others look like it.

Meta-features as in Feurer et al. 2015, "Efficient and Robust Automated Machine Learning", kept to those that say which
settings are good: size, kinds of columns, holes, classes and how even they are, or the shape of the numbers to predict.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import ColumnKind
from automl.schema import Schema
from automl.task import Task

NEAR = 1.0
"""Two problems further apart than this (in :func:`distance`) have nothing to tell each other."""

_LEAST_SPREADS: Mapping[str, float] = {
    "log_rows": 1.0,
    "log_columns": 0.5,
    "categorical": 0.3,
    "text": 0.2,
    "missing": 0.2,
    "log_classes": 0.5,
    "imbalance": 0.3,
    "skewness": 1.0,
}
"""A difference that counts as one: what the problems known spread by may be more, never less."""

Features = Mapping[str, float]
Name = TypeVar("Name", bound=Hashable)


def meta_features(rows: pd.DataFrame, y: npt.NDArray[Any], *, schema: Schema, task: Task) -> dict[str, float]:
    """Of training rows and their labels (class positions, or numbers); each is finite.

    ``imbalance`` is 1 less the entropy of the classes as a share of what it could be; ``skewness`` is bounded by ±5.
    """
    kinds = [column.kind for column in schema.columns]
    many = max(len(kinds), 1)
    counts = np.bincount(y) if task.is_classification else np.zeros(0)
    return {
        "classification": float(task.is_classification),
        "log_rows": math.log10(max(len(rows), 1)),
        "log_columns": math.log10(many),
        "categorical": sum(kind in (ColumnKind.CATEGORICAL, ColumnKind.BOOLEAN) for kind in kinds) / many,
        "text": sum(kind is ColumnKind.TEXT for kind in kinds) / many,
        "missing": float(rows.isna().to_numpy().mean()) if rows.size else 0.0,
        "log_classes": math.log10(max(len(counts[counts > 0]), 1)),
        "imbalance": _imbalance(counts[counts > 0]) if task.is_classification else 0.0,
        "skewness": 0.0 if task.is_classification else _skewness(np.asarray(y, dtype=np.float64)),
    }


def nearest(mine: Features, others: Mapping[Name, Features], *, most: int) -> list[Name]:
    """The most similar of the others, nearest first; those of another kind of task, or not near, are left out."""
    same = {name: one for name, one in others.items() if one.get("classification") == mine["classification"]}
    spreads = _spreads([mine, *same.values()])
    apart = {name: distance(mine, one, spreads) for name, one in same.items()}
    near = [name for name, far in sorted(apart.items(), key=lambda pair: pair[1]) if far <= NEAR]
    return near[:most]


def distance(one: Features, other: Features, spreads: Features) -> float:
    """The root of the mean squared difference, each in units of its spread; what one lacks counts as a whole unit."""
    gaps = [
        (one[name] - other[name]) / spread if name in one and name in other else 1.0
        for name, spread in spreads.items()
    ]
    return math.sqrt(sum(gap**2 for gap in gaps) / len(gaps))


def _spreads(known: list[Features]) -> dict[str, float]:
    """Standard deviations over the problems known; of few problems they say little, so none is less than usual."""
    return {
        name: max(least, float(np.std([one[name] for one in known if name in one] or [0.0])))
        for name, least in _LEAST_SPREADS.items()
    }


def _imbalance(counts: npt.NDArray[Any]) -> float:
    if len(counts) < 2:
        return 1.0
    shares = counts / counts.sum()
    return float(1.0 + np.sum(shares * np.log(shares)) / np.log(len(counts)))


def _skewness(y: npt.NDArray[np.float64]) -> float:
    spread = float(np.std(y)) if len(y) else 0.0
    if spread <= 0:
        return 0.0
    return float(np.clip(np.mean(((y - np.mean(y)) / spread) ** 3), -5.0, 5.0))
