"""Of many rows, what is bad on a part of them is not tried on all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.engines.allowance import Allowance
from automl.engines.contract import problems
from automl.engines.evaluation import Fold, Prepared, prepare
from automl.engines.pool import Pool
from automl.engines.protocol import Trial
from automl.engines.trials import Trials, Tried
from automl.engines.turns import FairTurns

ROWS = 20_400


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(ROWS, 2)), columns=["a", "b"])
    labels = (X["a"] + rng.normal(size=ROWS) > 0).astype(int).to_numpy()
    return prepare(problems.problem_of(X, labels, metric="roc_auc"), seed=0)


def trials_with(prepared: Prepared, promising: Callable[[str, float], bool], told: list[Trial]) -> Trials:
    return Trials(
        engine="any",
        prepared=prepared,
        allowance=Allowance(budget_seconds=60.0),
        report=told.append,
        promising=promising,
        at_a_glance=True,
    )


class Constant:
    """Says the same of every row."""

    def predict_proba(self, X: Any) -> Any:
        return np.tile([0.5, 0.5], (len(X), 1))


def tried_once(trials: Trials) -> list[Fold]:
    seen: list[Fold] = []

    def fit(fold: Fold) -> Any:
        seen.append(fold)
        return Constant()

    trials.run("constant", lambda seconds: trials.cross_validate(fit), dict)
    return seen


def test_a_glance_is_a_part_of_the_last_fold_and_few_rows_have_none(prepared: Prepared) -> None:
    assert prepared.glance is not None
    last = prepared.folds[-1]
    assert len(prepared.glance.train.y) == round(0.2 * len(last.train.y))
    assert len(prepared.glance.y) <= 5_000
    assert prepare(problems.multiclass(), seed=0).glance is None


def test_what_is_not_promising_at_a_glance_sees_no_fold_and_is_told(prepared: Prepared) -> None:
    told: list[Trial] = []
    given_up = trials_with(prepared, lambda estimator, score: False, told)
    assert tried_once(given_up) == [prepared.glance]
    assert [(trial.score, trial.error) for trial in told] == [(pytest.approx(0.5), None)]
    assert not given_up.tried
    gone_on = trials_with(prepared, lambda estimator, score: True, told)
    assert tried_once(gone_on) == [prepared.glance, *prepared.folds]
    assert len(gone_on.tried) == 1


def test_the_better_half_goes_on_and_the_first_of_each_kind(prepared: Prepared) -> None:
    pool = Pool(prepared=prepared, turns=FairTurns({"any": 1.0}, at_once=1), offer=lambda candidate: None)
    known = Tried(engine="any", estimator="known", config={}, score=0.7, refit_seconds=0.1)
    pool.hear(known)
    pool.hear(replace(known, score=0.6))
    assert all(pool.promising("known", 0.7 + at / 100) for at in range(6))
    assert not pool.promising("known", 0.6)
    assert pool.promising("known", 0.75)
    assert pool.promising("another", 0.5)
