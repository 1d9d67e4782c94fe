"""What of a time a model can use, each part as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]

DAY = np.timedelta64(1, "D")


def _elapsed(times: Times) -> Numbers:
    return np.asarray((times - np.datetime64(0, "us")) / DAY, dtype=np.float64)


def _hour(times: Times) -> Numbers:
    return np.asarray((times - times.astype("datetime64[D]")) / np.timedelta64(1, "h"), dtype=np.float64)


def _weekday(times: Times) -> Numbers:
    return _with_gaps(times, (times.astype("datetime64[D]").astype(np.int64) + 3) % 7)  # day 0 was a Thursday


def _day(times: Times) -> Numbers:
    first = times.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray((times.astype("datetime64[D]") - first) / DAY, dtype=np.float64) + 1


def _month(times: Times) -> Numbers:
    return _with_gaps(times, times.astype("datetime64[M]").astype(np.int64) % 12 + 1)


def _with_gaps(times: Times, numbers: npt.NDArray[np.int64]) -> Numbers:
    return np.where(np.isnat(times), np.nan, numbers.astype(np.float64))


PARTS: Mapping[str, Callable[[Times], Numbers]] = {
    "elapsed": _elapsed,
    "hour": _hour,
    "weekday": _weekday,
    "day": _day,
    "month": _month,
}
"""In UTC: days since 1970 and hour of the day with their fractions, weekday (Monday is 0), day, month."""
