"""The child process of a run: ``python -m service.worker STAGE FOLDER PIPE PARENT``.

It reads ``spec.json`` from its folder, does one stage, writes its results there and reports on the pipe.
Secrets (the run's key, the database URL) come on standard input. Nothing here writes to the registry.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from service.desk import Desk
from service.energy.meter import THREAD, metered
from service.lineup import fall_in

STAGES = {
    "snapshot": "service.stages.snapshot",
    "search": "service.stages.search",
    "pseudo": "service.stages.pseudo",
    "judge": "service.stages.judge",
    "refit": "service.stages.refit",
    "reproduce": "service.stages.reproduce",
    "drift": "service.stages.drift",
    "attribution": "service.stages.attribution",
    "replay": "service.stages.replay",
    "series": "service.stages.series",
    "forecast_search": "service.stages.forecast_search",
    "forecast_judge": "service.stages.forecast_judge",
    "forecast": "service.stages.forecast",
}
METERED = frozenset({"search", "forecast_search", "replay"})
"""Stages whose energy is told: the others take seconds."""

Stage = Callable[[Desk, str], None]


def main(arguments: list[str]) -> int:
    stage, folder, pipe, parent = arguments
    secrets = json.loads(sys.stdin.readline())
    fall_in(int(parent))
    desk = Desk(Path(folder).resolve(), secrets, int(pipe))
    name, _, detail = stage.partition("-")
    with tempfile.TemporaryDirectory(dir=desk.folder) as scratch:
        os.chdir(scratch)
        try:
            run: Stage = import_module(STAGES[name]).run
            with metered(desk.tell, desk.spec.get("energy") if name in METERED else None):
                run(desk, detail)
        except Exception as error:
            traceback.print_exc()
            desk.tell(
                "failed", reason=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            )
            return 1
    return 0


def leave(code: int) -> NoReturn:
    """End the process, and a meter that hangs with it: the interpreter would wait for the threads that its library
    probes the hardware in."""
    if any(one.name == THREAD for one in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
