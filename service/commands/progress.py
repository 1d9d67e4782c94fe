"""Bars and spinners on the terminal's error output: whoever pipes the answers away still sees them; a script sees none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.commands.console import err

Sent = Callable[[int, int], None]
Counted = Callable[[int], None]


@contextmanager
def sending(what: str, *, quiet: bool) -> Iterator[Sent | None]:
    """A bar of the bytes of a file on their way; None where nobody looks."""
    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def sent(done: int, size: int) -> None:
            said = what if done < size else f"{what}: stored when the server says so"
            bar.update(task, completed=done, total=size, description=said)

        yield sent


@contextmanager
def counting(what: str, *, quiet: bool) -> Iterator[Counted]:
    """A spinner with a count of rows."""
    console = err()
    if quiet or not console.is_terminal:
        yield lambda rows: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn(f"{what}: {{task.completed:,.0f}} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda rows: bar.advance(task, rows)
