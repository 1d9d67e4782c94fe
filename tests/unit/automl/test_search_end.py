"""The end of a search: its members' time, and what is left when nothing can be trained on all rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from automl.candidate import Candidate
from automl.engines.allowance import Allowance
from automl.engines.blending import Finish, finish
from automl.engines.choosing import BlendRule, Limits
from automl.engines.contract import problems
from automl.engines.evaluation import Prepared, prepare
from automl.engines.plain import plain
from automl.engines.pool import HELD, Pool
from automl.engines.race import _raced
from automl.engines.trials import Tried
from automl.engines.turns import FairTurns
from automl.errors import SearchFailed


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(problems.regression(), seed=0)


def tried(prepared: Prepared, name: str, off: float) -> Tried:
    return Tried(
        engine="gone",
        estimator=name,
        config={"name": name},
        score=abs(off),
        refit_seconds=0.1,
        answers=tuple((fold.y + off).astype(np.float32) for fold in prepared.folds),
        fold_scores=tuple(abs(off) for _ in prepared.folds),
    )


class Training:
    """Trains a model for ten seconds of its own clock, and remembers how long each was allowed to take."""

    def __init__(self, prepared: Prepared, *, fails: bool = False) -> None:
        self.now = 0.0
        self.asked: list[tuple[str, float]] = []
        self._prepared = prepared
        self._fails = fails

    def __call__(self, tried: Tried, seconds: float) -> Any:
        self.asked.append((tried.estimator, seconds))
        self.now += 10.0
        if self._fails:
            raise ValueError("not on all rows")
        return Ridge().fit(self._prepared.full.X, self._prepared.full.y)

    def ends(self) -> Finish:
        allowance = Allowance(budget_seconds=60.0, clock=lambda: self.now)
        kept = [tried(self._prepared, "up", 1.0), tried(self._prepared, "down", -1.0)]
        limits = Limits(allowance=allowance, at_once=1, seed=0)
        return finish(kept, self._prepared, BlendRule(), self, limits)


def test_each_member_of_a_blend_may_take_what_is_left_when_it_begins(prepared: Prepared) -> None:
    training = Training(prepared)
    ended = training.ends()
    assert ended.report["used"]
    assert len(training.asked) == 2
    assert training.asked[1][1] == pytest.approx(training.asked[0][1] - 10.0)


def test_once_a_member_failed_no_time_goes_on_the_others(prepared: Prepared) -> None:
    training = Training(prepared, fails=True)
    ended = training.ends()
    assert ended.candidate is None
    assert "could not be trained on all rows" in ended.report["reason"]
    assert len(training.asked) == 3  # one as a member, then each alone


def offered(prepared: Prepared, engine: str, score: float) -> Candidate:
    model = Ridge().fit(prepared.full.X, prepared.full.y)
    pipeline = plain(prepared.preprocessing, model, present=prepared.full.present, n_classes=0)
    return Candidate(
        engine=engine,
        estimator="ridge",
        pipeline=pipeline,
        score=score,
        config={},
        requirements={},
        partial=True,
    )


def pool_of(prepared: Prepared, offers: list[Candidate]) -> Pool:
    return Pool(prepared=prepared, turns=FairTurns({}, at_once=1), offer=offers.append)


def test_where_nothing_can_be_trained_on_all_rows_the_best_that_was_offered_stays(prepared: Prepared) -> None:
    offers: list[Candidate] = []
    pool = pool_of(prepared, offers)
    blend = offered(prepared, "blend", 1.0)
    assert pool.take(blend)
    assert not pool.take(offered(prepared, "late", 2.0))
    found = _raced(Finish(candidate=None, report={"used": False}), {}, pool, 0)
    assert found.candidate is blend
    assert offers == [blend]


def test_where_nothing_was_offered_either_the_search_failed(prepared: Prepared) -> None:
    with pytest.raises(SearchFailed):
        _raced(Finish(candidate=None, report={"used": False}), {}, pool_of(prepared, []), 0)


def test_a_better_blend_puts_off_the_end_that_a_search_without_progress_has(prepared: Prepared) -> None:
    pool = pool_of(prepared, [])
    pool.improved_at = 0.0
    assert pool.take(offered(prepared, "blend", 1.0))
    assert pool.improved_at > 0.0


def test_only_the_best_trials_keep_their_models_and_of_each_kind_the_best(prepared: Prepared) -> None:
    pool = pool_of(prepared, [])
    pool.keeping = True
    fitted = (prepared.folds[0], None)
    for at in range(HELD + 3):
        pool.hear(replace(tried(prepared, "same", 1.0 + at), fitted=fitted))
    pool.hear(replace(tried(prepared, "other", 99.0), fitted=fitted))
    held = [one.estimator for one in pool.kept if one.fitted is not None]
    assert len(pool.kept) == HELD + 4
    assert len(held) == HELD
    assert "other" in held
    pool.let_go()
    assert all(one.fitted is None for one in pool.kept)
