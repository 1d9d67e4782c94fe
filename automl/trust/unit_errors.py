"""Columns in which some values came in another unit: a thousand times too large, or too small.

The tail of a distribution thins out: below its last values lie more. Values in another unit lie apart: beside them is half
a power of ten with hardly any, and a factor of a thousand brings them back to where the others are. Looked at are the
logarithms of the sizes; a column whose usual values span more than some two and a half powers of ten hides such an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.tallies import Values
from automl.trust.perturbation import UNIT, Columns

LEAST_VALUES = 8
LEAST_SHARE = 0.002
MOST_SHARE = 0.5
_DISTINCT = 5
"""Fewer different values are a code for something (-999, say), not a measurement in another unit."""
_BAND = 0.5
_FEW = 0.1
"""So many of the others, as a share, may lie in the band beside them."""
_OFF = 0.3
"""Powers of ten by which the middle of the others, brought back, may miss the middle of what is usual."""
_INSIDE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitError:
    """``values`` of the ``of`` numbers in a column are ``factor`` times what is usual: between the two bounds of ``usual``
    lie nine of ten of the rest. ``example`` is one of them."""

    column: str
    values: int
    of: int
    factor: float
    usual: tuple[float, float]
    example: float

    @property
    def share(self) -> float:
        return self.values / self.of

    def to_json(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__slots__}, "share": self.share}


def unit_errors(rows: pd.DataFrame, columns: Columns) -> tuple[UnitError, ...]:
    """The columns under suspicion, the one with the largest share first."""
    found = [_suspect(name, rows[name].to_numpy(dtype=np.float64)) for name in columns.numbers]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.share))


def _suspect(column: str, values: Values) -> UnitError | None:
    present = values[np.isfinite(values) & (values != 0)]
    if len(present) < 3 * LEAST_VALUES:
        return None
    logs = np.log10(np.abs(present))
    for factor, sign in ((UNIT, 1.0), (1 / UNIT, -1.0)):
        edge = _edge(np.sort(sign * logs))
        if edge is None:
            continue
        apart = sign * logs >= edge
        others, usual = logs[apart], logs[sign * logs < edge - _BAND]
        if len(np.unique(present[apart])) < _DISTINCT or not _brought_back(others, usual, factor):
            continue
        low, high = np.quantile(np.abs(present[sign * logs < edge - _BAND]), (0.05, 0.95))
        return UnitError(
            column=column,
            values=len(others),
            of=len(present),
            factor=factor,
            usual=(float(low), float(high)),
            example=float(present[apart][0]),
        )
    return None


def _edge(ascending: Values) -> float | None:
    """From where on the largest lie apart from the rest: the band below is as good as empty."""
    n = len(ascending)
    above = n - np.arange(n)
    band = np.arange(n) - np.searchsorted(ascending, ascending - _BAND, side="left")
    least = max(LEAST_VALUES, LEAST_SHARE * n)
    fits = (above >= least) & (above <= MOST_SHARE * n) & (band <= _FEW * above)
    return float(ascending[np.flatnonzero(fits)[0]]) if fits.any() else None


def _brought_back(others: Values, usual: Values, factor: float) -> bool:
    """Whether the others, in the usual unit, lie where the usual values do."""
    if not len(usual):
        return False
    back = others - np.log10(factor)
    inside = (back >= usual.min() - 0.1) & (back <= usual.max() + 0.1)
    middle = abs(float(np.median(back) - np.median(usual)))
    return bool(inside.mean() >= _INSIDE and middle <= _OFF)
