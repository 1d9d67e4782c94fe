from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from service.yielding import Yielding

BURN = "while True: pass"


def all_processors() -> float:
    return 10 * time.monotonic()


def many_calls() -> int:
    return int(1_000 * time.monotonic())


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    """A process group that computes as much as it may."""
    child = subprocess.Popen([sys.executable, "-c", BURN], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def _burnt(child: subprocess.Popen[bytes], seconds: float) -> float:
    before = psutil.Process(child.pid).cpu_times().user
    time.sleep(seconds)
    return float(psutil.Process(child.pid).cpu_times().user - before)


def test_a_child_stands_still_most_of_the_time_while_its_parent_is_busy(
    burner: subprocess.Popen[bytes],
) -> None:
    free = _burnt(burner, 1.0)
    with Yielding(burner.pid, used=all_processors, calls=many_calls, size=1) as yielding:
        given_way = _burnt(burner, 1.0)
    assert given_way < free / 2
    assert 0.4 < yielding.held_seconds < 1.2


def test_a_child_of_an_idle_parent_is_not_held(burner: subprocess.Popen[bytes]) -> None:
    with Yielding(burner.pid, used=lambda: 0.0) as yielding:
        time.sleep(0.3)
    assert yielding.held_seconds == 0


def test_a_parent_with_a_few_large_calls_does_not_hold_its_children(burner: subprocess.Popen[bytes]) -> None:
    with Yielding(
        burner.pid, used=all_processors, calls=lambda: int(4 * time.monotonic()), size=1
    ) as yielding:
        time.sleep(0.3)
    assert yielding.held_seconds == 0


def test_a_child_that_was_held_runs_afterwards(burner: subprocess.Popen[bytes]) -> None:
    with Yielding(burner.pid, used=all_processors, calls=many_calls, size=1):
        time.sleep(0.15)
    assert psutil.Process(burner.pid).status() != psutil.STATUS_STOPPED
    assert _burnt(burner, 0.5) > 0


def test_a_child_that_is_gone_costs_nothing_but_the_look() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    child.wait()
    with Yielding(child.pid, used=all_processors, calls=many_calls, size=1):
        time.sleep(0.2)
    assert not os.path.exists(f"/proc/{child.pid}")
