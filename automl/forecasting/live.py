"""How good forecasts were once their actual values came, and whether they are surely worse than past origins let expect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.forecasting.intervals import Misses, expected

Values = npt.NDArray[np.float64]
USUAL_SPREAD = 0.5
"""Spread that is assumed where too few origins show any."""
_FEW = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One forecast beside what came: absolute errors and the errors expected, both in the unit of MASE, NaN where nothing
    came yet; and which of the values its interval held."""

    series: str
    origin: int
    errors: Values
    expected: Values
    inside: npt.NDArray[np.bool_]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveQuality:
    """``score`` is the mean error of the steps that came, ``reference`` what was expected of these very steps; ``sure_drop``
    the lower bound of the difference. ``covered`` is the share of values within their interval, ``origins`` how many
    moments that don't overlap speak."""

    score: float
    reference: float
    drop: float
    sure_drop: float
    error: float
    rows: int
    origins: int
    covered: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def spread(misses: Mapping[str, Misses]) -> float:
    """The standard deviation, over past origins, of all series' mean error at an origin in units of the one expected."""
    sums: dict[int, list[float]] = {}
    for one in misses.values():
        usual = expected(one)
        for position, errors in zip(one.positions, np.abs(one.errors), strict=True):
            there = np.isfinite(errors)
            if there.any() and usual[there].sum() > 0:
                sums.setdefault(position, []).append(float(errors[there].sum() / usual[there].sum()))
    ratios = [float(np.mean(found)) for found in sums.values()]
    return max(float(np.std(ratios, ddof=1)), 0.1) if len(ratios) >= _FEW else USUAL_SPREAD


def live_quality(scored: Sequence[Scored], *, spread: float, alpha: float, least: int) -> LiveQuality | None:
    """The quality of these forecasts; None while fewer than ``least`` steps came.

    Series of one origin share what happens to all of them, and windows that overlap share their values: so one origin is one
    observation, and only origins whose windows don't overlap are counted, each by the part of its window that came.
    """
    came = [one for one in scored if one.known.any()]
    rows = sum(int(one.known.sum()) for one in came)
    if rows < least or not rows:
        return None
    ratios, parts = [], []
    for origin in _apart(came):
        here = [one for one in came if one.origin == origin]
        wanted = sum(float(one.expected[one.known].sum()) for one in here)
        ratios.append(sum(float(one.errors[one.known].sum()) for one in here) / max(wanted, 1e-12))
        parts.append(sum(int(one.known.sum()) for one in here) / sum(len(one.errors) for one in here))
    weights = np.asarray(parts)
    score = sum(float(one.errors[one.known].sum()) for one in came) / rows
    reference = sum(float(one.expected[one.known].sum()) for one in came) / rows
    ratio = float(np.average(ratios, weights=weights))
    error = spread / math.sqrt(float(weights.sum()))
    sure = ratio - NormalDist().inv_cdf(1 - alpha) * error
    return LiveQuality(
        score=score,
        reference=reference,
        drop=score - reference,
        sure_drop=(sure - 1.0) * reference,
        error=error * reference,
        rows=rows,
        origins=len(ratios),
        covered=sum(int(one.inside[one.known].sum()) for one in came) / rows,
    )


def _apart(scored: Sequence[Scored]) -> list[int]:
    """Origins, the fullest windows first and then the newest, of which no two windows overlap."""
    length = max(len(one.errors) for one in scored)
    known: dict[int, int] = {}
    for one in scored:
        known[one.origin] = known.get(one.origin, 0) + int(one.known.sum())
    chosen: list[int] = []
    for origin in sorted(known, key=lambda each: (-known[each], -each)):
        if all(abs(origin - other) >= length for other in chosen):
            chosen.append(origin)
    return sorted(chosen)
