"""Histogram boosting of scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.native_trees import NativeTrees
from automl.compiled.scorer import EXACT, Scorer
from automl.compiled.tree_scorer import TreeScorer
from automl.compiled.tree_text import Tree, native
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]


class _Boosted(TreeScorer):
    """Sums over trees, turned into answers by the model's own loss."""

    tolerance = EXACT

    def __init__(self, model: Any, trees: NativeTrees, *, numbers: bool) -> None:
        super().__init__(trees)
        self.description = name_of(model)
        self._loss = model._loss
        self._numbers = numbers

    def one(self, features: bytes) -> Floats:
        return self.told(np.array([self._trees.one(features)]))

    def told(self, sums: Floats) -> Floats:
        flat = sums[:, 0] if sums.shape[1] == 1 else sums
        answers = self._loss.link.inverse(flat) if self._numbers else self._loss.predict_proba(flat)
        return np.asarray(answers, dtype=np.float64)


def compile_histogram(model: Any, features: int) -> Scorer:
    """From a fitted HistGradientBoosting model without categories of its own."""
    if getattr(model, "_preprocessor", None) is not None or model.n_features_in_ != features:
        raise Unknown(f"{name_of(model)} has categories of its own, or takes other features")
    outputs = int(model.n_trees_per_iteration_)
    trees = native(
        [_tree(predictor.nodes) for together in model._predictors for predictor in together],
        features=features,
        outputs=outputs,
        start=np.ravel(model._baseline_prediction).tolist(),
    )
    return _Boosted(model, trees, numbers=not hasattr(model, "classes_"))


def _tree(nodes: Any) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        features=nodes["feature_idx"],
        thresholds=nodes["num_threshold"],
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        values=nodes["value"][:, None],
        rows=nodes["count"],
    )
