"""How differently do two models answer the same rows? An effect size between 0 and 1, not a test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from automl.tallies import Values


def prediction_shift(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> float:
    """0 where the answers are distributed alike, 1 where they have nothing in common.

    Numbers and two classes: the Kolmogorov-Smirnov distance of the values, or of the second class's
    probabilities. More classes: the Jensen-Shannon distance (base 2) of the mean probabilities.

    >>> prediction_shift(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    1.0
    """
    if not len(ours) or not len(theirs):
        return 0.0
    if ours.ndim == 2 and ours.shape[1] > 2:
        return _jensen_shannon(ours.mean(axis=0), theirs.mean(axis=0))
    if ours.ndim == 2:
        ours, theirs = ours[:, -1], theirs[:, -1]
    return _kolmogorov_smirnov(ours, theirs)


def _kolmogorov_smirnov(ours: Values, theirs: Values) -> float:
    at = np.concatenate([ours, theirs])
    below = np.searchsorted(np.sort(ours), at, side="right") / len(ours)
    beside = np.searchsorted(np.sort(theirs), at, side="right") / len(theirs)
    return float(np.abs(below - beside).max())


def _jensen_shannon(ours: Values, theirs: Values) -> float:
    middle = (ours + theirs) / 2.0
    total = 0.0
    for part in (ours, theirs):
        held = part > 0
        total += float((part[held] * np.log2(part[held] / middle[held])).sum()) / 2.0
    return float(np.sqrt(min(max(total, 0.0), 1.0)))
