"""The winner trained on all rows: what passes for the judged model, and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from automl.engines.plain import AllClasses
from automl.refit import check_refit, trained_anew
from automl.task import Task, TaskKind
from automl.verdict import Rules, Scored

TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="log_loss", classes=("a", "b"))
NUMBERS = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
RULES = Rules(metric="log_loss", min_effect=0.002)


def rows(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n, 3)), columns=["a", "b", "c"])
    return X, (X["a"] + 0.7 * random.normal(size=n) > 0).to_numpy().astype(np.int64)


def pipeline(model: Any) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("model", model)])


@pytest.mark.parametrize(
    "model",
    [
        LGBMClassifier(n_estimators=40, verbose=-1, n_jobs=1, random_state=0),
        RandomForestClassifier(60, random_state=0),
        LogisticRegression(),
    ],
)
def test_a_model_that_learnt_from_the_holdout_passes_and_is_better_there(model: Any) -> None:
    X, y = rows()
    judged = pipeline(model).fit(X[:300], y[:300])
    again = trained_anew(judged, X, y, n_classes=2)
    check = check_refit(
        Scored(predictions=judged.predict_proba(X[300:])),
        Scored(predictions=again.predict_proba(X[300:])),
        y[300:],
        RULES,
        task=TASK,
    )
    assert check.passed, check.reason
    assert check.refitted_score < check.judged_score
    assert "trained on all rows" in check.reason


def test_a_model_with_its_classes_turned_around_does_not_pass() -> None:
    X, y = rows()
    judged = pipeline(LogisticRegression()).fit(X[:300], y[:300]).predict_proba(X[300:])
    check = check_refit(
        Scored(predictions=judged), Scored(predictions=judged[:, ::-1]), y[300:], RULES, task=TASK
    )
    assert not check.passed
    assert {gate.name for gate in check.gates if gate.passed is False} == {"refit_quality", "refit_agreement"}


def test_numbers_may_move_towards_the_truth_but_not_elsewhere() -> None:
    X, _ = rows()
    y = X["a"].to_numpy() * 10 + np.random.default_rng(1).normal(size=len(X))
    judged = pipeline(LGBMRegressor(verbose=-1, n_jobs=1)).fit(X[:300], y[:300])
    again = trained_anew(judged, X, y, n_classes=0)
    before, after = judged.predict(X[300:]), again.predict(X[300:])
    rules = Rules(metric="rmse", min_effect=0.01)

    def passes(predictions: Any) -> bool:
        return check_refit(
            Scored(predictions=before),
            Scored(predictions=predictions),
            y[300:],
            rules,
            task=NUMBERS,
            baseline_score=float(y.std()),
        ).passed

    assert passes(after)
    assert not passes(after + 20)
    assert not passes(np.full(100, np.nan))


def test_a_refit_that_grew_beyond_the_limit_does_not_pass() -> None:
    X, y = rows()
    said = pipeline(LogisticRegression()).fit(X, y).predict_proba(X)
    limited = Rules(metric="log_loss", max_size_bytes=1000)
    check = check_refit(
        Scored(predictions=said), Scored(predictions=said, size_bytes=2000), y, limited, task=TASK
    )
    assert not check.passed
    assert "size" in check.reason


def test_a_class_without_rows_is_answered_for_and_weights_reach_the_model() -> None:
    X, y = rows()
    judged = pipeline(AllClasses(LogisticRegression(), (0, 1), 3)).fit(X, y)
    again = trained_anew(judged, X, np.where(y == 1, 2, 0), n_classes=3)
    assert again.predict_proba(X).shape == (400, 3)
    assert again.predict_proba(X)[:, 1].max() == 0
    alone = trained_anew(judged, X, y, n_classes=2, weights=np.where(y == 1, 1.0, 1e-6))
    assert alone.predict_proba(X)[:, 1].min() > 0.9
    neighbours = pipeline(KNeighborsClassifier()).fit(X, y)  # takes no weights, and is trained without
    assert trained_anew(neighbours, X, y, n_classes=2, weights=np.ones(400)).predict_proba(X).shape == (
        400,
        2,
    )


def test_the_judged_model_is_left_as_it_was() -> None:
    X, y = rows()
    judged = pipeline(LogisticRegression()).fit(X[:300], y[:300])
    before = judged.predict_proba(X)
    trained_anew(judged, X, 1 - y, n_classes=2)
    np.testing.assert_array_equal(judged.predict_proba(X), before)
