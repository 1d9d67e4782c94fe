"""scikit-learn's QuantileTransformer for all columns at once: the same numbers without its checks of each.

SciPy's special functions are all it needs of what that brings along, and only who has such a step loads them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]

_BOUND = 1e-7
"""scikit-learn's: so near to the ends of a column a value is one of them, and so near to 0 and 1 a share is cut."""
_LEAST, _MOST = ndtri(_BOUND - np.spacing(1)), ndtri(1 - (_BOUND - np.spacing(1)))


class Quantiles:
    """Each column's values as their shares of its quantiles, and with ``normal`` as the normal numbers of these."""

    def __init__(self, step: Any) -> None:
        self._quantiles = np.ascontiguousarray(step.quantiles_.T)
        self._backwards = np.ascontiguousarray(-self._quantiles[:, ::-1])
        self._shares = step.references_
        self._shares_backwards = -step.references_[::-1]
        self._normal = step.output_distribution == "normal"

    def __call__(self, features: Floats) -> Floats:
        columns = np.ascontiguousarray(features.T)
        found = np.empty_like(columns)
        negative = -columns
        # The mean of both directions, as repeated quantiles have a first and a last share.
        for at, (quantiles, backwards) in enumerate(zip(self._quantiles, self._backwards, strict=True)):
            up = np.interp(columns[at], quantiles, self._shares)
            down = np.interp(negative[at], backwards, self._shares_backwards)
            np.subtract(up, down, out=found[at])
        found *= 0.5
        first, last = self._quantiles[:, :1], self._quantiles[:, -1:]
        if not self._normal:
            found[columns == last] = 1.0
            found[columns == first] = 0.0
            return found.T
        found[columns + _BOUND > last] = 1.0
        found[columns - _BOUND < first] = 0.0
        return np.asarray(np.clip(ndtri(found), _LEAST, _MOST)).T
