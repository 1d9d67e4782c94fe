"""``incumbent retrain``, ``models``, ``promote``, ``rollback`` and the ledgers behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.commands.console import Exit, show, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect
from service.commands.run_watch import show_end, watched

Reason = Annotated[str | None, typer.Option(help="Kept in the ledger.")]


def retrain(
    project: ProjectName,
    engine: Annotated[
        list[str] | None, typer.Option(help="portfolio, flaml, tpot, …; may be repeated.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds to search.")] = None,
    reason: Reason = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the trials until the verdict.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Start a run now; with --watch, exit 6 when it fails or is cancelled."""
    with connect(url, key) as server:
        state = server.start_run(project, engines=engine or None, budget_seconds=budget, reason=reason)
        if watch:
            state = watched(server, project, state["run"], quiet=as_json)
    if as_json:
        show_json(state)
    elif watch:
        show_end(state)
    else:
        show({"run": state["run"], "status": state["status"]}, as_json=False)
    if watch and state.get("status") != "completed":
        raise typer.Exit(Exit.RUN_FAILED)


def cancel(
    project: ProjectName,
    run: Annotated[int, typer.Argument(help="Number of the run.")],
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a queued or running run."""
    with connect(url, key) as server:
        show(dict(server.cancel_run(project, run)), as_json)


def runs(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the runs, newest first."""
    with connect(url, key) as server:
        found = server.runs(project)
    if as_json:
        show_json({"runs": found})
        return
    lines = [
        (
            one.get("run"),
            one.get("status"),
            _word(one.get("trigger")),
            (one.get("verdict") or {}).get("outcome"),
            (one.get("verdict") or {}).get("reason") or one.get("error") or one.get("reason"),
        )
        for one in found
    ]
    show_table(("run", "status", "trigger", "outcome", "reason"), lines, empty="No run yet.")


def decisions(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Say why runs were started or not, newest first."""
    with connect(url, key) as server:
        found = server.decisions(project)
    _listed("decisions", found, ("at", "trigger", "outcome", "reason", "run"), "No decision yet.", as_json)


def models(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the models; the champion is marked."""
    with connect(url, key) as server:
        found = server.models(project)
    words = ("version", "aliases", "engine", "estimator", "outcome", "metric", "score", "run", "created_at")
    _listed("models", found, words, "No model yet. Start a run: incumbent retrain PROJECT --watch", as_json)


def promotions(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List how the champion changed, newest first."""
    with connect(url, key) as server:
        found = server.promotions(project)
    words = ("at", "kind", "from", "to", "reason", "actor")
    _listed("promotions", found, words, "No champion yet.", as_json)


def promote(
    project: ProjectName,
    version: Annotated[int, typer.Argument(help="Model version to serve.")],
    reason: Reason = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a model the champion, whatever the judge said."""
    with connect(url, key) as server:
        show(server.promote(project, version, reason=reason), as_json)


def rollback(
    project: ProjectName, reason: Reason = None, url: Url = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Put the previous champion back."""
    with connect(url, key) as server:
        show(server.rollback(project, reason=reason), as_json)


def _listed(
    name: str, found: list[dict[str, Any]], words: tuple[str, ...], empty: str, as_json: bool
) -> None:
    if as_json:
        show_json({name: found})
        return
    shown = [word for word in words if not found or any(word in one for one in found)]
    lines = [[one.get(word) for word in shown] for one in found]
    show_table([word.replace("_", " ") for word in shown], lines, empty=empty)


def _word(trigger: Any) -> Any:
    return trigger.get("kind") if isinstance(trigger, Mapping) else trigger
