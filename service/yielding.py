"""Heavy children give way to calls: while their parent is busy answering, they run a part of the time only.

A low priority is not enough where there are few processors: a search on the sibling of the processor that answers
takes half of its speed, and that doubles what a call costs just when there is no room for it. So a busy parent holds
its children still (SIGSTOP) between short turns. They go on by themselves as soon as it is less busy, and their
budgets run on meanwhile: a search under load tries less, instead of making callers wait. A parent that works on a few
large calls is not busy in this sense: they take their time anyway, and there are gaps between them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from service.processors import processors

BUSY = 0.25
"""Of the machine's processors, used by the parent's own threads: from here on children give way."""
TURN_SECONDS, STILL_SECONDS = 0.03, 0.09
"""How long held children run, and how long they stand still before that."""
LOOK_SECONDS = 0.1
MANY_CALLS = 50
"""In a second; with fewer, children need not give way."""


class Calls:
    """How many calls this process has answered."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, count: int) -> None:
        """From one thread mostly; one that is lost to another costs nothing."""
        self.count += count


CALLS = Calls()
"""This process's."""


class Yielding:
    """As a context manager: holds the process group ``group`` still by turns while this process is busy.

    ``used`` gives the processor seconds that this process has used so far, ``calls`` the calls that it has answered.
    ``held_seconds`` is how long the group stood still in all. At the end the group runs, or is gone. Does nothing where
    there is no SIGSTOP.
    """

    def __init__(
        self,
        group: int,
        *,
        used: Callable[[], float] = time.process_time,
        calls: Callable[[], int] = lambda: CALLS.count,
        busy: float = BUSY,
        size: int | None = None,
    ) -> None:
        self.held_seconds = 0.0
        self._group = group
        self._used = used
        self._calls = calls
        self._enough = busy * (processors() if size is None else size)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"yielding-{group}", daemon=True)

    def __enter__(self) -> Yielding:
        if hasattr(signal, "SIGSTOP"):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        looked, used, calls = time.monotonic(), self._used(), self._calls()
        while not self._ended.is_set():
            now, used_now, calls_now = time.monotonic(), self._used(), self._calls()
            seconds = now - looked
            is_busy = used_now - used > self._enough * seconds and calls_now - calls > MANY_CALLS * seconds
            looked, used, calls = now, used_now, calls_now
            if is_busy:
                self._hold()
                self._ended.wait(TURN_SECONDS)
            else:
                self._ended.wait(LOOK_SECONDS)

    def _hold(self) -> None:
        started = time.monotonic()
        try:
            self._send(signal.SIGSTOP)
            self._ended.wait(STILL_SECONDS)
        finally:
            self._send(signal.SIGCONT)
            self.held_seconds += time.monotonic() - started

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # the group is gone
            os.killpg(self._group, number)
