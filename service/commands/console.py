"""What the command line shows: a table, or the server's JSON; and faults with their remedy in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from service.client import IncumbentError


WIDTH = 120
"""Columns when the output is no terminal."""


class Exit(IntEnum):
    """Exit codes; 2 is the usual one for a wrong call."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    SERVER_FAILED = 5
    RUN_FAILED = 6


class CommandError(Exception):
    """A command can't be done; ``remedy`` says what can. Printed in one line, with the exit code ``code``."""

    def __init__(self, message: str, *, remedy: str = "", code: Exit = Exit.FAULT) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code


def out() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def err() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str, title: str | None = None
) -> None:
    """A plain table, or the sentence ``empty`` when there is no row. Text is never read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = [[Text(cell_text(cell)) for cell in row] for row in rows]
    if not lines:
        out().print(empty, markup=False)
        return
    table = Table(*columns, box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for line in lines:
        table.add_row(*line)
    out().print(table)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one a line; None is left out."""
    shown = {name: value for name, value in facts.items() if value is not None}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        sys.stdout.write(f"{name.replace('_', ' '):<{width}}  {cell_text(value)}\n")


def cell_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, Mapping):
        if any(isinstance(part, Mapping) for part in value.values()):
            return json.dumps(value, ensure_ascii=False, default=str)
        return ", ".join(f"{name}={cell_text(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(cell_text(part) for part in value)
    return str(value)


def show_fault(message: str, remedy: str | None) -> None:
    from rich.text import Text

    line = Text("error: ", style="bold red") + Text(" ".join(message.split()))
    if remedy:
        line += Text(f"  → {' '.join(remedy.split())}", style="yellow")
    err().print(line)


def show_refusal(error: IncumbentError) -> Exit:
    """Prints the server's problem in one line; gives the exit code it stands for."""
    where = f" [{error.field}]" if error.field and error.field not in str(error) else ""
    show_fault(f"{error}{where} ({error.code})", error.remedy)
    if error.status == 0:
        return Exit.UNREACHABLE if error.code == "unreachable" else Exit.FAULT
    return Exit.REFUSED if error.status < 500 else Exit.SERVER_FAILED


def show(facts: Mapping[str, Any], as_json: bool) -> None:
    """One thing, as JSON or as names and values."""
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)
