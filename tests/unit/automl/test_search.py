"""How engines share a budget, and who is best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.search import EngineOutcome, Plan, concluded
from automl.task import Task, TaskKind


@dataclass(frozen=True)
class Card:
    engine: str
    score: float
    estimator: str = "model"


def task(metric: str = "roc_auc") -> Task:
    return Task(kind=TaskKind.CLASSIFICATION, target="y", metric=metric, classes=(0, 1))


def ended(engine: str, score: float) -> EngineOutcome[Card]:
    return EngineOutcome(engine=engine, candidate=Card(engine, score), seconds=1.0, trials=3)


def test_the_higher_score_wins_where_higher_is_better() -> None:
    result = concluded(task("roc_auc"), [ended("flaml", 0.7), ended("tpot", 0.8)])
    assert result.best == Card("tpot", 0.8)
    assert "tpot's model" in result.reason
    assert "flaml: model 0.7000" in result.reason


def test_the_lower_score_wins_where_lower_is_better() -> None:
    result = concluded(task("log_loss"), [ended("flaml", 0.7), ended("tpot", 0.8)])
    assert result.best == Card("flaml", 0.7)


def test_the_first_engine_wins_a_tie() -> None:
    assert concluded(task(), [ended("flaml", 0.7), ended("tpot", 0.7)]).best == Card("flaml", 0.7)


def test_a_blend_stands_where_one_is_given() -> None:
    result = concluded(task(), [ended("flaml", 0.7), ended("tpot", 0.8)], Card("blend", 0.81, "a + b"))
    assert result.best == Card("blend", 0.81, "a + b")
    assert result.reason.startswith("blend's a + b has the best")
    assert "tpot: model 0.8000" in result.reason


def test_an_engine_that_fails_leaves_the_others_result() -> None:
    failed: EngineOutcome[Card] = EngineOutcome(engine="flaml", error="killed after 9 s", seconds=9)
    result = concluded(task(), [failed, ended("tpot", 0.6)])
    assert result.best == Card("tpot", 0.6)
    assert "flaml: killed after 9 s" in result.reason
    assert [outcome.engine for outcome in result.outcomes] == ["flaml", "tpot"]


def test_all_failing_is_a_result_that_says_each_why() -> None:
    outcomes: list[EngineOutcome[Card]] = [
        EngineOutcome(engine="flaml", error="out of memory"),
        EngineOutcome(engine="tpot"),
    ]
    result = concluded(task(), outcomes)
    assert result.best is None
    assert "flaml: out of memory" in result.reason
    assert "tpot: ended without a candidate" in result.reason


def test_a_score_that_is_no_number_never_wins() -> None:
    assert concluded(task("log_loss"), [ended("flaml", math.nan), ended("tpot", 0.9)]).best == Card(
        "tpot", 0.9
    )
    assert concluded(task(), [ended("flaml", math.nan), ended("tpot", math.inf)]).best is None


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
