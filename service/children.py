"""Heavy work runs in a child process of low priority that gives way to calls and can be ended at any moment.

The child is a fresh interpreter in a session of its own. It reports on a pipe, one JSON object a line; its
first report ``ready`` starts the clock of its deadline, so that slow imports don't eat its budget.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from service.yielding import Yielding

Event = Mapping[str, Any]

_POLL_SECONDS = 0.2
_MEMORY_SECONDS = 0.5
_LOG_TAIL = 2_000


class End(StrEnum):
    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds from ``ready`` to the end, seconds allowed before ``ready``, bytes resident in the whole tree."""

    deadline_seconds: float
    startup_seconds: float = 90.0
    memory_bytes: int = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended; ``reason`` is empty when all went well. ``seconds`` count from ``ready``; for
    ``held_seconds`` of its life it stood still because its parent was busy (:mod:`service.yielding`)."""

    end: End
    reason: str
    seconds: float
    peak_bytes: int
    held_seconds: float = 0.0


def run_child(
    stage: str,
    folder: Path,
    secrets: Mapping[str, str],
    limits: Limits,
    *,
    on_event: Callable[[Event], None],
    cancelled: Callable[[], bool],
    worker: str = "service.worker",
) -> Ended:
    """Run ``worker`` (a module) on a work folder until it ends, is cancelled, or passes a limit.

    ``secrets`` (the run's key, the database URL) go over standard input: never to a file or the process list.
    Blocks the calling thread, which must live as long as the child: the child dies with it.
    """
    read_end, write_end = os.pipe()
    with (folder / f"{stage}.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", worker, stage, str(folder), str(write_end), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(write_end,),
            start_new_session=True,
            env=_environment(),
        )
    os.close(write_end)
    try:
        assert child.stdin is not None
        child.stdin.write(json.dumps(secrets).encode() + b"\n")
        child.stdin.close()
        with Yielding(child.pid) as yielding:
            ended = _Watch(child, read_end, folder / f"{stage}.log", limits).until_end(on_event, cancelled)
        return replace(ended, held_seconds=yielding.held_seconds)
    except BrokenPipeError:
        child.wait()
        return Ended(end=End.FAILED, reason=_log_tail(folder / f"{stage}.log"), seconds=0.0, peak_bytes=0)
    finally:
        _kill(child)
        os.close(read_end)


def _environment() -> dict[str, str]:
    """Spinning OpenMP threads make two threads slower than one on a small machine: passive, one each."""
    quiet = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "DO_NOT_TRACK"), "1")
    return {**os.environ, **quiet, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}


class _Watch:
    def __init__(self, child: subprocess.Popen[bytes], pipe: int, log: Path, limits: Limits) -> None:
        self._child = child
        self._pipe = pipe
        self._log = log
        self._limits = limits
        self._buffer = b""
        self._open = True
        self._started = time.monotonic()
        self._ready: float | None = None
        self._failure: str | None = None
        self._peak = 0
        self._memory_checked = 0.0

    def until_end(self, on_event: Callable[[Event], None], cancelled: Callable[[], bool]) -> Ended:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while self._open:
                if selector.select(_POLL_SECONDS):
                    for event in self._events():
                        self._note(event)
                        on_event(event)
                if cancelled():
                    return self._ended(End.CANCELLED, "cancelled")
                broken = self._broken_limit()
                if broken is not None:
                    return self._ended(*broken)
        code = self._child.wait()
        if self._failure is not None:
            return self._ended(End.FAILED, self._failure)
        if code != 0:
            return self._ended(End.FAILED, f"the process ended with code {code}: {_log_tail(self._log)}")
        return self._ended(End.OK, "")

    def _events(self) -> Iterator[Event]:
        data = os.read(self._pipe, 1 << 16)
        if not data:
            self._open = False
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def _note(self, event: Event) -> None:
        if event["event"] == "ready":
            self._ready = time.monotonic()
        elif event["event"] == "failed":
            self._failure = str(event["reason"])

    def _broken_limit(self) -> tuple[End, str] | None:
        now = time.monotonic()
        limits = self._limits
        if self._ready is None and now - self._started > limits.startup_seconds:
            return End.TIMEOUT, f"did not start within {limits.startup_seconds:.0f} s"
        if self._ready is not None and now - self._ready > limits.deadline_seconds:
            return End.TIMEOUT, f"ended by the hard deadline of {limits.deadline_seconds:.0f} s"
        if now - self._memory_checked > _MEMORY_SECONDS:
            self._memory_checked = now
            resident = _resident(self._child.pid)
            self._peak = max(self._peak, resident)
            if resident > limits.memory_bytes:
                mib = limits.memory_bytes // 1024**2
                return End.MEMORY, f"ended at {resident // 1024**2} MiB, over the limit of {mib} MiB"
        return None

    def _ended(self, end: End, reason: str) -> Ended:
        since = self._ready if self._ready is not None else self._started
        return Ended(end=end, reason=reason, seconds=time.monotonic() - since, peak_bytes=self._peak)


def _resident(pid: int) -> int:
    try:
        parent = psutil.Process(pid)
        return sum(_rss(process) for process in (parent, *parent.children(recursive=True)))
    except psutil.Error:
        return 0


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _kill(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _log_tail(log: Path) -> str:
    text = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
    return text.splitlines()[-1] if text else "it said nothing"
