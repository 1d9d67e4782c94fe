"""Trees of other libraries in LightGBM's text format, so that its predictor can answer for them.

That predictor goes through hundreds of trees in microseconds, and gives contributions of features as well, for which
each node says how many rows it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.native_trees import LEAF, NORMAL, NativeTrees
from automl.compiled.unknown import Unknown

Floats = npt.NDArray[np.float64]

MOST_LEAVES = 300_000
"""Leaves of all trees together; more of them take too long to write down and to read."""
_NO_SMALLER = 1e-35
"""LightGBM takes numbers below as zero, so that a threshold there would part other rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Nodes from the root at 0; a leaf's children are negative. A row goes left where its feature is at most the
    threshold. ``values`` (nodes, m) are used at leaves: a tree may count for m outputs at once. ``rows`` is how many
    rows of training a node saw."""

    features: npt.NDArray[Any]
    thresholds: Floats
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]
    values: Floats
    rows: npt.NDArray[Any]

    @property
    def leaves(self) -> int:
        return int((self.left < 0).sum())


def native(
    trees: Sequence[Tree],
    *,
    features: int,
    outputs: int,
    start: Sequence[float] = (),
    average: bool = False,
    float32: bool = False,
    leaves: bool = False,
) -> NativeTrees:
    """A predictor of sums over trees, tree after tree, beginning at ``start``, or of averages.

    Trees come output after output, round after round; ``float32`` says that features lose their last digits first.
    With ``leaves`` the answer is which leaf of each tree is reached (those of ``start`` have one).
    Raises Unknown where there are too many leaves, or thresholds that LightGBM would not tell from zero.
    """
    if sum(tree.leaves * tree.values.shape[1] for tree in trees) > MOST_LEAVES:
        raise Unknown(f"the trees have more than {MOST_LEAVES:,} leaves")
    for tree in trees:
        inner = np.abs(tree.thresholds[tree.left >= 0])
        if not (np.isfinite(inner) & ((inner == 0) | (inner > _NO_SMALLER))).all():
            raise Unknown("the trees have thresholds all but zero")
    texts = [_constant(value) for value in start]
    for tree in trees:
        texts += _texts(tree)
    blocks = [f"Tree={at}\n{text}\n\n" for at, text in enumerate(texts)]
    lines = [
        "tree",
        "version=v4",
        f"num_class={outputs}",
        f"num_tree_per_iteration={outputs}",
        "label_index=0",
        f"max_feature_idx={features - 1}",
        "feature_names=" + " ".join(f"f{at}" for at in range(features)),
        "feature_infos=" + " ".join(["none"] * features),
        *(["average_output"] if average else []),
        "tree_sizes=" + " ".join(str(len(block)) for block in blocks),
    ]
    text = "\n".join(lines) + "\n\n" + "".join(blocks) + "end of trees\n"
    return NativeTrees(
        text,
        features=features,
        outputs=len(texts) if leaves else outputs,
        kind=LEAF if leaves else NORMAL,
        float32=float32,
    )


def _constant(value: float) -> str:
    return f"num_leaves=1\nnum_cat=0\nleaf_value={value!r}\nis_linear=0\nshrinkage=1"


def _texts(tree: Tree) -> list[str]:
    """The tree once for each output it counts for."""
    leaf, outputs = tree.left < 0, tree.values.shape[1]
    if leaf[0]:
        return [_constant(float(tree.values[0, output])) for output in range(outputs)]
    # LightGBM counts inner nodes and leaves apart, and writes a leaf as the complement of its number.
    place = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1)
    inner = ~leaf
    head = [
        f"num_leaves={int(leaf.sum())}",
        "num_cat=0",
        f"split_feature={_joined(tree.features[inner])}",
        f"threshold={_joined(tree.thresholds[inner])}",
        f"left_child={_joined(place[tree.left[inner]])}",
        f"right_child={_joined(place[tree.right[inner]])}",
        f"leaf_count={_joined(tree.rows[leaf])}",
        f"internal_count={_joined(tree.rows[inner])}",
        "is_linear=0",
        "shrinkage=1",
    ]
    return [
        "\n".join([*head, f"leaf_value={_joined(tree.values[leaf, output])}"]) for output in range(outputs)
    ]


def _joined(numbers: npt.NDArray[Any]) -> str:
    return " ".join(map(repr, numbers.tolist()))
