"""The regular step of a set of series: from times to whole positions and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from automl.errors import SeriesError

Unit = Literal["microseconds", "months", "business_days", "number"]
Positions = npt.NDArray[np.int64]

DAY = 86_400_000_000
"""Microseconds."""
_NO_WEEKEND_AFTER = 15
"""Days in a row of which none falls on a weekend before the weekend is believed to be left out on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step is ``size`` units; position 0 lies at ``phase``.

    Months count from January of the year 0, and ``offset`` (microseconds) is what a time lies after the beginning of its
    month; ``month_end`` puts it on the last day instead. A time between two positions belongs to the nearer one.

    >>> step = Step(unit="months", size=3)
    >>> step.time(int(step.positions(np.array(["1999-04-01"], dtype="datetime64[us]"))[0]))
    '1999-04-01T00:00:00+00:00'
    """

    unit: Unit
    size: float
    phase: float = 0.0
    offset: int = 0
    month_end: bool = False

    @classmethod
    def of(cls, series: Sequence[npt.NDArray[Any]]) -> Step:
        """The step that most neighbouring times of these series are apart.

        Raises SeriesError when no series has two different times.
        """
        grids = [np.unique(times) for times in series]
        grids = [grid for grid in grids if len(grid) > 1]
        if not grids:
            raise SeriesError("no series has values at two different times, so its step is not known")
        if not np.issubdtype(grids[0].dtype, np.datetime64):
            size = _most_common(np.concatenate([np.diff(grid) for grid in grids]))
            return cls(unit="number", size=float(size), phase=float(grids[0][0]) % float(size))
        grids = [grid.astype("datetime64[us]") for grid in grids]
        gaps = np.concatenate([np.diff(grid).astype(np.int64) for grid in grids])
        if gaps.min() >= 28 * DAY:
            return cls._monthly(grids)
        size = int(_most_common(gaps))
        if size == DAY and _skips_weekends(np.concatenate(grids)):
            return cls(unit="business_days", size=1, offset=int(grids[0][0].astype(np.int64)) % DAY)
        return cls(
            unit="microseconds", size=float(size), phase=float(int(grids[0][0].astype(np.int64)) % size)
        )

    @classmethod
    def _monthly(cls, grids: Sequence[npt.NDArray[Any]]) -> Step:
        months = [grid.astype("datetime64[M]").astype(np.int64) for grid in grids]
        size = int(_most_common(np.concatenate([np.diff(one) for one in months])))
        times = np.concatenate(grids)
        after = (times - times.astype("datetime64[M]")).astype(np.int64)
        next_day = times.astype("datetime64[D]") + 1
        ends = bool(np.all(next_day == next_day.astype("datetime64[M]")))
        offset = int(after[0]) if np.all(after == after[0]) else 0
        if ends:
            offset = int((times[0] - times[0].astype("datetime64[D]")).astype(np.int64))
        return cls(
            unit="months",
            size=float(size),
            phase=float(months[0][0] % size),
            offset=offset,
            month_end=ends and len(times) > 1 and not bool(np.all(after == after[0])),
        )

    def positions(self, times: npt.NDArray[Any]) -> Positions:
        """The position of each time."""
        if self.unit == "number":
            return np.rint((times.astype(np.float64) - self.phase) / self.size).astype(np.int64)
        moments = times.astype("datetime64[us]")
        if self.unit == "months":
            months = moments.astype("datetime64[M]").astype(np.int64)
            return np.asarray((months - int(self.phase)) // int(self.size), dtype=np.int64)
        if self.unit == "business_days":
            days = moments.astype("datetime64[D]")
            return np.busday_count(np.datetime64("1970-01-01"), days).astype(np.int64)
        micros = moments.astype(np.int64)
        return np.rint((micros - int(self.phase)) / self.size).astype(np.int64)

    def time(self, position: int) -> str | float:
        """The time at a position: ISO 8601 in UTC, or a number."""
        if self.unit == "number":
            number = self.phase + position * self.size
            return int(number) if float(number).is_integer() else number
        return f"{np.datetime_as_string(self._moment(position), unit='s')}+00:00"

    def _moment(self, position: int) -> Any:
        offset = np.timedelta64(self.offset, "us")
        if self.unit == "months":
            month = np.datetime64(int(self.phase) + position * int(self.size), "M")
            if self.month_end:
                return (
                    (month + 1).astype("datetime64[D]").astype("datetime64[us]")
                    - np.timedelta64(DAY, "us")
                    + offset
                )
            return month.astype("datetime64[us]") + offset
        if self.unit == "business_days":
            day = np.busday_offset("1970-01-01", position, roll="forward")
            return day.astype("datetime64[us]") + offset
        return np.datetime64(int(self.phase + position * self.size), "us")

    @property
    def usual_seasons(self) -> tuple[int, ...]:
        """Steps in the cycles that the calendar makes likely, the shortest first."""
        if self.unit == "months":
            return (int(12 // self.size),) if 12 % self.size == 0 and self.size < 12 else ()
        if self.unit == "business_days":
            return (5,)
        if self.unit == "number":
            return ()
        cycles = (3600e6, DAY, 7 * DAY, 365.25 * DAY)
        steps = [cycle / self.size for cycle in cycles]
        return tuple(round(each) for each in steps if 3.5 <= each <= 200 and abs(each - round(each)) < 0.3)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """The inverse of :meth:`to_json`."""
        return cls(**data)


def _most_common(gaps: npt.NDArray[Any]) -> Any:
    found, counts = np.unique(gaps[gaps > 0], return_counts=True)
    return found[counts.argmax()]


def _skips_weekends(times: npt.NDArray[Any]) -> bool:
    days = np.unique(times.astype("datetime64[D]"))
    long = int((days[-1] - days[0]).astype(np.int64)) >= _NO_WEEKEND_AFTER
    return long and bool(np.all(np.is_busday(days)))
