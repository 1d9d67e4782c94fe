"""A judgement put into words and figures that a person reads without a manual."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from automl.resampling import Difference

_MOST_DECIMALS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The figures of one comparison. ``factor`` is how many times the minimum effect is ``asked``."""

    metric: str
    greater_is_better: bool
    challenger: float
    rival_score: float
    against_baseline: bool
    rows: int
    difference: Difference
    asked: float
    rows_needed: int | None
    factor: float = 1.0

    @property
    def lead(self) -> str:
        """``roc_auc 0.731 against 0.702 on the same 8,000 rows``."""
        show = self._figures
        rival = show(self.rival_score) + (" of the naive baseline" if self.against_baseline else "")
        direction = "" if self.greater_is_better else " (lower is better)"
        return (
            f"{self.metric} {show(self.challenger)} against {rival}{direction} on the same {self.rows:,} rows"
        )

    @property
    def shown(self) -> str:
        """The gain is above what was asked."""
        gain, bound = self._figures(self.difference.estimate), self._down(self.difference.lower)
        proof = f"the gain of {gain} is at least {bound} with {self._sure} confidence"
        if self.against_baseline:
            return f"{proof}, so it beats the naive baseline"
        return f"{proof}, more than {self._demand}"

    @property
    def excluded(self) -> str:
        """The gain is below what was asked."""
        upper = self.difference.upper
        if upper < 0:
            than = " than the naive baseline" if self.against_baseline else ""
            return f"it is worse{than} by at least {self._down(-upper)} with {self._sure} confidence"
        return f"the gain is at most {self._up(upper)} with {self._sure} confidence, less than {self._demand}"

    @property
    def open(self) -> str:
        """Neither is shown, and what would show it."""
        lower, upper = self._down(self.difference.lower), self._up(self.difference.upper)
        asked = "that it beats the naive baseline" if self.against_baseline else self._demand
        middle = f"the gain lies between {lower} and {upper} ({self._sure} confidence each way)"
        return f"{middle}, which neither shows nor excludes {asked}; {self.remedy}"

    @property
    def remedy(self) -> str:
        if self.rows_needed is None:
            return "more labels won't help unless the effect grows"
        more = self.rows_needed - self.rows
        return f"about {roughly(self.rows_needed)} labelled rows would decide, {roughly(more)} more than now"

    @property
    def _demand(self) -> str:
        twice = "twice" if self.factor == 2 else f"{significant(self.factor)} times"
        why = f", {twice} the minimum, of one that takes back the last change" if self.factor != 1 else ""
        return f"the {significant(self.asked)} asked for{why}"

    @property
    def _sure(self) -> str:
        return confidence(self.difference.alpha)

    @property
    def _decimals(self) -> int:
        """As few decimals as keep apart what the sentence says is different."""
        gap = self.difference
        pairs = (
            (self.challenger, self.rival_score),
            (gap.estimate, 0.0),
            (gap.lower, self.asked),
            (gap.upper, self.asked),
            (gap.upper, 0.0),
        )
        largest = max(abs(self.challenger), abs(self.rival_score), 1e-12)
        fewest = min(max(3 - max(math.floor(math.log10(largest)), 0), 0), _MOST_DECIMALS)
        for decimals in range(fewest, _MOST_DECIMALS):
            unit = 10.0**-decimals
            if all(a == b or abs(a - b) >= unit for a, b in pairs):
                return decimals
        return _MOST_DECIMALS

    def _figures(self, value: float) -> str:
        return _fixed(value, self._decimals, round)

    def _down(self, value: float) -> str:
        return _fixed(value, self._decimals, math.floor)

    def _up(self, value: float) -> str:
        return _fixed(value, self._decimals, math.ceil)


def _fixed(value: float, decimals: int, whole: Callable[[float], int]) -> str:
    scaled = value * 10.0**decimals
    nearest = round(scaled)
    count = nearest if abs(scaled - nearest) < 1e-6 else whole(scaled)
    return f"{count / 10.0**decimals:,.{decimals}f}"


def significant(value: float) -> str:
    """At most three significant digits, never as a power of ten, without needless zeros.

    >>> significant(0.002), significant(0.0), significant(0.123456), significant(1234.5)
    ('0.002', '0', '0.123', '1,234')
    """
    if value == 0:
        return "0"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def confidence(alpha: float) -> str:
    """``1 - alpha`` as a percentage, never rounded up.

    >>> confidence(0.05), confidence(0.0304), confidence(0.0000122)
    ('95%', '96.9%', '99.9987%')
    """
    percent = 100.0 * alpha
    decimals = max(1 - math.floor(math.log10(percent)), 0)
    lost = math.ceil(percent * 10.0**decimals - 1e-9) / 10.0**decimals
    text = f"{100.0 - lost:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def roughly(count: int) -> str:
    """A count to two significant digits, rounded up: an estimate should not look like a measurement.

    >>> roughly(9431), roughly(87), roughly(1_234_567)
    ('9,500', '87', '1,300,000')
    """
    unit = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // unit) * unit:,}"


def size(count: int) -> str:
    """Bytes in the unit a person would use.

    >>> size(900), size(1_500_000)
    ('900 bytes', '1.5 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    for unit, scale in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if count < scale * 1000 or unit == "GB":
            return f"{count / scale:,.1f} {unit}"
    raise AssertionError("unreachable")
