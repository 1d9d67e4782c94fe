"""``incumbent upload --watch``: the run that an upload starts, until what it promoted serves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.commands.console import err, out
from service.commands.run_watch import show_end, watched

if TYPE_CHECKING:
    from service.client import Incumbent, RunState

STARTS_WITHIN = 60.0
"""Seconds in which any server has looked at its triggers, on a busy machine too."""
REFUSED_FOR = 5.0
"""Seconds after a fresh refusal in which a run may still start: that look may have begun before the rows were stored."""
SERVES_WITHIN = 60.0
_PAUSE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The newest run and decision at some moment, for telling what came after; 0 and None where there is none."""

    run: int
    decision: str | None


def now(server: Incumbent, project: str) -> Before:
    runs, decisions = server.runs(project, limit=1), server.decisions(project, limit=1)
    return Before(
        run=int(runs[0]["run"]) if runs else 0, decision=str(decisions[0]["at"]) if decisions else None
    )


def follow(server: Incumbent, project: str, before: Before, *, quiet: bool) -> RunState | None:
    """The end of the first run that starts after ``before``, once its champion serves. None, and the reason on the
    terminal, where none starts."""
    number = _begun(server, project, before)
    if number is None:
        decisions = server.decisions(project, limit=1)
        because = decisions[0]["reason"] if decisions else "nothing was decided yet"
        err().print(f"No run started: {because}", markup=False)
        return None
    state = watched(server, project, number, quiet=quiet)
    promoted = (state.get("verdict") or {}).get("outcome") == "promoted"
    served = _serves(server, project) if promoted else None
    if not quiet:
        show_end(state)
        if served is not None:
            out().print(f"model version {served} serves: incumbent predict {project} FILE", markup=False)
    return state


def _begun(server: Incumbent, project: str, before: Before) -> int | None:
    """The number of the run; None once the triggers have surely been looked at and said no."""
    end = time.monotonic() + STARTS_WITHIN
    told_no = False
    while time.monotonic() < end:
        seen = now(server, project)
        if seen.run > before.run:
            return before.run + 1
        if seen.decision != before.decision and not told_no:
            told_no = True
            end = min(end, time.monotonic() + REFUSED_FOR)
        time.sleep(_PAUSE)
    return None


def _serves(server: Incumbent, project: str) -> int | None:
    """The champion that the server has loaded, waited for; None where it takes too long."""
    end = time.monotonic() + SERVES_WITHIN
    while time.monotonic() < end:
        served: int | None = server.champion(project).get("served")
        if served is not None:
            return served
        time.sleep(_PAUSE)
    return None
