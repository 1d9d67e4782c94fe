"""What happens now: the date played, the champion, the run under way, the last decision."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from datetime import date
from types import TracebackType
from typing import Any, Self

from service.client import Incumbent, IncumbentError
from service.demo.stream import Answers

EVERY_SECONDS = 1.0


class Watch:
    """A progress bar on a terminal's standard error, a line a month elsewhere; asks once a second.

    Used as a context manager; leaving it ends its thread.
    """

    def __init__(self, server: Incumbent, project: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._server, self._project = server, project
        self._console = Console(stderr=True, highlight=False)
        self._live = sys.stderr.isatty()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[day]:<11}", markup=True),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        self._bar = self._progress.add_task("starting", total=None, day="")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="watch", daemon=True)
        self._state = ""
        self._counts = ""
        self._month = 1

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._progress.stop()

    def say(self, what: str) -> None:
        """Names the step under way."""
        self._progress.update(self._bar, description=what)
        if not self._live:
            self._console.print(what, markup=False)

    def follow(self, days: int) -> None:
        """From here on the bar counts days and shows the state of the service."""
        self._progress.update(self._bar, total=days, completed=0)
        self._thread.start()

    def day(self, day: date, number: int, answers: Answers) -> None:
        """A day is over."""
        self._counts = f"{answers.requests:,} requests, {answers.dropped} dropped"
        self._progress.update(self._bar, completed=number, day=f"{day:%d %b %Y}", description=self._line())
        if day.month != self._month:
            self._month = day.month
            if not self._live:
                self._console.print(f"{day:%b %Y}: {self._line()}", markup=False)

    def _line(self) -> str:
        return " · ".join(part for part in (self._state, self._counts) if part)

    def _poll(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            with contextlib.suppress(IncumbentError, KeyError):
                self._state = state_of(self._server, self._project)


def state_of(server: Incumbent, project: str) -> str:
    """Champion, newest run and newest decision in one line."""
    champion = server.project(project).get("champion")
    parts = [f"champion v{champion}" if champion is not None else "no champion yet"]
    runs = server.runs(project, limit=1)
    if runs:
        parts.append(_run(runs[0]))
    decisions = server.decisions(project, limit=1)
    if decisions:
        parts.append(_short(f"{decisions[0]['outcome']}: {decisions[0]['reason']}"))
    return " · ".join(parts)


def _run(run: Mapping[str, Any]) -> str:
    outcome = (run.get("verdict") or {}).get("outcome")
    return f"run {run['run']} {outcome or run['status']}"


def _short(text: str, most: int = 70) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
