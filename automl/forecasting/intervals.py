"""Prediction intervals by conformal calibration: for each series and each step, from what was missed at past origins.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018) with weights for age (Barber et al. 2023, *Conformal
prediction beyond exchangeability*): misses are measured in a unit that may move with the series, put on one footing over
the steps, and the interval reaches as far as the weighted quantile of them. One origin counts once however many steps it
has, and the origin to come counts as one that missed by more than all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
UNITS = (("constant", 0.0), ("recent", 0.5), ("level", 0.5), ("level", 1.0))
"""What a miss is measured in, and the power by which that moves: by half where a quiet moment must not make an interval
vanish."""
_HALF_LIFE = 32.0
"""Origins after which a miss counts half."""
_ENOUGH = 12
"""Origins from which on a series speaks for itself."""
_PEERS = 2_000
_FLOOR = 1e-9
_SMALLEST = 0.05
"""Units are at least so large a part of their median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """What the mix missed at past origins of one series, oldest first.

    ``errors`` and ``told`` are (origins, steps), NaN where nothing was observed; ``recent`` is each origin's recent
    movement, ``positions`` where the origins lie.
    """

    positions: tuple[int, ...]
    errors: Values
    told: Values
    recent: Values

    def and_then(self, later: Misses) -> Misses:
        """With those of origins after the last one here."""
        last = self.positions[-1] if self.positions else -np.inf
        new = [at for at, position in enumerate(later.positions) if position > last]
        return Misses(
            positions=(*self.positions, *(later.positions[at] for at in new)),
            errors=np.concatenate([self.errors, later.errors[new]]),
            told=np.concatenate([self.told, later.told[new]]),
            recent=np.concatenate([self.recent, later.recent[new]]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "positions": list(self.positions),
            "errors": _listed(self.errors),
            "told": _listed(self.told),
            "recent": _listed(self.recent),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Misses:
        """The inverse of :meth:`to_json`, to six digits."""
        return cls(
            positions=tuple(data["positions"]),
            errors=np.array(data["errors"], dtype=np.float64),
            told=np.array(data["told"], dtype=np.float64),
            recent=np.array(data["recent"], dtype=np.float64),
        )


def radius(
    misses: Misses, told: Values, recent: float, *, coverage: float, peers: Values | None = None
) -> Values:
    """How far the interval about a new forecast ``told`` reaches at each step, so that it holds the truth in a share
    ``coverage`` of cases. ``recent`` is the series' movement now. Where it has fewer than a dozen origins, ``peers`` (see
    :func:`ratios`) stand for those that lack."""
    best: Values | None = None
    best_score = np.inf
    for unit, power in UNITS:
        past, now = _units(unit, power, misses, told, recent)
        reach, score = _calibrated(np.abs(misses.errors) / past, past, coverage, peers)
        if score < best_score:
            best, best_score = reach * now, score
    assert best is not None
    return best


def ratios(known: Iterable[Misses]) -> Values:
    """What several series missed, each miss in units of what its series and step usually miss."""
    found = [
        np.abs(one.errors) / np.maximum(expected(one), _FLOOR) for one in known if len(one.positions) > 1
    ]
    if not found:
        return np.zeros(0)
    every = np.concatenate([one[np.isfinite(one)] for one in found])
    return np.asarray(np.quantile(every, np.linspace(0, 1, _PEERS)) if len(every) > _PEERS else every)


def expected(misses: Misses) -> Values:
    """The mean absolute miss at each step."""
    return _shape(np.abs(misses.errors), np.ones(len(misses.errors)))


def recent_movement(values: Values, season: int) -> float:
    """The mean absolute change over a season (a step where there is none) of the last two cycles (8 values at least)."""
    lag = season if len(values) > season + 1 else 1
    changes = np.abs(values[lag:] - values[:-lag])[-max(8, 2 * season) :]
    return float(changes.mean()) if len(changes) else 0.0


def _units(unit: str, power: float, misses: Misses, told: Values, recent: float) -> tuple[Values, Values]:
    """The unit of each past miss (origins, steps), and now (steps)."""
    if unit == "constant":
        return np.ones_like(misses.errors), np.ones(len(told))
    if unit == "recent":
        past, now = (
            np.repeat(misses.recent[:, None], misses.errors.shape[1], axis=1),
            np.full(len(told), recent),
        )
    else:
        past, now = np.abs(misses.told), np.abs(told)
    middle = max(float(np.nanmedian(past)) if np.isfinite(past).any() else 1.0, _FLOOR)
    return np.maximum(past / middle, _SMALLEST) ** power, np.maximum(now / middle, _SMALLEST) ** power


def _calibrated(misses: Values, units: Values, coverage: float, peers: Values | None) -> tuple[Values, float]:
    """The reach of each step in units, and what intervals of that reach would have cost (Winkler 1972)."""
    count = len(misses)
    newness = 0.5 ** (np.arange(count)[::-1] / _HALF_LIFE)
    shape = np.maximum(_shape(misses, newness), _FLOOR)
    there = np.isfinite(misses)
    found = (misses / shape)[there]
    shares = (newness[:, None] / np.maximum(there.sum(axis=1), 1)[:, None] * there)[there]
    if peers is not None and len(peers) and count < _ENOUGH:
        found = np.concatenate([found, peers])
        shares = np.concatenate([shares, np.full(len(peers), (_ENOUGH - count) / len(peers))])
    reach = _quantile(found, shares, unseen=float(newness.max(initial=0.0)), share=coverage) * shape
    over = np.where(there, np.maximum(misses - reach, 0.0), 0.0)
    cost = np.where(there, (2 * reach + over * 2 / (1 - coverage)) * units, 0.0)
    return reach, float(np.sum(cost * newness[:, None])) / max(
        float(np.sum(there * newness[:, None])), _FLOOR
    )


def _shape(misses: Values, newness: Values) -> Values:
    """The mean miss of each step, smoothed with its neighbours."""
    there = np.isfinite(misses)
    sums = np.where(there, misses, 0.0) * newness[:, None]
    counts = there * newness[:, None]
    steps = misses.shape[1]
    wide = max(1, steps // 8)
    kernel = np.ones(2 * wide + 1)
    top = np.convolve(sums.sum(axis=0), kernel)[wide:-wide]
    bottom = np.convolve(counts.sum(axis=0), kernel)[wide:-wide]
    return np.asarray(top / np.maximum(bottom, _FLOOR))


def _quantile(ratios: Values, shares: Values, *, unseen: float, share: float) -> float:
    """The weighted quantile with the weight ``unseen`` at infinity; the largest ratio where it would lie there."""
    if not len(ratios):
        return 1.0
    order = np.argsort(ratios)
    climbed = np.cumsum(shares[order]) / (shares.sum() + unseen)
    at = int(np.searchsorted(climbed, share))
    return float(ratios[order[min(at, len(order) - 1)]])


def _listed(table: Values) -> list[Any]:
    """As JSON has it: six digits, null where there is nothing."""
    if table.ndim == 2:
        return [_listed(row) for row in table]
    return [float(f"{number:.6g}") if np.isfinite(number) else None for number in table]
