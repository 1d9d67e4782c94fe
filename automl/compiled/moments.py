"""A single time as its parts, as :mod:`automl.dates` computes them for a whole column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

USUAL = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
"""Spellings that Python and Arrow read alike; the rest goes the long way."""
_USUAL = re.compile(USUAL)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400_000_000
_HOUR = 3_600_000_000.0


def moment(text: object) -> datetime | None:
    """The time in UTC; None for what is not one of the usual spellings, or not text at all."""
    if type(text) is not str or _USUAL.fullmatch(text) is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):  # a day that no calendar has; a zone that leaves the years of Python
        return None


def _of_day(time: datetime) -> int:
    return ((time.hour * 60 + time.minute) * 60 + time.second) * 1_000_000 + time.microsecond


def _elapsed(time: datetime) -> float:
    return float((time.toordinal() - _EPOCH) * _DAY + _of_day(time)) / float(_DAY)


def _hour(time: datetime) -> float:
    return float(_of_day(time)) / _HOUR


PARTS: Mapping[str, Callable[[datetime], float]] = {
    "elapsed": _elapsed,
    "hour": _hour,
    "weekday": lambda time: float(time.weekday()),
    "day": lambda time: float(time.day),
    "month": lambda time: float(time.month),
}
