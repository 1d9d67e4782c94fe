"""Says that a server's storage is nearly used up, before calls are refused for it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from registry.store import Registry
from service.clock import Clock

MIB = 1024 * 1024
QUIET_SECONDS = 6 * 3600.0
"""The same trouble of the same machine is told no more often."""
_EVERY_SECONDS = 30.0
_SHARE_OF_LOG = 0.5


class StorageWatch:
    """Emits ``incumbent.storage.low`` for the home folder's disk and for the prediction log. ``log_bytes`` gives how much
    of the log waits for the tables; beyond ``most_log_bytes`` prediction calls are refused."""

    def __init__(
        self,
        registry: Registry,
        home: Path,
        *,
        node: str,
        clock: Clock,
        least_free: int,
        log_bytes: Callable[[], int],
        most_log_bytes: int,
    ) -> None:
        self._registry = registry
        self._home = home
        self._node = node
        self._clock = clock
        self._least_free = least_free
        self._log_bytes = log_bytes
        self._most_log_bytes = most_log_bytes
        self._looked = -_EVERY_SECONDS

    def look(self) -> None:
        """Look, at most twice a minute."""
        if time.monotonic() - self._looked < _EVERY_SECONDS:
            return
        self._looked = time.monotonic()
        free, waiting = shutil.disk_usage(self._home).free, self._log_bytes()
        if free < self._least_free:
            limit = _size(self._least_free)
            self._tell("disk", f"{_size(free)} are free in {self._home}, less than {limit}")
        if waiting > self._most_log_bytes * _SHARE_OF_LOG:
            limit = _size(self._most_log_bytes)
            self._tell(
                "log", f"{_size(waiting)} of answers are not in the tables yet; from {limit} on calls get 503"
            )

    def _tell(self, what: str, reason: str) -> None:
        # A lease that nobody gives back: whoever takes it tells, and then nobody does for a while.
        at = self._clock()
        where = f"alert: {what} of {self._home}"[:200]
        lease = self._registry.leases.acquire(where, self._node, seconds=QUIET_SECONDS, at=at)
        if lease is not None:
            data = {"node": self._node, "what": what, "reason": reason}
            self._registry.ledger.emit("incumbent.storage.low", data, at=at)


def _size(count: int) -> str:
    gib = count / (1024 * MIB)
    return f"{gib:.1f} GiB" if gib >= 1 else f"{count / MIB:.1f} MiB"
