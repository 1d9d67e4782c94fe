"""Lag features: what is known at a step of the steps before it, of its place in the cycle and of its covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
_WAVES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LagSet:
    """Which lags are features, and means over which windows that end ``means_from`` steps before."""

    lags: tuple[int, ...]
    windows: tuple[int, ...] = ()
    season: int = 1
    dummies: bool = False
    """The place in the cycle as one column each; else as waves."""

    @property
    def reach(self) -> int:
        """Steps back to the farthest value that is looked at."""
        return max((*self.lags, *self.windows))

    def past(self, values: Values, at: Positions) -> Values:
        """Lags and means as seen from the steps ``at``: lag 1 is the value just before."""
        columns = [values[at - lag] for lag in self.lags]
        if self.windows:
            sums = np.concatenate([[0.0], np.cumsum(values)])
            columns += [(sums[at] - sums[at - window]) / window for window in self.windows]
        return np.column_stack(columns)

    def cycle(self, places: npt.NDArray[np.int64]) -> Values:
        """The place in the cycle; no column where there is none."""
        m = self.season
        if m == 1:
            return np.zeros((len(places), 0))
        if self.dummies:
            table = np.zeros((len(places), m - 1))
            inner = places % m < m - 1
            table[np.flatnonzero(inner), (places % m)[inner]] = 1.0
            return table
        angles = 2 * np.pi * (places % m)[:, None] / m * np.arange(1, min(_WAVES, m // 2) + 1)
        return np.hstack([np.sin(angles), np.cos(angles)])


def lag_set(reach: str, season: int, length: int, *, dummies: bool) -> LagSet:
    """``reach``: short, season (one whole cycle and a step) or long (two cycles), within a third of the history."""
    most = max(1, length // 3)
    if season > 1:
        near = min(season, {"short": 3, "season": season + 1, "long": season + 1}[reach])
        lags = [*range(1, min(near, 30) + 1), season, season + 1]
        if reach == "long":
            lags += [2 * season, 2 * season + 1]
        if reach == "short":
            lags = [*range(1, near + 1), season]
    else:
        lags = list(range(1, {"short": 2, "season": 6, "long": 14}[reach] + 1))
    kept = tuple(sorted({lag for lag in lags if lag <= most})) or (1,)
    windows = tuple(w for w in ((season, 3) if season > 1 else (3, 8)) if reach != "short" and 1 < w <= most)
    return LagSet(lags=kept, windows=windows, season=season, dummies=dummies)
