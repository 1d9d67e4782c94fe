"""``incumbent retrain --watch``: a run as it happens, trial by trial, with a line at the bottom that moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service.commands.console import out, show_table

if TYPE_CHECKING:
    from service.client import Incumbent, RunState

HIGHER_IS_BETTER = frozenset({"roc_auc", "accuracy", "f1", "balanced_accuracy", "average_precision", "r2"})


def watched(server: Incumbent, project: str, number: int, *, quiet: bool) -> RunState:
    """Follows the run's events to its end, saying what it does unless ``quiet``; its last state. Ctrl-C stops
    watching, not the run."""
    if quiet:
        for _ in server.events(project, number):
            pass
        return server.run(project, number)
    lower_is_better = server.project(project)["metric"] not in HIGHER_IS_BETTER
    with _board(number, lower_is_better) as board:
        for event in server.events(project, number):
            if event.name == "trial":
                board.trial(event.data)
            elif event.name == "status":
                board.status(event.data)
    return server.run(project, number)


def show_end(state: RunState) -> None:
    """The verdict with its gates, or why there is none."""
    verdict = state.get("verdict")
    if not verdict:
        out().print(state.get("error") or f"run {state.get('run')} {state.get('status')}", markup=False)
        return
    out().print(f"{verdict.get('outcome')}: {verdict.get('reason')}", markup=False)
    gates = [
        (gate.get("name"), _mark(gate.get("passed")), gate.get("reason")) for gate in verdict.get("gates", [])
    ]
    show_table(("gate", "passed", "reason"), gates, empty="")


class _Board:
    """Lines that stay, one for each trial, above one that says how far the run is."""

    def __init__(self, number: int, bar: Any, lower_is_better: bool) -> None:
        self._number = number
        self._lower_is_better = lower_is_better
        self._bar = bar
        self._task = bar.add_task(f"run {number}", total=None, said="waiting")
        self._trials = 0
        self._best: tuple[float, str] | None = None
        self._budget = ""

    def status(self, run: Mapping[str, Any]) -> None:
        self._bar.console.print(f"run {self._number}: {run['status']}", style="bold")
        self._budget = f" of some {run['budget_seconds']:.0f} s" if run.get("budget_seconds") else ""
        self._say()

    def trial(self, trial: Mapping[str, Any]) -> None:
        self._trials += 1
        score, estimator = trial.get("score"), trial.get("estimator") or ""
        result = f"failed: {trial.get('error') or 'no score'}"
        if score is not None:
            result = f"{score:.4f}"
            if self._best is None or (score < self._best[0]) is self._lower_is_better:
                self._best = (score, estimator)
        line = (
            f"  {trial.get('engine') or '':<9} {estimator:<26} {result}  {trial.get('seconds') or 0.0:.1f} s"
        )
        self._bar.console.print(line, markup=False)
        self._say()

    def _say(self) -> None:
        best = "" if self._best is None else f", best {self._best[0]:.4f} ({self._best[1]})"
        self._bar.update(self._task, said=f"{self._trials} trials{best}{self._budget}")


@contextmanager
def _board(number: int, lower_is_better: bool) -> Iterator[_Board]:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = out()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield _Board(number, bar, lower_is_better)


def _mark(passed: bool | None) -> str:
    return "–" if passed is None else "yes" if passed else "no"
