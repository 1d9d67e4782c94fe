"""kill -9 between any two writes of a decision leaves ledgers that read as one story."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from decision_house import LEASE
from decision_life import Life
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

pytestmark = pytest.mark.slow

Step = Callable[[Life, int | None], None]
NIGHT = LEASE + timedelta(hours=1)


def turn(life: Life, death: int | None = None, **play: Any) -> None:
    """A run from the question to its conclusion."""
    usual = {"outcome": "promoted", "refit": "passes", "search": True, "meanwhile": "", "late": False}
    life.work(**{**usual, **play}, death=death)


def twice(life: Life) -> None:
    turn(life)
    turn(life)


def on_probation(life: Life) -> None:
    twice(life)
    life.tick(None)
    assert life.tale.watched


def due_tonight(life: Life) -> None:
    on_probation(life)
    life.label(revoked=False, death=None)
    assert life.house.registry.due.get(life.house.project.id, "schedule") is not None


def running(life: Life) -> None:
    turn(life)
    life.ask(cancelled=False, death=None)
    assert life.house.claim() is not None
    life.tale = life.tale.with_run("running")


def judging(**play: Any) -> Step:
    return lambda life, death: turn(life, death, **play)


def passing(pause: timedelta) -> Step:
    return lambda life, death: life.pass_time(pause, death)


def crowning(life: Life, death: int | None) -> None:
    after = life.tale.crowned("manual", 1, life.maker_of(1))
    life.step(lambda: life.house.promote(1), death, [after])


def rolling_back(life: Life, death: int | None) -> None:
    assert life.tale.previous is not None
    after = life.tale.crowned("rollback", life.tale.previous, None)
    life.step(life.house.roll_back, death, [after])


def asking(life: Life) -> None:
    """Two versions wait for a person's word, in the place of a champion that serves."""
    turn(life)
    life.change_policy(promote_mode="manual", refit=True, taught=False)
    turn(life)
    assert life.tale.waiting == [0]


def approving(life: Life, death: int | None) -> None:
    asked = life.house.registry.approvals.get(life.house.project.id, 1)
    after = life.tale.with_approval(0, "approved").crowned("manual", asked.version, asked.run)
    life.step(lambda: life.house.approve(1, asked.version), death, [after])


def refusing(life: Life, death: int | None) -> None:
    life.step(lambda: life.house.refuse(1), death, [life.tale.with_approval(0, "refused")])


def manual_by_now(life: Life) -> None:
    twice(life)
    life.change_policy(promote_mode="manual", refit=True, taught=False)


def overtaken(life: Life) -> None:
    turn(life)
    asking(life)
    crowning(life, None)
    assert life.tale.waiting == []


STEPS: dict[str, tuple[Callable[[Life], None], Step]] = {
    "a run is asked for": (turn, lambda life, death: life.ask(cancelled=False, death=death)),
    "a queued run is cancelled": (
        lambda life: life.ask(cancelled=False, death=None),
        lambda life, death: life.step(life.house.cancel, death, [life.tale.with_run("cancelled")]),
    ),
    "a run rejects": (turn, judging(outcome="rejected", late=True)),
    "a run fails as nobody foresaw": (turn, judging(outcome="broken", late=True)),
    "a run promotes": (turn, judging(late=True)),
    "a run is overtaken": (twice, judging(meanwhile="roll back", late=True)),
    "a run is lost and tried again": (running, passing(NIGHT)),
    "the schedule is due": (due_tonight, passing(NIGHT)),
    "a probation begins": (twice, passing(timedelta(seconds=20))),
    "a probation rolls back": (on_probation, lambda life, death: life.live_failures(death)),
    "a probation is over": (on_probation, passing(timedelta(days=31))),
    "a person promotes": (on_probation, crowning),
    "a person rolls back": (on_probation, rolling_back),
    "a run asks people": (
        lambda life: life.change_policy(promote_mode="manual", refit=True, taught=False),
        judging(late=True),
    ),
    "a run that would ask people is overtaken": (
        manual_by_now,
        judging(meanwhile="roll back", late=True),
    ),
    "a person approves": (asking, approving),
    "a person refuses": (asking, refusing),
    "nobody decides in time": (asking, passing(timedelta(days=8))),
    "the champion changes while people are asked": (overtaken, passing(timedelta(seconds=20))),
    "labels come": (turn, lambda life, death: life.label(revoked=False, death=death)),
    "labels are revoked": (turn, lambda life, death: life.label(revoked=True, death=death)),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_killed_before_any_of_its_writes_reads_as_one_story(furnished: Path, name: str) -> None:
    prepare, act = STEPS[name]
    deaths = 0
    for death in range(40):
        life = _life(furnished)
        prepare(life)
        act(life, death)
        died = life.died
        deaths += died
        life.pass_time(NIGHT, None)  # what was lost is adopted, what is due begins
        turn(life, outcome="rejected")
        life.label(revoked=False, death=None)
        life.pass_time(timedelta(seconds=20), None)  # nothing that was used up starts anything again
        life.teardown()
        if not died:
            break
    assert deaths >= 2
    assert not died


def test_a_decision_killed_anywhere_reads_as_one_story(furnished: Path) -> None:
    class OfHome(Life):
        template = furnished

    run_state_machine_as_test(
        OfHome,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _life(home: Path) -> Life:
    class OfHome(Life):
        template = home

    return OfHome()
