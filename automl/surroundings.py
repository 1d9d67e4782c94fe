"""How a row lies among the others, measured cheaply: against a sample, never all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # its parts come when they are first used

from automl.tallies import Positions, Values

_SAMPLE = 256
_NEAREST = 10
_BLOCK = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """``density`` (n,) ranks each row from the loneliest (0) to the one in the thickest crowd (1)."""

    scaled: Values
    density: Values
    reach: float

    @classmethod
    def of(cls, features: Values, random: np.random.Generator) -> Surroundings:
        """Columns are brought to one scale. Time grows with n * 256 * d. Raises ValueError on gaps."""
        if features.ndim != 2 or not np.isfinite(features).all():
            raise ValueError("features must be a matrix of finite numbers")
        n, spread = len(features), features.std(axis=0)
        scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        sample = scaled[random.choice(n, size=min(_SAMPLE, n), replace=False)]
        nearest = min(_NEAREST, len(sample) - 1)
        far = np.zeros(n)
        if nearest > 0:
            for start in range(0, n, _BLOCK):
                apart = scipy.spatial.distance.cdist(scaled[start : start + _BLOCK], sample)
                far[start : start + _BLOCK] = np.partition(apart, nearest, axis=1)[:, nearest]
        rank = np.empty(n)
        rank[np.lexsort((np.arange(n), -far))] = np.arange(n)
        # in the whole pool neighbours are nearer than in the sample, by the root of its share where d is 2
        reach = float(np.median(far)) if n else 0.0
        return cls(scaled=scaled, density=rank / max(n - 1, 1), reach=max(reach, 1e-12))

    def likeness(self, rows: Positions, other: int) -> Values:
        """From 1 (the same) to 0 (far) for each of ``rows`` and the row ``other``."""
        apart = np.square(self.scaled[rows] - self.scaled[other]).sum(axis=1)
        return np.asarray(np.exp(-apart / self.reach**2), dtype=np.float64)
