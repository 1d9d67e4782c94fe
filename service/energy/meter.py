"""Measures what a child process uses while it works, and tells its parent every few seconds.

A thread of its own starts codecarbon's offline tracker and reads it; the work waits for neither. Whatever goes wrong there
(a tracker that raises, one that never answers) is told as a reading without a figure. What was told last is what is
known of a process that is ended by force.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from service.energy.tracker import Told, Tracker

EVENT = "energy"
THREAD = "energy"
"""The name of the thread that measures."""
EVERY_SECONDS = 5.0
STOP_SECONDS = 2.0
Tell = Callable[..., None]


@contextmanager
def metered(
    tell: Tell, rule: Mapping[str, Any] | None, make: Callable[[Mapping[str, Any]], Tracker] | None = None
) -> Iterator[None]:
    """Meter what happens within. ``rule`` None: nothing is. Adds at most :data:`STOP_SECONDS` to it, and that only where
    the tracker does not answer; no exception of it gets out."""
    if rule is None:
        yield
        return
    meter = _Meter(tell, rule, make or codecarbon_tracker)
    meter.start()
    try:
        yield
    finally:
        meter.finish()


class _Meter:
    def __init__(
        self, tell: Tell, rule: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Tracker]
    ) -> None:
        self._tell = tell
        self._rule = rule
        self._make = make
        self._over = threading.Event()
        self._said = threading.Lock()
        self._final = False
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name=THREAD, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self._over.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            self._say(_unknown(f"the tracker did not answer within {STOP_SECONDS:g} s"), final=True)

    def _watch(self) -> None:
        try:
            tracker = self._make(self._rule)
            tracker.start()
            while not self._over.wait(EVERY_SECONDS):
                told = tracker.read()
                if told is not None:
                    self._say(told)
            told = tracker.stop()
            self._say(_unknown("the tracker gave no reading") if told is None else told, final=True)
        except (
            BaseException
        ) as error:  # a library's failure, SystemExit among them, is no failure of the work
            self._say(_unknown(f"{type(error).__name__}: {error}"), final=True)

    def _say(self, told: Told, *, final: bool = False) -> None:
        """Nothing is said after what was final: the parent may be gone. What was told before stays known there."""
        with self._said:
            if self._final:
                return
            self._final = final
            try:
                self._tell(EVENT, **{"seconds": time.monotonic() - self._began, **told})
            except (
                OSError,
                ValueError,
            ):  # the parent is gone, or a figure is no number: nothing is known then
                self._final = True


def _unknown(why: str) -> Told:
    return {"source": "unknown", "wh": None, "gco2e": None, "details": {"why": why[:500]}}


def codecarbon_tracker(rule: Mapping[str, Any]) -> Tracker:
    """codecarbon without files, network or lock: ``rule`` names the ``country``, the ``g_per_kwh`` of the grid and the
    ``watts_per_core`` that is assumed, each null where unknown."""
    from service.energy.codecarbon_tracker import CodecarbonTracker

    return CodecarbonTracker(rule)
