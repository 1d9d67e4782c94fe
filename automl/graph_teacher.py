"""A teacher that uses what a supervised one can't: where the unlabelled rows lie.

Labels spread along the graph of nearest neighbours (Zhou et al. 2004, "Learning with local and global
consistency"), so a class is carried along a dense region to places with no labelled row. It is trained on true
labels only, and so is of the first generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import StandardScaler

from automl.tallies import Positions, Values

_ROUNDS = 60
_KEPT = 0.95
"""How much of a row's word comes from its neighbours; the rest is its own label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What :func:`automl.pseudo_labels.select` takes: (M, n, K) for the pool, (m, K) out of fold for the labelled rows."""

    probabilities: Values
    calibration: Values


def graph_teacher(
    labelled: npt.NDArray[Any],
    y: npt.NDArray[Any],
    pool: npt.NDArray[Any],
    *,
    classes: int,
    seed: int,
    folds: int = 5,
    neighbours: int = 10,
) -> Taught:
    """Spread the labels ``y`` (m,) of ``labelled`` (m, d) over ``pool`` (n, d), once without each fold of them.

    Both are numeric matrices of one encoding, scaled here. Each of the M = ``folds`` models leaves out a
    fold of the labels, whose rows it then gives its word on: that is the calibration. Memory and time grow
    with (m + n) * ``neighbours``, so give it a sample of a large pool. Raises ValueError where a class has fewer than two
    labelled rows: it could not be left out.
    """
    truth = np.asarray(y, dtype=np.intp)
    m, rows = len(truth), np.vstack([labelled, pool])
    counts = np.bincount(truth, minlength=classes)
    if len(counts) > classes or counts.min() < 2:
        raise ValueError(f"every one of the {classes} classes needs two labelled rows or more")
    folds = min(folds, int(counts.min()))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    parts = [test for _, test in splitter.split(np.zeros(m), truth)]
    graph = _graph(rows, min(neighbours, len(rows) - 1))
    spread = _spread(graph, _seeds(truth, parts, len(rows), classes), classes)
    calibration = np.empty((m, classes))
    for fold, part in enumerate(parts):
        calibration[part] = spread[fold, part]
    return Taught(probabilities=spread[:, m:], calibration=calibration)


def _graph(rows: npt.NDArray[Any], neighbours: int) -> Any:
    """The symmetrically normalised graph of nearest neighbours, near ones heavier."""
    scaled = StandardScaler().fit_transform(rows)
    distances = kneighbors_graph(scaled, neighbours, mode="distance", include_self=False)
    # the scale is local (Zelnik-Manor & Perona 2004): sparse regions are connected as well as dense ones
    far = np.maximum(distances.max(axis=1).toarray().ravel(), 1e-12)
    distances.data = np.exp(-np.square(distances.data / np.repeat(far, np.diff(distances.indptr))))
    weights = distances.maximum(distances.T)
    root = sparse.diags_array(1.0 / np.sqrt(np.maximum(np.asarray(weights.sum(axis=1)).ravel(), 1e-12)))
    return (root @ weights @ root).tocsr()


def _seeds(truth: Positions, parts: list[Positions], rows: int, classes: int) -> Values:
    """The labels each fold starts from, (rows, folds * classes); each class weighs its share in all of them."""
    seeds = np.zeros((rows, len(parts), classes))
    for fold, part in enumerate(parts):
        kept = np.setdiff1d(np.arange(len(truth)), part)
        seeds[kept, fold, truth[kept]] = 1.0
    return seeds.reshape(rows, -1)


def _spread(graph: Any, seeds: Values, classes: int) -> Values:
    """Probabilities (folds, rows, K) after the labels have spread; where none arrives, the classes' shares."""
    word = seeds.copy()
    for _ in range(_ROUNDS):
        word = _KEPT * (graph @ word) + (1.0 - _KEPT) * seeds
    shaped = np.moveaxis(word.reshape(len(word), -1, classes), 1, 0)
    shares = seeds.sum(axis=0).reshape(-1, 1, classes)
    reached = shaped + 1e-12 * shares
    return np.asarray(reached / reached.sum(axis=2, keepdims=True), dtype=np.float64)
