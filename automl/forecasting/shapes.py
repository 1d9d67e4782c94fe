"""The shape in which a regression sees a series: differenced, in units of its own spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A series in its shape, and the way back. ``tails`` are what each differencing needs to be undone."""

    values: Values
    lags: tuple[int, ...]
    tails: tuple[Values, ...]
    centre: float
    spread: float

    def back(self, ahead: Values) -> Values:
        """The values that a forecast in this shape means."""
        told = ahead * self.spread + self.centre
        for lag, tail in zip(reversed(self.lags), reversed(self.tails), strict=True):
            whole = np.concatenate([tail, told])
            for at in range(lag, len(whole)):
                whole[at] += whole[at - lag]
            told = whole[lag:]
        return np.asarray(told)


def shaped(values: Values, *, lags: tuple[int, ...]) -> Shaped:
    """The series differenced by each of ``lags`` and scaled.

    A differencing that would leave fewer than 4 values is left out.
    """
    told = values
    used, tails = [], []
    for lag in lags:
        if len(told) < lag + 4:
            continue
        used.append(lag)
        tails.append(told[-lag:].copy())
        told = told[lag:] - told[:-lag]
    centre = float(told.mean()) if not used else 0.0
    spread = float(told.std()) or 1.0
    return Shaped(
        values=(told - centre) / spread,
        lags=tuple(used),
        tails=tuple(tails),
        centre=centre,
        spread=spread,
    )
