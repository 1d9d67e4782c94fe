"""XGBoost models: their trees in LightGBM's predictor, which is some ten times as quick for one row.

XGBoost adds up in float32, so that answers agree to about 1e-7 of their size and not to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from automl.compiled.native_trees import NativeTrees
from automl.compiled.scorer import Scorer, pairs
from automl.compiled.tree_text import Tree, native
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]

_OBJECTIVES = ("binary:logistic", "multi:softprob", "reg:squarederror")


class _Boosted:
    """Sums over trees, turned into answers as the objective says."""

    description = "XGBoost"

    def __init__(self, trees: NativeTrees, objective: str) -> None:
        self._trees = trees
        self._objective = objective

    def one(self, features: bytes) -> Floats:
        return self._answers(np.array([self._trees.one(features)]))

    def many(self, features: Floats) -> Floats:
        return self._answers(self._trees.many(features))

    def _answers(self, sums: Floats) -> Floats:
        if self._objective == "binary:logistic":
            return pairs(expit(sums[:, 0]))
        return sums[:, 0] if self._objective == "reg:squarederror" else np.asarray(softmax(sums, axis=1))


def compile_xgboost(model: Any, features: int) -> Scorer:
    """From a fitted XGBClassifier or XGBRegressor of boosted trees."""
    booster = model.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    grown, objective = learner["gradient_booster"], learner["objective"]["name"]
    if grown["name"] != "gbtree" or objective not in _OBJECTIVES or booster.num_features() != features:
        raise Unknown(f"{name_of(model)} is of {grown['name']} for {objective}, or takes other features")
    forest = grown["model"]
    if any(any(tree["split_type"]) for tree in forest["trees"]):
        raise Unknown(f"{name_of(model)} has categories of its own")
    outputs = int(learner["learner_model_param"]["num_class"]) or 1
    rounds = _rounds(model, len(forest["iteration_indptr"]) - 1)
    count = forest["iteration_indptr"][rounds]
    if forest["tree_info"][:count] != [at % outputs for at in range(count)]:
        raise Unknown(f"{name_of(model)} has its trees in another order")
    trees = native(
        [_tree(tree) for tree in forest["trees"][:count]],
        features=features,
        outputs=outputs,
        start=_start(learner["learner_model_param"]["base_score"], objective, outputs),
        float32=True,
    )
    return _Boosted(trees, objective)


def _rounds(model: Any, trained: int) -> int:
    """Those that count: up to the best, where training was stopped early."""
    try:
        return int(model.best_iteration) + 1
    except AttributeError:
        return trained


def _start(written: str, objective: str, outputs: int) -> list[float]:
    """What sums begin with, before any tree."""
    scores = np.atleast_1d(np.asarray(json.loads(written), dtype=np.float32))
    if objective == "binary:logistic":
        scores = -np.log(np.float32(1.0) / scores - np.float32(1.0))
    spread = np.broadcast_to(scores, outputs) if scores.size == 1 else scores
    return [float(score) for score in spread]


def _tree(tree: Mapping[str, Any]) -> Tree:
    conditions = np.asarray(tree["split_conditions"], dtype=np.float32)
    # XGBoost goes left below the threshold, not at it.
    thresholds = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    hessians = np.asarray(tree["sum_hessian"], dtype=np.float64)
    return Tree(
        features=np.asarray(tree["split_indices"]),
        # The number below zero is one that LightGBM would take as zero: a smaller one parts the same rows.
        thresholds=np.where(conditions == 0, -1.1e-35, thresholds),
        left=np.asarray(tree["left_children"]),
        right=np.asarray(tree["right_children"]),
        values=conditions.astype(np.float64)[:, None],
        rows=np.maximum(np.rint(hessians * 1000), 1).astype(np.int64),
    )
