"""Does the champion answer otherwise than it did when it was judged?

One pinned effect size, that of numeric features in :mod:`automl.drift`: the Wasserstein distance in standard
deviations of the reference, here of each class's probability (the largest counts) or of the numbers a
regression gives. Light: numpy and SciPy only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts come when they are first used

_CHANCE = 3.5
"""Standard errors of a difference of means that chance alone may make."""
_FLAT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionDrift:
    """``effect`` is the largest distance of a column, ``threshold`` where it counts for so many rows;
    ``column`` the class position (0 for numbers). Means are of that column."""

    effect: float
    threshold: float
    column: int
    mean_reference: float
    mean_current: float
    rows_reference: int
    rows_current: int

    @property
    def moved(self) -> bool:
        return self.effect >= self.threshold

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "moved": self.moved}


def prediction_drift(
    reference: npt.NDArray[Any], current: npt.NDArray[Any], *, threshold: float
) -> PredictionDrift:
    """Compare answers (n, K) or (n,) with those of the reference rows (m, K) or (m,) by the same model.

    A small window is a noisy one: the effect also has to exceed 3.5 standard errors of a difference of two
    means. Raises ValueError on shapes that don't fit, or without rows.
    """
    old, new = _columns(reference), _columns(current)
    if old.shape[1] != new.shape[1] or not len(old) or not len(new):
        raise ValueError(f"answers {np.shape(current)} can't be compared with {np.shape(reference)}")
    effects = [_distance(old[:, k], new[:, k]) for k in range(old.shape[1])]
    # a second class's probability is the first one's complement
    column = 1 if len(effects) == 2 else int(np.argmax(effects))
    return PredictionDrift(
        effect=effects[column],
        threshold=max(threshold, _CHANCE * math.sqrt(1 / len(old) + 1 / len(new))),
        column=column,
        mean_reference=float(old[:, column].mean()),
        mean_current=float(new[:, column].mean()),
        rows_reference=len(old),
        rows_current=len(new),
    )


def _columns(answers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    given = np.asarray(answers, dtype=np.float64)
    return given[:, None] if given.ndim == 1 else given


def _distance(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> float:
    spread = float(old.std())
    if spread <= _FLAT * max(abs(float(old.mean())), 1.0):  # the same answer for every row
        spread = max(abs(float(old.mean())), _FLAT)
    return float(scipy.stats.wasserstein_distance(old, new)) / spread
