"""Probabilities made honest with one number: temperature scaling (Guo et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts come when they are first used

Values = npt.NDArray[np.float64]

_SMALLEST = 1e-6
"""Trees and neighbours say 0; no count of training rows is reason for less than this."""
_HOTTEST = math.log(20.0)
_PRIOR = 0.5
"""How far the log of the temperature is expected to lie from 0: few rows may not make a model sure."""


def tempered(probabilities: npt.NDArray[Any], temperature: float) -> Values:
    """Probabilities ``p ** (1 / temperature)``, normalised over the last axis. Above 1 flattens, below sharpens."""
    logits = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), _SMALLEST, 1.0)) / temperature
    return np.asarray(
        np.exp(logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)), dtype=np.float64
    )


def temperature(probabilities: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """The temperature that makes these probabilities (m, K) fit the labels (m,) they were given for best.

    The rows must be ones the model was not trained on. Least log loss with a normal prior on the log of the
    temperature, so that a handful of rows moves it little. 1 where there are no rows.
    """
    labels = np.asarray(y, dtype=np.intp)
    if not len(labels):
        return 1.0
    logits = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), _SMALLEST, 1.0))
    given = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]

    def cost(log_temperature: float) -> float:
        heat = math.exp(log_temperature)
        loss = float(np.sum(scipy.special.logsumexp(logits / heat, axis=1) - given / heat))
        return loss + log_temperature**2 / (2 * _PRIOR**2)

    found = scipy.optimize.minimize_scalar(cost, bounds=(-_HOTTEST, _HOTTEST), method="bounded")
    return math.exp(float(found.x))
