"""UUIDv7 row ids (RFC 9562): they sort by time of arrival, and never go back within a process."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import datetime

_COUNTER_BITS = 42
_TAIL_BITS = 32


class RowIds:
    """Makes ids. Thread-safe; a clock that goes back does not make them go back.

    An id is 48 bits of milliseconds, a 42-bit counter (the 12 bits behind the version, and 30 behind the
    variant) that starts at random in each new millisecond, and 32 random bits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = 0
        self._counter = 0

    def take(self, count: int, at: datetime) -> list[str]:
        """So many new ids, ascending, later than all before."""
        return self._make(count, int(at.timestamp() * 1000))

    def now(self, count: int) -> list[str]:
        """So many new ids as of now, for the hot path: one lock and one draw for all of them."""
        return self._make(count, time.time_ns() // 1_000_000)

    def _make(self, count: int, now: int) -> list[str]:
        millisecond, counter = self._reserve(count, now)
        tails = secrets.token_bytes(count * _TAIL_BITS // 8).hex()
        head = f"{millisecond:012x}"
        front = f"{head[:8]}-{head[8:]}-7"
        ids = []
        for step in range(count):
            number = counter + step
            low = number & 0x3FFFFFFF
            middle = f"{0x8000 | (low >> 16):04x}-{low & 0xFFFF:04x}"
            ids.append(f"{front}{number >> 30:03x}-{middle}{tails[8 * step : 8 * step + 8]}")
        return ids

    def _reserve(self, count: int, now: int) -> tuple[int, int]:
        with self._lock:
            if now > self._millisecond:
                self._millisecond = now
                # The top bit is left clear: room to count on.
                self._counter = secrets.randbits(_COUNTER_BITS - 1)
            if self._counter + count >= 1 << _COUNTER_BITS:
                self._millisecond += 1
                self._counter = 0
            first = self._counter
            self._counter += count
            return self._millisecond, first


ROW_IDS = RowIds()
"""This process's ids."""
