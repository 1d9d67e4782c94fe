"""XGBoost models: for few rows their trees in LightGBM's predictor, which is some ten times as quick; for many by the bits
of their leaves, which is up to four times as quick, the more so the smaller the trees are.

Sums are those of XGBoost to the last bit; its exponential in float32 may differ from ours in the last one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.bit_trees import BitTrees, bit_trees
from automl.compiled.native_trees import NativeTrees
from automl.compiled.scorer import SINGLE, Scorer
from automl.compiled.tree_scorer import TreeScorer
from automl.compiled.tree_text import Tree, native
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

_OBJECTIVES = ("binary:logistic", "multi:softprob", "reg:squarederror")
_BITS_FROM = 24
"""Rows from which bits, or XGBoost itself, are quicker."""
_ONE = np.float32(1.0)
_STEEPEST = np.float32(88.7)
"""XGBoost goes no further, where its exponential would overflow."""


class _Boosted(TreeScorer):
    """Leaves by LightGBM's predictor or by their bits, added up in float32 in XGBoost's order, turned into answers as the
    objective says. XGBoost itself answers many rows where some have gaps, or where the trees have no such bits."""

    description = "XGBoost"
    tolerance = SINGLE

    def __init__(
        self,
        booster: Any,
        trees: NativeTrees,
        bits: BitTrees | None,
        values: Sequence[Floats32],
        objective: str,
        outputs: int,
    ) -> None:
        super().__init__(trees)
        self._booster = booster
        self._bits = bits
        self._rounds = (len(values) - outputs) // outputs
        self._objective = objective
        self._outputs = outputs
        self._values = np.concatenate(values)
        self._offsets = np.cumsum([0, *(len(each) for each in values[:-1])])

    @property
    def bits(self) -> BitTrees | None:
        return self._bits

    def read(self, features: Floats) -> Floats:
        return features.astype(np.float32).astype(np.float64)

    def one(self, features: bytes) -> Floats:
        return self.told(self._sums(np.array([self._trees.one(features)])))

    def many(self, features: Floats) -> Floats:
        if len(features) < _BITS_FROM:
            return self.told(self._sums(self._trees.many(features)))
        sums = None if self._bits is None else self._bits(self.read(features))
        if sums is not None:
            return self.told(sums)
        answers = self._booster.inplace_predict(
            features, iteration_range=(0, self._rounds), validate_features=False
        )
        return self._shaped(answers)

    def _sums(self, leaves: Floats) -> Floats32:
        found = self._values[leaves.astype(np.intp) + self._offsets]
        if self._outputs == 1:
            return np.add.accumulate(found, axis=1)[:, -1:]
        rounds = found.reshape(len(found), -1, self._outputs)
        sums: Floats32 = np.add.accumulate(rounds, axis=1)[:, -1]
        return sums

    def told(self, sums: Any) -> Floats:
        if self._objective == "binary:logistic":
            return self._shaped(_ONE / (_ONE + np.exp(-np.maximum(sums[:, 0], -_STEEPEST))))
        if self._objective == "multi:softprob":
            raised = np.exp(sums - sums.max(axis=1, keepdims=True))
            return self._shaped(raised / raised.sum(axis=1, keepdims=True))
        return self._shaped(sums[:, 0])

    def _shaped(self, answers: Floats32) -> Floats:
        if self._objective == "binary:logistic":
            return np.stack((_ONE - answers, answers), axis=1).astype(np.float64)
        return answers.astype(np.float64)


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
    start = _start(learner["learner_model_param"]["base_score"], objective, outputs)
    grown_trees = [_tree(tree) for tree in forest["trees"][:count]]
    trees = native(
        grown_trees, features=features, outputs=outputs, start=start.tolist(), float32=True, leaves=True
    )
    bits = bit_trees(trees.text, outputs=outputs, single=True)
    booster.set_param({"nthread": 1})
    values = [*start[:, None], *(tree.values[tree.left < 0, 0].astype(np.float32) for tree in grown_trees)]
    return _Boosted(booster, trees, bits, values, objective, outputs)


def _rounds(model: Any, trained: int) -> int:
    """Those that count: up to the best, where training was stopped early."""
    try:
        return int(model.best_iteration) + 1
    except AttributeError:
        return trained


def _start(written: str, objective: str, outputs: int) -> Floats32:
    """What sums begin with, before any tree."""
    scores = np.atleast_1d(np.asarray(json.loads(written), dtype=np.float32))
    if objective == "binary:logistic":
        scores = -np.log(np.float32(1.0) / scores - np.float32(1.0))
    return np.broadcast_to(scores, outputs) if scores.size == 1 else scores


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
