"""What else a challenger is asked: twice the effect to take back a change, a floor for the champion, golden rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.judge import Outcome, Rules, Scored, Verdict, judge, spent_alpha
from automl.scoring import answer_gap
from automl.task import Task, TaskKind

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="late", metric="accuracy", classes=(False, True))
NUMBER = Task(kind=TaskKind.REGRESSION, target="price", metric="rmse")


def right(n: int, share: float, gain: int) -> tuple[Any, Any, Any]:
    """Labels; a champion right on a share of the rows; a challenger right on ``gain`` rows more, and on no other."""
    y = np.arange(n) % 2
    theirs = np.arange(n) < round(share * n)
    ours = np.arange(n) < round(share * n) + gain
    return y, *(np.eye(2)[np.where(good, y, 1 - y)] * 0.8 + 0.1 for good in (theirs, ours))


def judged(y: Any, champion: Any, challenger: Any, *, task: Task = BINARY, **more: Any) -> Verdict:
    scored = challenger if isinstance(challenger, Scored) else Scored(predictions=challenger)
    prior = np.full(2, 0.5) if task.is_classification else np.array([float(np.mean(y))])
    return judge(
        Scored(predictions=champion),
        scored,
        y,
        Rules(metric=task.metric, **more),
        seed=1,
        task=task,
        train_prior=prior,
    )


def gate(verdict: Verdict, name: str) -> Any:
    return next(one for one in verdict.gates if one.name == name)


def test_one_that_takes_back_the_last_change_has_to_show_twice_the_effect() -> None:
    y, champion, challenger = right(8000, 0.8, 40)  # a gain of 0.005, surely above 0.003
    assert judged(y, champion, challenger, min_effect=0.003).promotes
    verdict = judged(y, champion, challenger, min_effect=0.003, required_effect_factor=2.0)
    assert not verdict.promotes
    assert verdict.min_effect == 0.006
    assert gate(verdict, "improvement").evidence["factor"] == 2.0
    assert "the 0.006 asked for, twice the minimum, of one that takes back the last change" in verdict.reason


def test_first_champion_is_never_a_reversal() -> None:
    y, _, challenger = right(500, 0.8, 0)
    verdict = judge(
        None,
        Scored(predictions=challenger),
        y,
        Rules(metric="accuracy", required_effect_factor=2.0),
        seed=1,
        task=BINARY,
        train_prior=np.full(2, 0.5),
    )
    assert verdict.promotes
    assert verdict.min_effect == 0.0
    assert "twice" not in verdict.reason


def test_champion_below_its_floor_gives_way_to_what_is_better_and_surely_not_worse() -> None:
    y, champion, challenger = right(2000, 0.6, 2)
    assert judged(y, champion, challenger).outcome is not Outcome.PROMOTED
    verdict = judged(y, champion, challenger, floor=0.7)
    assert verdict.promotes
    assert gate(verdict, "floor").passed is True
    assert gate(verdict, "improvement").passed is not True
    assert "on the wrong side of the floor of 0.7" in verdict.reason
    assert "not worse by more than the 0.01 allowed" in verdict.reason
    assert (
        judged(y, champion, challenger, floor=0.7, needs_approval=True).outcome is Outcome.AWAITING_APPROVAL
    )


def test_floor_changes_nothing_while_the_champion_may_be_above_it() -> None:
    y, champion, challenger = right(2000, 0.6, 2)
    for floor in (0.5, 0.61):  # well above it, and not surely below it
        verdict = judged(y, champion, challenger, floor=floor)
        assert not verdict.promotes
        assert gate(verdict, "floor").passed is None
        assert "not surely beyond the floor" in gate(verdict, "floor").reason


def test_floor_helps_neither_the_worse_nor_the_unsure_nor_one_that_takes_back_the_last_change() -> None:
    y, champion, challenger = right(2000, 0.6, 2)
    assert judged(y, challenger, champion, floor=0.7).outcome is not Outcome.PROMOTED
    back = judged(y, champion, challenger, floor=0.7, required_effect_factor=2.0)
    assert not back.promotes
    assert "takes back the last change" in gate(back, "floor").reason
    random = np.random.default_rng(0)
    unsure = np.eye(2)[np.where(random.random(2000) < 0.61, y, 1 - y)]
    assert not judged(y, champion, unsure, floor=0.7).promotes


def test_floor_of_an_error_is_the_largest_that_is_acceptable() -> None:
    random = np.random.default_rng(0)
    y = random.normal(0, 10, 1000)
    noise = random.normal(0, 5, 1000)
    champion, challenger = y + noise, y + 0.9995 * noise
    assert not judged(y, champion, challenger, task=NUMBER).promotes
    assert judged(y, champion, challenger, task=NUMBER, floor=4.0).promotes
    assert not judged(y, champion, challenger, task=NUMBER, floor=6.0).promotes


@settings(deadline=None, max_examples=25)
@given(n=st.integers(60, 400), seed=st.integers(0, 1000), floor=st.floats(0.3, 1.0))
def test_floor_never_promotes_what_is_worse_by_its_estimate(n: int, seed: int, floor: float) -> None:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    ours, theirs = (np.eye(2)[np.where(random.random(n) < 0.6, y, 1 - y)] for _ in range(2))
    verdict = judged(y, theirs, ours, floor=floor, resamples=200)
    assert verdict.difference is not None
    assert not verdict.promotes or verdict.difference.estimate > 0


def test_number_of_rows_that_would_decide_is_planned_for_the_next_look() -> None:
    y, champion, challenger = right(2000, 0.8, 6)
    spent = [spent_alpha(0.05, look) for look in (5, 6)]
    this = judged(y, champion, challenger, alpha=spent[0])
    following = judged(y, champion, challenger, alpha=spent[0], next_alpha=spent[1])
    assert this.outcome is following.outcome is Outcome.INCONCLUSIVE
    assert this.rows_needed is not None
    assert following.rows_needed is not None
    assert following.rows_needed > this.rows_needed
    assert "labelled rows would decide" in following.reason


@pytest.mark.parametrize(
    ("gap", "passed"), [(None, None), (0.0, True), (1e-7, True), (1e-3, False), (np.inf, False)]
)
def test_model_that_answers_otherwise_once_it_is_loaded_anew_is_rejected(gap: Any, passed: Any) -> None:
    y, champion, challenger = right(4000, 0.7, 400)
    verdict = judged(y, champion, Scored(predictions=challenger, golden_gap=gap))
    assert gate(verdict, "golden").passed is passed
    assert verdict.promotes is (passed is not False)
    if passed is False:
        assert "golden: stored and loaded anew" in verdict.reason


def test_answers_that_are_no_numbers_or_of_another_shape_are_infinitely_far_off() -> None:
    assert answer_gap(np.array([np.nan]), np.array([1.0])) == np.inf
    assert answer_gap(np.zeros((2, 2)), np.zeros((2, 3))) == np.inf
    assert answer_gap(np.array([2e6 + 2]), np.array([2e6])) == pytest.approx(1e-6, rel=1e-3)


def test_senseless_demands_are_refused() -> None:
    for wrong in (
        {"required_effect_factor": 0.5},
        {"blocks": 0},
        {"slice_margin": -0.1},
        {"floor_margin": -1.0},
    ):
        with pytest.raises(ValueError):
            Rules(metric="accuracy", **wrong)
