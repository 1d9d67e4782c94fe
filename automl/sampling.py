"""The mean over all rows from some of them, drawn with unequal but known chances."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts come when they are first used


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """``mean`` over ``population`` rows, from ``rows`` of them, and its two-sided bounds.

    Bounds are infinite where fewer than two rows were drawn by chance and not all of the population is known.
    """

    mean: float
    error: float
    lower: float
    upper: float
    rows: int
    population: int

    def to_json(self) -> dict[str, Any]:
        return {k: v if math.isfinite(v) else None for k, v in asdict(self).items()}


def horvitz_thompson(
    values: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    *,
    population: int,
    alpha: float = 0.05,
) -> Estimate:
    """Horvitz & Thompson (1952): each value weighs one over the chance with which its row was taken.

    ``values`` (r,) are those of the rows taken, ``probabilities`` (r,) their chances, above 0 and at most 1
    (1: taken for certain). Unbiased for the mean over ``population`` rows, provided that no row had chance 0 and
    chances don't come from the values. The variance is Hájek's (1964), that of simple random sampling where all
    chances are equal; bounds are Student's. Raises ValueError where the arguments can't be a sample.
    """
    y, p = np.asarray(values, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1 or len(y) > population or population < 1:
        raise ValueError(f"{y.shape} values with {p.shape} probabilities of {population:,} rows")
    if len(y) and not (p.min() > 0 and p.max() <= 1 and np.isfinite(y).all()):
        raise ValueError("probabilities must be above 0 and at most 1, and values finite")
    mean = float(np.sum(y / p)) / population
    by_chance = p < 1
    m = int(by_chance.sum())
    if m == 0 and len(y) == population:
        return Estimate(mean=mean, error=0.0, lower=mean, upper=mean, rows=len(y), population=population)
    if m < 2:
        error = math.inf
        return Estimate(mean=mean, error=error, lower=-error, upper=error, rows=len(y), population=population)
    weigh = (1.0 - p[by_chance]) * m / (m - 1)
    grown = y[by_chance] / p[by_chance]
    middle = float(np.sum(weigh * grown) / np.sum(weigh))
    error = math.sqrt(float(np.sum(weigh * np.square(grown - middle)))) / population
    reach = error * float(scipy.special.stdtrit(m - 1, 1.0 - alpha / 2.0))
    return Estimate(
        mean=mean, error=error, lower=mean - reach, upper=mean + reach, rows=len(y), population=population
    )
