"""How sure is a share that was counted: an interval to read, and evidence that may be looked at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import scipy  # its parts come when they are first used


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """``hits`` of ``of``, and the bounds between which the true share lies. Nothing counted: 0 to 1."""

    hits: int
    of: int
    lower: float
    upper: float

    @property
    def estimate(self) -> float | None:
        return self.hits / self.of if self.of else None

    def to_json(self) -> dict[str, Any]:
        return {
            "hits": self.hits,
            "of": self.of,
            "estimate": self.estimate,
            "lower": self.lower,
            "upper": self.upper,
        }


def wilson(hits: int, of: int, *, alpha: float = 0.05) -> Proportion:
    """Wilson's score interval (1927), two-sided at confidence ``1 - alpha``.

    It keeps its promise for few counts and shares near 0 or 1, where the textbook interval does not.
    Good for one look; for repeated looks see :func:`evidence_below`.

    >>> share = wilson(9, 10)
    >>> round(share.lower, 3), round(share.upper, 3)
    (0.596, 0.982)
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of} is no share")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    if of == 0:
        return Proportion(hits=0, of=0, lower=0.0, upper=1.0)
    z2 = float(scipy.special.ndtri(1.0 - alpha / 2.0)) ** 2
    share = hits / of
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = math.sqrt(z2 * (share * (1 - share) / of + z2 / (4 * of * of))) / (1 + z2 / of)
    # at the ends the bound is the end itself; rounding must not put the share outside its own interval
    lower = 0.0 if hits == 0 else min(max(middle - reach, 0.0), share)
    upper = 1.0 if hits == of else max(min(middle + reach, 1.0), share)
    return Proportion(hits=hits, of=of, lower=lower, upper=upper)


def evidence_below(hits: int, of: int, floor: float) -> float:
    """An e-value against "the true share is at least ``floor``".

    While the share is at least ``floor``, the chance that this ever reaches ``1 / alpha`` is at most alpha,
    however often one looks (Ville's inequality): it is the likelihood ratio against ``floor``, averaged
    over all shares below it (a mixture martingale; Robbins 1970, Ramdas et al. 2023). 1 where nothing was
    counted. Infinite where it passes the largest float.

    >>> evidence_below(0, 0, 0.9), evidence_below(70, 100, 0.9) > 1000, evidence_below(90, 100, 0.9) < 1
    (1.0, True, True)
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of} is no share")
    if not 0 < floor < 1:
        raise ValueError(f"floor must lie between 0 and 1, not {floor}")
    misses = of - hits
    below = float(scipy.special.betainc(hits + 1, misses + 1, floor))
    if below == 0.0:
        return 0.0
    log = float(scipy.special.betaln(hits + 1, misses + 1)) + math.log(below)
    log -= (hits + 1) * math.log(floor) + misses * math.log1p(-floor)
    return math.exp(log) if log < 700 else math.inf
