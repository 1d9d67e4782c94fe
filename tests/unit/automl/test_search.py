"""Who gets how long, and who is best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.search import EngineOutcome, Plan, search
from automl.task import Task, TaskKind


@dataclass(frozen=True)
class Card:
    engine: str
    score: float
    estimator: str = "model"


def task(metric: str = "roc_auc") -> Task:
    return Task(kind=TaskKind.CLASSIFICATION, target="y", metric=metric, classes=(0, 1))


def scoring(**scores: float) -> Callable[[str, float], EngineOutcome[Card]]:
    def run(engine: str, seconds: float) -> EngineOutcome[Card]:
        return EngineOutcome(engine=engine, candidate=Card(engine, scores[engine]), seconds=seconds, trials=3)

    return run


BOTH = Plan(budget_seconds=10, shares={"flaml": 0.6, "tpot": 0.4})


def test_the_higher_score_wins_where_higher_is_better() -> None:
    result = search(task("roc_auc"), BOTH, scoring(flaml=0.7, tpot=0.8))
    assert result.best == Card("tpot", 0.8)
    assert "tpot's model" in result.reason
    assert "flaml: model 0.7000" in result.reason


def test_the_lower_score_wins_where_lower_is_better() -> None:
    result = search(task("log_loss"), BOTH, scoring(flaml=0.7, tpot=0.8))
    assert result.best == Card("flaml", 0.7)


def test_the_first_engine_wins_a_tie() -> None:
    assert search(task(), BOTH, scoring(flaml=0.7, tpot=0.7)).best == Card("flaml", 0.7)


def test_an_engine_that_fails_leaves_the_others_result() -> None:
    def run(engine: str, seconds: float) -> EngineOutcome[Card]:
        if engine == "flaml":
            return EngineOutcome(engine=engine, error="killed after 9 s", seconds=9)
        return EngineOutcome(engine=engine, candidate=Card(engine, 0.6), seconds=seconds)

    result = search(task(), BOTH, run)
    assert result.best == Card("tpot", 0.6)
    assert "flaml: killed after 9 s" in result.reason
    assert [outcome.engine for outcome in result.outcomes] == ["flaml", "tpot"]


def test_all_failing_is_a_result_that_says_each_why() -> None:
    why = {"flaml": "out of memory", "tpot": None}

    def run(engine: str, seconds: float) -> EngineOutcome[Card]:
        return EngineOutcome(engine=engine, error=why[engine])

    result = search(task(), BOTH, run)
    assert result.best is None
    assert "flaml: out of memory" in result.reason
    assert "tpot: ended without a candidate" in result.reason


def test_a_score_that_is_no_number_never_wins() -> None:
    assert search(task("log_loss"), BOTH, scoring(flaml=math.nan, tpot=0.9)).best == Card("tpot", 0.9)
    assert search(task(), BOTH, scoring(flaml=math.nan, tpot=math.inf)).best is None


def test_what_running_an_engine_raises_ends_the_search() -> None:
    asked = []

    def run(engine: str, seconds: float) -> EngineOutcome[Card]:
        asked.append(engine)
        raise InterruptedError("cancelled")

    with pytest.raises(InterruptedError):
        search(task(), BOTH, run)
    assert asked == ["flaml"]


def test_unused_seconds_go_to_the_next_engine_and_overrun_ones_are_not_taken_from_it() -> None:
    given_: dict[str, float] = {}
    took = {"a": 1.0, "b": 9.0, "c": 4.0}

    def run(engine: str, seconds: float) -> EngineOutcome[Card]:
        given_[engine] = seconds
        return EngineOutcome(engine=engine, candidate=Card(engine, 0.5), seconds=took[engine])

    search(task(), Plan(budget_seconds=12, shares={"a": 1, "b": 1, "c": 1}), run)
    assert given_ == {"a": 4.0, "b": 7.0, "c": 4.0}


def test_an_engine_without_a_share_is_not_run() -> None:
    assert Plan(budget_seconds=5, shares={"flaml": 1, "tpot": 0}).allotments() == (("flaml", 5.0),)


@pytest.mark.parametrize(
    ("budget", "shares"),
    [
        (0, {"flaml": 1}),
        (-1, {"flaml": 1}),
        (math.inf, {"flaml": 1}),
        (math.nan, {"flaml": 1}),
        (10, {}),
        (10, {"flaml": 0}),
        (10, {"flaml": -1, "tpot": 3}),
        (10, {"flaml": math.nan}),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(budget: float, shares: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Plan(budget_seconds=budget, shares=shares)


@given(
    budget=st.floats(0.1, 1e5),
    shares=st.dictionaries(st.text(min_size=1), st.floats(0.01, 100), min_size=1, max_size=6),
)
def test_allotments_spend_the_budget_and_keep_the_proportions(
    budget: float, shares: dict[str, float]
) -> None:
    allotments = dict(Plan(budget_seconds=budget, shares=shares).allotments())
    assert list(allotments) == list(shares)
    assert math.fsum(allotments.values()) == pytest.approx(budget)
    whole = math.fsum(shares.values())
    assert all(allotments[name] == pytest.approx(budget * share / whole) for name, share in shares.items())
