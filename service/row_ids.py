"""UUIDv7 row ids (RFC 9562): they sort by time of arrival, and never go back within a process."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime

import numpy as np
import numpy.typing as npt

_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_COUNTER_BITS = 42
_COUNTER_DIGITS = 11
_TAIL_DIGITS = 8
_DRAWN_BYTES = 4096
_LENGTH = 36
_TABLE_FROM = 128
"""Ids from which it is quicker to make their characters column by column."""


class RowIds:
    """Makes ids. Thread-safe; a clock that goes back does not make them go back.

    An id is 48 bits of milliseconds, a 42-bit counter (the 12 bits behind the version, and 30 behind the
    variant) that starts at random in each new millisecond, and 32 random bits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = 0
        self._counter = 0
        self._random = ""
        self._drawn = 0

    def take(self, count: int, at: datetime) -> list[str]:
        """So many new ids, ascending, later than all before."""
        return self._make(count, int(at.timestamp() * 1000))

    def now(self, count: int) -> list[str]:
        """So many new ids as of now, for the hot path: one lock for all of them."""
        if count < _TABLE_FROM:
            return self._make(count, time.time_ns() // 1_000_000)
        text = self.table(count).tobytes().decode("ascii")
        return [text[at : at + _LENGTH] for at in range(0, len(text), _LENGTH)]

    def table(self, count: int) -> npt.NDArray[np.uint8]:
        """So many new ids as of now as their ASCII characters, (count, 36): for a million rows at once."""
        with self._lock:
            millisecond, first = self._reserve(count, time.time_ns() // 1_000_000)
        counter = np.arange(first, first + count, dtype=np.uint64)
        low = counter & np.uint64(0x3FFFFFFF)
        tails = np.frombuffer(os.urandom(4 * count), np.uint32).astype(np.uint64)
        out = np.empty((count, _LENGTH), np.uint8)
        out[:, :15] = np.frombuffer(_front(millisecond).encode(), np.uint8)
        _hex(counter >> np.uint64(30), 3, out[:, 15:18])
        _hex(np.uint64(0x8000) | low >> np.uint64(16), 4, out[:, 19:23])
        _hex(low & np.uint64(0xFFFF), 4, out[:, 24:28])
        _hex(tails, 8, out[:, 28:36])
        out[:, (18, 23)] = ord("-")
        return out

    def _make(self, count: int, now: int) -> list[str]:
        with self._lock:
            millisecond, counter = self._reserve(count, now)
            tails = self._draw(_TAIL_DIGITS * count)
        front = _front(millisecond)
        return [
            # version and the counter's high 12 bits, variant and the next 14, its low 16, the tail
            f"{front}{number >> 30:03x}-{0x8000 | number >> 16 & 0x3FFF:04x}-{number & 0xFFFF:04x}"
            f"{tails[8 * step : 8 * step + 8]}"
            for step, number in enumerate(range(counter, counter + count))
        ]

    def _reserve(self, count: int, now: int) -> tuple[int, int]:
        if now > self._millisecond:
            self._millisecond = now
            # The top bit is left clear: room to count on.
            self._counter = int(self._draw(_COUNTER_DIGITS), 16) >> 3
        if self._counter + count >= 1 << _COUNTER_BITS:
            self._millisecond += 1
            self._counter = 0
        first = self._counter
        self._counter += count
        return self._millisecond, first

    def _draw(self, digits: int) -> str:
        """Random hexadecimal digits; the kernel is asked for a thousand ids' worth at once."""
        start = self._drawn
        if start + digits > len(self._random):
            start, self._random = 0, os.urandom(max(digits, _DRAWN_BYTES)).hex()
        self._drawn = start + digits
        return self._random[start : self._drawn]


def _front(millisecond: int) -> str:
    head = f"{millisecond:012x}"
    return f"{head[:8]}-{head[8:]}-7"


def _hex(values: npt.NDArray[np.uint64], digits: int, out: npt.NDArray[np.uint8]) -> None:
    for place in range(digits):
        shift = np.uint64(4 * (digits - 1 - place))
        out[:, place] = _DIGITS[(values >> shift & np.uint64(15)).astype(np.intp)]


ROW_IDS = RowIds()
"""This process's ids."""
