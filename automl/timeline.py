"""A stream of rows on a clock: when triggers are looked at, and what has arrived and is known at each look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_LOOKS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One moment at which a policy is asked.

    Rows are numbered in order of time. Those before ``arrived`` have come, and the truth of those before
    ``matured`` is known: nothing else may be trained or judged on. ``window`` is the reporting window that the
    look belongs to; ``ends_window`` for its last.
    """

    number: int
    at: int
    arrived: int
    matured: int
    window: int
    ends_window: bool


def timeline(times: npt.NDArray[np.int64], *, window: int, looks: int, delay: int) -> tuple[Look, ...]:
    """The looks over rows at ``times`` (nanoseconds, ascending), from the first row to the last.

    Each ``window`` (nanoseconds) is looked at ``looks`` times, at its end for the last time; looks fall on
    whole multiples of their distance since 1970, so daily ones on midnight UTC. The truth of a row is known
    ``delay`` nanoseconds after it. Raises ValueError for times out of order, for a window or delay that makes
    no sense, and for more than 100,000 looks.
    """
    if looks < 1 or window < looks or delay < 0:
        raise ValueError("a window is a positive span, looked at once or more, and a delay is not negative")
    if not len(times):
        return ()
    if np.any(np.diff(times) < 0):
        raise ValueError("rows are not in order of time")
    pace = window // looks
    start = int(times[0]) // pace * pace
    count = -(-(int(times[-1]) - start + 1) // (pace * looks)) * looks
    if count > MOST_LOOKS:
        raise ValueError(f"{count:,} looks are more than the {MOST_LOOKS:,} allowed: use a longer window")
    at = start + pace * np.arange(1, count + 1, dtype=np.int64)
    # A row at the very moment of a look belongs to the next one, so that windows never overlap.
    arrived = np.searchsorted(times, at, side="left")
    matured = np.searchsorted(times, at - delay, side="left")
    return tuple(
        Look(
            number=number,
            at=int(at[number]),
            arrived=int(arrived[number]),
            matured=int(matured[number]),
            window=number // looks,
            ends_window=(number + 1) % looks == 0,
        )
        for number in range(count)
    )
