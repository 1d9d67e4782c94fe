"""The best blend so far, and trials that were done before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from automl.candidate import Candidate
from automl.engines.allowance import Allowance
from automl.engines.choosing import BlendRule, Limits
from automl.engines.contract import problems
from automl.engines.evaluation import Prepared, prepare
from automl.engines.pool import Pool
from automl.engines.standing import Standing
from automl.engines.trials import SearchOver, Trials, Tried
from automl.engines.turns import FairTurns


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(problems.regression(), seed=0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def tried(prepared: Prepared, name: str, off: float) -> Tried:
    fold = prepared.folds[-1]
    return Tried(
        engine="gone",
        estimator=name,
        config={"name": name, "rate": abs(off)},
        score=abs(off),
        refit_seconds=0.1,
        answers=tuple((fold.y + off).astype(np.float32) for fold in prepared.folds),
        fold_scores=tuple(abs(off) for _ in prepared.folds),
        fitted=(fold, Ridge().fit(fold.train.X, fold.train.y)),
    )


def standing_of(prepared: Prepared, offers: list[Candidate], allowance: Allowance) -> tuple[Pool, Standing]:
    pool = Pool(prepared=prepared, turns=FairTurns({}, at_once=1), offer=offers.append, keeping=True)
    limits = Limits(allowance=allowance, at_once=2, seed=0)
    return pool, Standing(pool, prepared, BlendRule(), limits, starts=[])


def test_a_search_that_is_ended_early_leaves_its_best_blend(prepared: Prepared) -> None:
    offers: list[Candidate] = []
    pool, standing = standing_of(prepared, offers, Allowance(budget_seconds=60.0))
    pool.hear(tried(prepared, "up", 1.0))
    standing.look()
    assert standing.choice is None
    pool.hear(tried(prepared, "down", -1.0))
    standing.look()
    (left,) = offers
    assert (left.engine, left.partial) == ("blend", True)
    assert left.score == pytest.approx(0.0, abs=1e-3)
    assert standing.choice is not None
    assert pool.best is left
    assert pool.progress[-1].engine == "blend"


def test_nothing_new_is_not_looked_at_again_nor_anything_when_the_time_is_over(prepared: Prepared) -> None:
    offers: list[Candidate] = []
    clock = Clock()
    pool, standing = standing_of(prepared, offers, Allowance(budget_seconds=60.0, clock=clock))
    for name, off in (("up", 1.0), ("down", -1.0)):
        pool.hear(tried(prepared, name, off))
    standing.look()
    first = standing.choice
    pool.hear(tried(prepared, "right", 1e-6))
    clock.now = 61.0
    standing.look()
    assert standing.choice is first


def trials_of(prepared: Prepared, allowance: Allowance, *done: Tried) -> Trials:
    return Trials(engine="gone", prepared=prepared, allowance=allowance, report=lambda trial: None, done=done)


def test_what_was_done_before_the_engine_began_is_known_but_for_what_logarithms_do(
    prepared: Prepared,
) -> None:
    trials = trials_of(prepared, Allowance(budget_seconds=60.0), tried(prepared, "up", 0.3))

    def asked(estimator: str = "up", **config: Any) -> float | None:
        return trials.known(estimator, config)

    assert asked(name="up", rate=float(np.exp(np.log(0.3)))) == pytest.approx(0.3)
    assert asked(name="up", rate=0.3001) is None
    assert asked(name="up") is None
    assert asked("down", name="up", rate=0.3) is None


def test_an_engine_that_asks_for_nothing_new_ends_with_the_time(prepared: Prepared) -> None:
    clock = Clock()
    trials = trials_of(prepared, Allowance(budget_seconds=60.0, clock=clock), tried(prepared, "up", 0.3))
    clock.now = 90.0
    with pytest.raises(SearchOver):
        trials.known("up", {"name": "up", "rate": 0.3})
