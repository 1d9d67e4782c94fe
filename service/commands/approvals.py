"""``incumbent approvals``, ``approve`` and ``refuse``: what waits for people."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.console import out, show, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect

Number = Annotated[int, typer.Argument(metavar="APPROVAL", help="Its number, as 'approvals' shows it.")]
Why = Annotated[str, typer.Option(help="Kept in the ledger.")]


def approvals(
    project: ProjectName,
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for approval, newest first."""
    with connect(url, key) as server:
        found = server.approvals.list(project, status=None if every else "open")
    if as_json:
        show_json({"approvals": found})
        return
    words = ("approval", "status", "run", "version", "champion", "missing", "expires_at", "reason")
    empty = "Nothing was asked yet." if every else "Nothing waits for approval; --all shows what did."
    show_table(
        [word.replace("_", " ") for word in words],
        [[one[word] for word in words] for one in found],
        empty=empty,
    )


def approve(
    project: ProjectName,
    approval: Number,
    reason: Why,
    version: Annotated[
        int | None, typer.Option(help="The judged version, where not the refitted one is to serve.")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make what waits the champion; where two keys are asked for, with the second."""
    with connect(url, key) as server:
        told = server.approvals.approve(project, approval, reason=reason, version=version)
    show(told if as_json else _short(told), as_json)
    if not as_json and told["status"] == "open":
        out().print(f"{told['missing']} more has to approve it, with another key.", style="dim")


def refuse(
    project: ProjectName,
    approval: Number,
    reason: Why,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Leave the champion as it is; the model stays in the registry."""
    with connect(url, key) as server:
        told = server.approvals.refuse(project, approval, reason=reason)
    show(told if as_json else _short(told), as_json)


def _short(told: dict[str, object]) -> dict[str, object]:
    return {word: told[word] for word in ("approval", "status", "version", "reason")}
