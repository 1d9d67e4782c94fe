"""Random forests and extra trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.native_trees import NativeTrees
from automl.compiled.scorer import EXACT, ByMatrix, OnMatrix, Scorer
from automl.compiled.tree_text import Tree, native
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]

_OWN_FROM = 150
"""Rows from which going through tree after tree is quicker."""


class _OwnTrees(OnMatrix):
    """The forest's own trees one after another, for many rows and for forests too large for anything else."""

    def __init__(self, model: Any, outputs: int, *, numbers: bool) -> None:
        self.description = name_of(model)
        self._trees = [member.tree_ for member in model.estimators_]
        self._outputs = outputs
        self._numbers = numbers

    def many(self, features: Floats) -> Floats:
        narrow = np.ascontiguousarray(features, dtype=np.float32)
        out = np.zeros((len(features), self._outputs))
        for tree in self._trees:
            out += tree.predict(narrow)[:, : self._outputs]
        out /= len(self._trees)
        return out[:, 0] if self._numbers else out


class _Native(ByMatrix):
    """The trees in LightGBM's predictor for few rows, one after another for many: both give the same bits."""

    tolerance = EXACT

    def __init__(self, trees: NativeTrees, own: _OwnTrees, *, numbers: bool) -> None:
        self.description = own.description
        self._trees = trees
        self._own = own
        self._numbers = numbers

    def one(self, features: bytes) -> Floats:
        out = self._trees.one(features)
        return np.array(out) if self._numbers else np.array([out])

    def many(self, features: Floats) -> Floats:
        if len(features) >= _OWN_FROM:
            return self._own.many(features)
        out = self._trees.many(features)
        return out[:, 0] if self._numbers else out


def compile_forest(model: Any, features: int) -> Scorer:
    """From a fitted forest of scikit-learn's."""
    if model.n_outputs_ != 1 or model.n_features_in_ != features:
        raise Unknown(f"{name_of(model)} takes {model.n_features_in_} features, {features} are made")
    numbers = not hasattr(model, "n_classes_")
    outputs = 1 if numbers else int(model.n_classes_)
    own = _OwnTrees(model, outputs, numbers=numbers)
    try:
        trees = native(
            [_tree(member.tree_) for member in model.estimators_],
            features=features,
            outputs=outputs,
            average=True,
            float32=True,
        )
    except Unknown:
        return own
    return _Native(trees, own, numbers=numbers)


def _tree(tree: Any) -> Tree:
    return Tree(
        features=tree.feature,
        thresholds=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        values=tree.value[:, 0, :],
        rows=tree.n_node_samples,
    )
