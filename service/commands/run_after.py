"""``incumbent upload --watch``: the run that an upload starts, until what it promoted serves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service.commands.console import err, out
from service.commands.run_watch import show_end, watched

if TYPE_CHECKING:
    from service.client import Incumbent, RunState

STARTS_WITHIN = 20.0
"""Seconds in which a server that looks at its triggers every two seconds surely has, on a busy machine too."""
SERVES_WITHIN = 60.0
_PAUSE = 0.25


def newest(server: Incumbent, project: str) -> int:
    """The number of the newest run; 0 where there is none."""
    return max((int(one["run"]) for one in server.runs(project, limit=1)), default=0)


def follow(server: Incumbent, project: str, after: int, *, quiet: bool) -> RunState | None:
    """The end of the first run after ``after``, once its champion serves. None, and the reason on the terminal, where
    none starts."""
    number = _begun(server, project, after)
    if number is None:
        newest_decisions = server.decisions(project, limit=1)
        because = newest_decisions[0]["reason"] if newest_decisions else "nothing was decided yet"
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


def _begun(server: Incumbent, project: str, after: int) -> int | None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end:
        if newest(server, project) > after:
            return after + 1
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
