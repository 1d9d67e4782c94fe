"""Processes that do one step of a decision's life, and die by SIGKILL before the write they are told.

Reads ``[home, what, writes]`` from lines of JSON, forks for each, and prints the exit code. WHAT: ``conclude``
carries the queued run to its promotion, ``roll back`` ends the champion's probation for its failures, ``approve`` takes
a person's word on what waits.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from datetime import timedelta
from pathlib import Path

from decision_house import BEGAN, House, Play, Ticking
from mortal_writes import told

POLICY = {"refit": True, "pseudo_labels": {"mode": "judged"}}


def clock_of(hours: int) -> Ticking:
    """Each process looks at a clock of its own, later than those before it."""
    clock = Ticking()
    clock.now = BEGAN + timedelta(hours=hours)
    return clock


def main(home: Path, what: str, writes: int) -> None:
    house = House(home, clock_of(1))
    left = [writes]

    def strike(_write: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with told(house.registry, strike):
        if what == "conclude":
            house.work(Play())
        elif what == "approve":
            (waiting,) = house.registry.approvals.open(house.project.id)
            house.approve(waiting.number, waiting.version)
        else:
            house.fail_calls()
            house.watch.evaluate(house.project.id)


def fork_for_each() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                home, what, writes = json.loads(line)
                main(Path(home), what, writes)
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    fork_for_each()
