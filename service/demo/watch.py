"""What happens now: the date played, the champion, the run under way, the last decision."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from service.client import Incumbent, IncumbentError
from service.demo.stream import Answers

if TYPE_CHECKING:
    from rich.console import Group

EVERY_SECONDS = 1.0


class Watch:
    """A bar and two lines on a terminal's standard error, a line a month elsewhere; asks once a second.

    Used as a context manager; leaving it ends its thread.
    """

    def __init__(self, server: Incumbent, project: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._server, self._project = server, project
        self._lines: tuple[str, ...] = ()
        self._console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[day]}", markup=True),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._bar = self._progress.add_task("starting", total=None, day="")
        self._live = Live(
            get_renderable=self._render, console=self._console, refresh_per_second=5, transient=True
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="watch", daemon=True)
        self._month = 1

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._live.stop()

    def say(self, what: str) -> None:
        """Names the step under way."""
        self._progress.update(self._bar, description=what)
        if not self._console.is_terminal:
            self._console.print(what, markup=False)

    def follow(self) -> None:
        """From here on there is a project whose state can be shown."""
        self._thread.start()

    def days(self, count: int) -> None:
        """From here on the bar counts days."""
        self._progress.update(self._bar, total=count, completed=0)

    def day(self, day: date, number: int, answers: Answers) -> None:
        """A day is over."""
        counts = f"{answers.requests:,} requests, {answers.dropped} dropped"
        self._progress.update(self._bar, completed=number, day=f"{day:%d %b %Y}", description=counts)
        if day.month != self._month:
            self._month = day.month
            if not self._console.is_terminal:
                self._console.print(f"{day:%b %Y}: {' · '.join([counts, *self._lines])}", markup=False)

    def _render(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        lines = [Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        return Group(self._progress, *lines)

    def _poll(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            with contextlib.suppress(IncumbentError):
                self._lines = state_of(self._server, self._project)


def state_of(server: Incumbent, project: str) -> tuple[str, str]:
    """Champion and newest run in one line, the newest decision in another."""
    champion = server.project(project)["champion"]
    parts = [f"champion v{champion}" if champion is not None else "no champion yet"]
    for run in server.runs(project, limit=1):
        parts.append(_run(run if run["status"] != "running" else server.run(project, run["run"])))
    decisions = server.decisions(project, limit=1)
    return " · ".join(parts), " · ".join(f"{one['outcome']}: {one['reason']}" for one in decisions)


def _run(run: Mapping[str, Any]) -> str:
    if run["status"] != "running":
        return f"run {run['run']} {(run['verdict'] or {}).get('outcome') or run['status']}"
    scored = [trial for trial in run["trials"] if trial["score"] is not None]
    if not scored:
        return f"run {run['run']} running"
    last = scored[-1]
    return f"run {run['run']} searching: {len(scored)} trials, the last {last['engine']} {last['estimator']}"
