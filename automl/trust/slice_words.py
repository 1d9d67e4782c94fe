"""The way to a leaf of a tree, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from sklearn.tree import DecisionTreeRegressor

from automl.columns import ColumnKind
from automl.trust.sides import Side


@dataclass(slots=True, kw_only=True)
class _Bounds:
    low: float = -math.inf
    high: float = math.inf
    missing: bool = True


def said(tree: DecisionTreeRegressor, features: Sequence[Side], leaf: int) -> str:
    """What holds for the rows of a leaf: ``age above 41.5 and plan is basic``; all rows where nothing was asked."""
    bounds: dict[int, _Bounds] = {}
    for node, left in _way(tree, leaf):
        at = int(tree.tree_.feature[node])
        found = bounds.setdefault(at, _Bounds())
        threshold = float(tree.tree_.threshold[node])
        if left:
            found.high = min(found.high, threshold)
        else:
            found.low = max(found.low, threshold)
        found.missing = found.missing and bool(tree.tree_.missing_go_to_left[node]) is left
    return " and ".join(_told(features[at], found) for at, found in bounds.items()) or "all rows"


def _way(tree: DecisionTreeRegressor, leaf: int) -> list[tuple[int, bool]]:
    """The nodes above a leaf from the root on, each with whether the way goes left there."""
    parents: dict[int, tuple[int, bool]] = {}
    for node in range(tree.tree_.node_count):
        for child, left in ((tree.tree_.children_left[node], True), (tree.tree_.children_right[node], False)):
            if child != -1:
                parents[int(child)] = (node, left)
    way: list[tuple[int, bool]] = []
    while leaf in parents:
        node, left = parents[leaf]
        way.append((node, left))
        leaf = node
    return way[::-1]


def _told(side: Side, bounds: _Bounds) -> str:
    name = side.column
    if side.kind is ColumnKind.CATEGORICAL:
        yes = bounds.low > 0
        if side.word is None:
            return f"{name} is {'missing' if yes else 'given'}"
        return f"{name} is {side.word}" if yes else f"{name} is not {side.word}"
    if side.kind is ColumnKind.BOOLEAN:
        told = f"{name} is {'true' if bounds.low > 0 else 'false'}"
    elif math.isinf(bounds.low):
        told = f"{name} up to {_value(side, bounds.high)}"
    elif math.isinf(bounds.high):
        told = f"{name} above {_value(side, bounds.low)}"
    else:
        told = f"{name} above {_value(side, bounds.low)} up to {_value(side, bounds.high)}"
    gaps = bool((side.values != side.values).any())
    return f"({told} or missing)" if gaps and bounds.missing else told


def _value(side: Side, bound: float) -> str:
    if side.kind is ColumnKind.DATETIME:
        return str(pd.Timestamp(bound, unit="D").isoformat(timespec="minutes"))
    return f"{bound:.6g}"
