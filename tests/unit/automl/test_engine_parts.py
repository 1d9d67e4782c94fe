"""The parts engines share: time for trials, folds in use, recipes, and the plain pipeline."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.engines.allowance import Allowance
from automl.engines.evaluation import folds_in_use
from automl.engines.families import Family, Shape, steps
from automl.engines.plain import AllClasses, plain, requirements, spread
from automl.engines.recipes import defaults, from_config, to_config
from automl.errors import SearchFailed

SHAPES = [
    Shape(rows=rows, fold_rows=rows // 2, columns=columns, n_classes=classes, weighted=weighted, seed=1)
    for rows in (6, 500, 50_000)
    for columns in (1, 40, 1_000)
    for classes in (0, 2, 5)
    for weighted in (False, True)
]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_trial_leaves_time_to_train_its_winner_on_all_rows() -> None:
    clock = Clock()
    allowance = Allowance(budget_seconds=60, refit_ratio=2.0, refit_seconds=0.1, clock=clock)
    clock.now += 51
    assert allowance.trial_seconds() == pytest.approx(9 / 3)


def test_the_first_trial_may_use_the_overtime_and_the_second_may_not() -> None:
    clock = Clock()
    allowance = Allowance(budget_seconds=60, refit_ratio=1.0, clock=clock)
    clock.now += 61
    assert allowance.trial_seconds() == pytest.approx(0.5 * (1.33 * 60 - 61))
    allowance.refit_seconds = 1.0
    assert allowance.trial_seconds() == 0.0


def test_no_trial_begins_when_the_overtime_is_spent_too() -> None:
    clock = Clock()
    allowance = Allowance(budget_seconds=60, clock=clock)
    clock.now += 80
    assert allowance.trial_seconds() == 0.0
    assert allowance.refit_limit() == 0.0


def test_a_trial_leaves_time_to_train_the_best_so_far() -> None:
    clock = Clock()
    allowance = Allowance(budget_seconds=60, refit_ratio=0.1, refit_seconds=15, clock=clock)
    clock.now += 43
    assert allowance.trial_seconds() == pytest.approx(2.0)
    clock.now += 1.5
    assert allowance.trial_seconds() == 0.0


@given(
    budget=st.floats(0.1, 1e4),
    ratio=st.floats(0.01, 20),
    spent=st.floats(0, 2),
    refit=st.one_of(st.just(0.0), st.floats(1e-6, 1)),
)
def test_a_trial_and_the_final_training_fit_in_the_budget(
    budget: float, ratio: float, spent: float, refit: float
) -> None:
    clock = Clock()
    allowance = Allowance(budget_seconds=budget, refit_ratio=ratio, refit_seconds=refit * budget, clock=clock)
    clock.now += spent * budget
    seconds = allowance.trial_seconds()
    assert seconds >= 0
    if seconds:
        ends = budget * (1.0001 if refit else 1.3301)
        assert spent * budget + seconds * (1 + ratio) <= ends
        assert spent * budget + seconds + refit * budget <= ends
    assert 0 <= allowance.refit_limit() <= max(0, 1.34 - spent) * budget + 1e-6


@pytest.mark.parametrize(("rows", "used"), [(20_000, 4), (20_001, 2), (100_000, 2), (100_001, 1)])
def test_more_rows_mean_fewer_folds_and_the_newest_stay(rows: int, used: int) -> None:
    folds = tuple((np.array([at], dtype=np.intp), np.array([at + 1], dtype=np.intp)) for at in range(4))
    assert folds_in_use(folds, rows) == folds[-used:]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_default_is_a_recipe_that_can_be_stored_and_read(shape: Shape) -> None:
    menu = steps(shape)
    recipes = list(defaults(menu))
    assert len(recipes) == len(menu[-1]) >= 3
    for recipe in recipes:
        assert from_config(json.loads(json.dumps(to_config(recipe))), menu) == recipe
    for step in menu:
        for family in step:
            family.build(family.default)
            assert family.params(family.default) == dict(family.default)


def test_a_recipe_outside_the_menu_is_not_read() -> None:
    menu = steps(SHAPES[8])
    config = to_config(next(defaults(menu)))
    for spoilt in (
        {},
        {"steps": None},
        {"steps": config["steps"][:2]},
        {"steps": [*config["steps"][:2], {"family": "Gone", "params": {}}]},
        {"steps": [*config["steps"][:2], {"family": config["steps"][2]["family"], "params": {"a": 1}}]},
        {"steps": [*config["steps"][:2], {"family": config["steps"][2]["family"]}]},
    ):
        assert from_config(spoilt, menu) is None


def test_a_value_outside_its_range_makes_a_recipe_unusable() -> None:
    menu = steps(SHAPES[8])
    config = to_config(next(defaults(menu)))
    config["steps"][2]["params"]["num_leaves"] = 100_000
    assert from_config(config, menu) is None


def test_families_that_can_not_weigh_rows_are_left_out_where_rows_have_weights() -> None:
    def models(*, weighted: bool) -> tuple[Family, ...]:
        shape = Shape(rows=500, fold_rows=300, columns=5, n_classes=2, weighted=weighted, seed=1)
        return steps(shape)[-1]

    assert any(not family.weights for family in models(weighted=False))
    assert all(family.weights for family in models(weighted=True))


def fitted_preprocessing(X: Any) -> Pipeline:
    return Pipeline([("scale", StandardScaler().fit(X))])


def test_a_plain_pipeline_is_flat_and_works_in_one_thread() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    inner = make_pipeline(
        "passthrough", make_pipeline(StandardScaler()), RandomForestClassifier(n_estimators=5, n_jobs=2)
    )
    preprocessing = fitted_preprocessing(X)
    inner.fit(preprocessing.transform(X), y)
    pipeline = plain(preprocessing, inner, present=np.array([0, 1]), n_classes=2)
    assert [name for name, _ in pipeline.steps] == ["scale", "standardscaler_1", "model"]
    assert pipeline.steps[-1][1].n_jobs == 1
    np.testing.assert_array_equal(pipeline.predict(X), inner.predict(preprocessing.transform(X)))


def test_a_part_of_an_engine_is_refused() -> None:
    foreign = type("Learner", (DummyClassifier,), {"__module__": "flaml.automl.model"})()
    with pytest.raises(SearchFailed, match="Learner of flaml"):
        plain(Pipeline([]), foreign, present=np.array([0, 1]), n_classes=2)


def test_a_model_that_never_saw_a_class_answers_for_it_with_zero() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    codes = np.arange(60) % 2
    preprocessing = fitted_preprocessing(X)
    model = LogisticRegression().fit(preprocessing.transform(X), codes)
    pipeline = plain(preprocessing, model, present=np.array([1, 3]), n_classes=4)
    p = pipeline.predict_proba(X)
    assert p.shape == (60, 4)
    assert (p[:, [0, 2]] == 0).all()
    assert set(pipeline.predict(X)) <= {1, 3}
    assert pipeline.classes_.tolist() == [0, 1, 2, 3]
    assert requirements(pipeline).keys() == {"scikit-learn", "numpy", "pandas"}


def test_a_model_for_all_classes_can_be_trained_anew() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.array([0, 2] * 30)
    model = AllClasses(LogisticRegression(), (), 3).fit(X, y, sample_weight=np.ones(60))
    assert model.present == (0, 2)
    assert model.predict_proba(X).shape == (60, 3)


@given(st.sets(st.integers(0, 6), min_size=1), st.integers(1, 5))
def test_spreading_puts_each_class_in_its_column(present: set[int], rows: int) -> None:
    columns = sorted(present)
    p = np.random.default_rng(0).random((rows, len(columns)))
    full = spread(p, columns, 7)
    np.testing.assert_array_equal(full[:, columns], p)
    assert full.sum() == pytest.approx(p.sum())
