"""What LightGBM does with the sums over its trees, by the objective that its text names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Link = Callable[[Floats], Floats]


def link_of(objective: str) -> Link | None:
    """What LightGBM does with sums for this objective, as its text writes it; None where that is not known here."""
    make = _LINKS.get(objective.partition(" ")[0])
    return None if make is None else make(objective)


def _plain(objective: str) -> Link | None:
    return None if "sqrt" in objective else lambda sums: sums


def _logistic(objective: str) -> Link | None:
    _, _, steepness = objective.partition("sigmoid:")
    slope = float(steepness.split()[0]) if steepness else 1.0
    return lambda sums: 1.0 / (1.0 + _exp(-slope * sums))


def _softmax(objective: str) -> Link | None:
    def link(sums: Floats) -> Floats:
        powers = _exp(sums - sums.max(axis=1, keepdims=True))
        total = np.zeros(len(sums))
        for column in powers.T:  # in LightGBM's order
            total += column
        return powers / total[:, None]

    return link


def _exp(numbers: Floats) -> Floats:
    """The C library's, as in LightGBM: numpy's own differs in the last bit."""
    return np.fromiter(map(math.exp, numbers.ravel().tolist()), np.float64, numbers.size).reshape(
        numbers.shape
    )


_LINKS: Mapping[str, Callable[[str], Link | None]] = {
    "": _plain,
    "regression": _plain,
    "regression_l1": _plain,
    "huber": _plain,
    "quantile": _plain,
    "binary": _logistic,
    "multiclass": _softmax,
}
