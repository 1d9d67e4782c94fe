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

_CYCLE_DAYS: Mapping[str, float] = {"elapsed": np.inf, "hour": 1, "weekday": 7, "day": 31, "month": 366}


def useful_parts(times: Times, *, is_order: bool) -> list[tuple[str, float]]:
    """The parts that vary, each with what stands for a missing one: NaN in the first, the median in the others, so
    that one indicator of it is made later. Of times that are an order, only those parts whose cycle was seen twice.
    """
    known = times[~np.isnat(times)]
    if known.size == 0:
        return []
    span = float((known.max() - known.min()) / DAY)
    kept: list[tuple[str, float]] = []
    for part, read in PARTS.items():
        values = read(known)
        recurs = span >= 2 * _CYCLE_DAYS[part] or not is_order
        if recurs and values.min() < values.max():
            kept.append((part, float(np.median(values)) if kept else np.nan))
    if not kept and not is_order:
        kept.append(("elapsed", np.nan))  # one day only, but sometimes missing
    return kept
