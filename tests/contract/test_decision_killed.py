"""kill -9 right before each write of a decision, to real processes: the next one finds one story."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import decision_killer
import pytest
from decision_house import LEASE, NAME, House, Play, scratch
from decision_tale import Tale
from one_story import read_story

import service

pytestmark = pytest.mark.slow


class Killers:
    """Runs killers, each in a process of its own, forked from one that has imported everything."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("decision_killer.py")
        this_code = str(Path(service.__file__).parent.parent)
        self._forker = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": this_code},
        )

    def ran(self, home: Path, what: str, writes: int) -> int:
        """The exit code of a process that does ``what`` and dies before the write after so many."""
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        print(json.dumps([str(home), what, writes]), file=self._forker.stdin, flush=True)
        return int(self._forker.stdout.readline())

    def close(self) -> None:
        self._forker.communicate()


@pytest.fixture(scope="module")
def killers() -> Iterator[Killers]:
    running = Killers()
    yield running
    running.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = scratch()
    yield made
    shutil.rmtree(made)


def _lived_until(home: Path, what: str) -> None:
    """Everything that comes before ``what``: two champions, then a run in the queue, a probation or a question."""
    house = House(home, decision_killer.clock_of(0))
    house.set_policy(**decision_killer.POLICY)
    for _ in range(2):
        house.ask_for_run()
        house.work(Play())
    if what == "roll back":
        house.scheduler.tick()
    elif what == "approve":
        house.set_policy(refit=False, promote_mode="manual")
        house.ask_for_run()
        house.work(Play())
    else:
        house.ask_for_run()
    house.close()


@pytest.mark.parametrize("what", ["conclude", "roll back", "approve"])
def test_a_process_killed_before_any_write_of_a_decision_leaves_one_story(
    killers: Killers, furnished: Path, folder: Path, what: str
) -> None:
    before = folder / "before"
    shutil.copytree(furnished, before)
    _lived_until(before, what)
    found: list[Tale] = []
    for writes in range(200):
        home = folder / "home"
        shutil.copytree(before, home)
        code = killers.ran(home, what, writes)
        assert code in (0, -signal.SIGKILL)
        house = House(home, decision_killer.clock_of(2))
        found.append(Tale.of(read_story(house.registry, NAME), house))
        house.clock.now += LEASE
        house.scheduler.tick()  # whatever was lost is adopted
        after = read_story(house.registry, NAME)
        assert "running" not in {run.status.value for run in after.runs}
        house.close()
        shutil.rmtree(home)
        if code == 0:
            break
    kinds = list(dict.fromkeys(found))
    assert len(kinds) == {"conclude": 4, "roll back": 2, "approve": 2}[what], kinds
    assert (len(kinds[-1].promotions), len(kinds[0].promotions)) == (3, 2)
    assert len(found) > {"conclude": 25, "roll back": 5, "approve": 5}[what]
