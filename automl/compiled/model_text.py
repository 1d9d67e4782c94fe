"""Reads the trees out of LightGBM's text of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_CATEGORICAL = 1
_MISSING_SHIFT, _MISSING_MASK, _ZERO_IS_MISSING = 2, 3, 1


@dataclass(frozen=True, slots=True)
class TextTree:
    """Splits and leaves of one tree. Leaves are counted from left to right; a row that is above the threshold of a split
    can't end in those from ``ruled_out[i][0]`` up to, not including, ``ruled_out[i][1]``: all to its left."""

    features: Sequence[int]
    thresholds: Sequence[float]
    ruled_out: Sequence[tuple[int, int]]
    values: Sequence[float]

    @property
    def leaves(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class TextModel:
    trees: Sequence[TextTree]
    objective: str


def text_trees(text: str) -> TextModel | None:
    """The model in this text; None when it averages, splits by category, takes zeros for missing, or has linear leaves."""
    head, *blocks = text.partition("end of trees")[0].split("\nTree=")
    told = dict(line.partition("=")[::2] for line in head.splitlines())
    if "average_output" in told:
        return None
    trees = []
    for block in blocks:
        tree = _tree(dict(line.partition("=")[::2] for line in block.splitlines()))
        if tree is None:
            return None
        trees.append(tree)
    return TextModel(trees, told.get("objective", ""))


def _tree(told: dict[str, str]) -> TextTree | None:
    values = [float(value) for value in told["leaf_value"].split()]
    if int(told.get("num_cat", 0)) or int(told.get("is_linear", 0)):
        return None
    if len(values) == 1:
        return TextTree([], [], [], values)
    for kind in map(int, told["decision_type"].split() if "decision_type" in told else ()):
        if kind & _CATEGORICAL or kind >> _MISSING_SHIFT & _MISSING_MASK == _ZERO_IS_MISSING:
            return None
    left = [int(child) for child in told["left_child"].split()]
    right = [int(child) for child in told["right_child"].split()]
    order, ruled_out = _left_to_right(left, right)
    return TextTree(
        [int(feature) for feature in told["split_feature"].split()],
        [float(threshold) for threshold in told["threshold"].split()],
        ruled_out,
        [values[leaf] for leaf in order],
    )


def _left_to_right(left: Sequence[int], right: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """The leaves from left to right, and for each split the places of those to its left."""
    order: list[int] = []
    ruled_out = [(0, 0)] * len(left)
    waiting: list[tuple[int, int | None]] = [(0, None)]
    while waiting:
        node, first = waiting.pop()
        if node < 0:
            order.append(~node)
        elif first is None:  # on the way down: the left side, then come back, then the right side
            waiting += [(right[node], None), (node, len(order)), (left[node], None)]
        else:
            ruled_out[node] = (first, len(order))
    return order, ruled_out
