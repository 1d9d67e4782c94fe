"""LightGBM models."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.native_trees import NativeTrees
from automl.compiled.scorer import EXACT, Scorer, pair, pairs
from automl.compiled.tree_scorer import TreeScorer
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]


class _Values(TreeScorer):
    """Numbers."""

    description = "LightGBM"
    tolerance = EXACT

    def one(self, features: bytes) -> Floats:
        return np.array(self._trees.one(features))

    def told(self, sums: Floats) -> Floats:
        return sums[:, 0]


class _TwoClasses(_Values):
    def one(self, features: bytes) -> Floats:
        return pair(self._trees.one(features)[0])

    def told(self, sums: Floats) -> Floats:
        return pairs(sums[:, 0])


class _Classes(_Values):
    def one(self, features: bytes) -> Floats:
        return np.array([self._trees.one(features)])

    def told(self, sums: Floats) -> Floats:
        return sums


def compile_lightgbm(model: Any, features: int) -> Scorer:
    """From a fitted LGBMClassifier or LGBMRegressor. Raises Unknown for what they answer otherwise than as usual."""
    if callable(model.objective_):
        raise Unknown(f"{name_of(model)} has an objective of its own")
    booster = model.booster_
    if booster.dump_model(num_iteration=1).get("pandas_categorical"):
        raise Unknown(f"{name_of(model)} was trained on categories of pandas")
    classes = int(model.n_classes_) if hasattr(model, "n_classes_") else 0
    text = booster.model_to_string(num_iteration=int(booster.best_iteration))
    trees = NativeTrees(text, features=features, outputs=classes if classes > 2 else 1)
    if classes > 2:
        return _Classes(trees)
    return _TwoClasses(trees) if classes else _Values(trees)
