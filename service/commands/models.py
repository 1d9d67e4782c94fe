"""``incumbent retrain``, ``models``, ``promote``, ``rollback`` and the ledgers behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.console import Exit, out, show, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect

if TYPE_CHECKING:
    from service.client import Incumbent, RunState

Reason = Annotated[str | None, typer.Option(help="Kept in the ledger.")]


def retrain(
    project: ProjectName,
    engine: Annotated[list[str] | None, typer.Option(help="flaml or tpot; may be repeated.")] = None,
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
            state = _watched(server, project, state["run"], quiet=as_json)
    if as_json:
        show_json(state)
    elif watch:
        _show_end(state)
    else:
        show({"run": state["run"], "status": state["status"]}, as_json=False)
    if watch and state.get("status") != "completed":
        raise typer.Exit(Exit.RUN_FAILED)


def _watched(server: Incumbent, project: str, number: int, *, quiet: bool) -> RunState:
    """Follows a run to its end, saying what it does unless ``quiet``. Ctrl-C stops watching, not the run."""
    told = 0
    last: str | None = None
    state: RunState = {}
    for state in server.watch(project, number):
        trials = state.get("trials", [])
        if quiet:
            continue
        if state.get("status") != last:
            last = state.get("status")
            out().print(f"run {number}: {last}", style="bold")
        for trial in trials[told:]:
            score = trial.get("score")
            result = f"{score:.4f}" if score is not None else f"failed: {trial.get('error') or 'no score'}"
            seconds = trial.get("seconds") or 0.0
            line = (
                f"  {trial.get('engine', ''):<6} {trial.get('estimator', ''):<26} {result}  {seconds:.1f} s"
            )
            out().print(line, markup=False)
        told = max(told, len(trials))
    return state


def _show_end(state: RunState) -> None:
    verdict = state.get("verdict")
    if not verdict:
        out().print(state.get("error") or f"run {state.get('run')} {state.get('status')}", markup=False)
        return
    out().print(f"{verdict.get('outcome')}: {verdict.get('reason')}", markup=False)
    gates = [
        (gate.get("name"), _mark(gate.get("passed")), gate.get("reason")) for gate in verdict.get("gates", [])
    ]
    show_table(("gate", "passed", "reason"), gates, empty="")


def _mark(passed: bool | None) -> str:
    return "–" if passed is None else "yes" if passed else "no"


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
