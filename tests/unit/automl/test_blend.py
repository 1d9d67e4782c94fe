"""Greedy selection of what answers best together, and the model that answers so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.blend import Truth, select
from automl.calibration import Calibration
from automl.compiled import Compiled
from automl.compiled.compiling import compile_pipeline
from automl.compiled.packing import pack, unpack
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.plain import plain, requirements
from automl.engines.skewed import LogTarget, is_skewed
from automl.features import preprocessor
from automl.metrics import metric
from automl.refit import trained_anew
from automl.schema import check, frame, infer
from automl.scoring import answer_gap, predictions
from automl.task import Task, TaskKind


def parts(values: Any, folds: int = 4) -> list[Any]:
    return np.array_split(values, folds)


def noisy(y: Any, *, seed: int, scale: float = 1.0) -> Any:
    return y + np.random.default_rng(seed).normal(scale=scale, size=len(y))


def test_models_whose_errors_differ_are_better_together_and_by_how_much_is_asked_on_other_folds() -> None:
    y = np.random.default_rng(0).normal(size=2_000)
    models = [parts(noisy(y, seed=seed)) for seed in (1, 2, 3)]
    found = select(models, [Truth(y=part) for part in parts(y)], metric("rmse"))
    assert found is not None
    assert set(found.weights) == {0, 1, 2}
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.score == pytest.approx(1 / np.sqrt(3), rel=0.05)
    assert found.gain == pytest.approx(1 - 1 / np.sqrt(3), rel=0.1)


def test_a_gain_that_only_the_selection_saw_is_none() -> None:
    """Of fifty models without any skill some blend always fits the rows that choose it."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 120)
    models = []
    for _ in range(50):
        p = rng.random(120)
        models.append(parts(np.column_stack([1 - p, p])))
    found = select(models, [Truth(y=part) for part in parts(y)], metric("roc_auc"))
    assert found is not None
    assert found.score > 0.6
    assert found.gain < found.score - 0.55


def test_a_model_that_is_right_alone_stays_alone() -> None:
    y = np.arange(400.0)
    found = select(
        [parts(y), parts(noisy(y, seed=1, scale=50.0))], [Truth(y=part) for part in parts(y)], metric("rmse")
    )
    assert found is not None
    assert (found.weights, found.gain) == ({0: 1.0}, 0.0)


def test_a_model_that_carries_hardly_any_of_the_gain_is_left_out() -> None:
    y = np.random.default_rng(0).normal(size=4_000)
    truths = [Truth(y=part) for part in parts(y)]
    models = [parts(noisy(y, seed=seed, scale=scale)) for seed, scale in ((1, 1.0), (2, 1.0), (3, 4.0))]
    found = select(models, truths, metric("rmse"), rounds=60)
    assert found is not None
    assert set(found.weights) == {0, 1}
    assert found.gain == pytest.approx(1 - np.sqrt(0.5), rel=0.05)
    models[2] = parts(noisy(y, seed=3, scale=2.0))
    needed = select(models, truths, metric("rmse"), rounds=60)
    assert needed is not None
    assert set(needed.weights) == {0, 1, 2}


def test_members_and_their_costs_are_bounded() -> None:
    y = np.random.default_rng(0).normal(size=1_000)
    models = [parts(noisy(y, seed=seed)) for seed in range(8)]
    truths = [Truth(y=part) for part in parts(y)]
    few = select(models, truths, metric("rmse"), members=3)
    assert few is not None
    assert len(few.weights) == 3
    cheap = select(models, truths, metric("rmse"), costs=[0.6] * 8, allowed=1.0)
    assert cheap is not None
    assert len(cheap.weights) == 1


def test_a_fold_is_asked_of_what_its_own_rows_did_not_choose() -> None:
    """Where rows are split twice, the folds of the other split hold them too."""
    y = np.random.default_rng(0).normal(size=400)
    models = [parts(noisy(y, seed=seed), 2) * 2 for seed in (1, 2)]
    twice = [Truth(y=part, split=split) for split in (0, 1) for part in parts(y, 2)]
    once = select([model[:2] for model in models], twice[:2], metric("rmse"))
    found = select(models, twice, metric("rmse"))
    assert found is not None
    assert once is not None
    assert (found.gain, found.weights) == (pytest.approx(once.gain), once.weights)
    alone = [Truth(y=part, split=split) for split, part in enumerate(parts(y, 2))]
    assert select([model[:2] for model in models], alone, metric("rmse")) is None


def test_there_is_no_blend_of_one_model_of_one_fold_or_without_time() -> None:
    y = np.arange(10.0)
    truths = [Truth(y=part) for part in parts(y)]
    assert select([parts(y)], truths, metric("rmse")) is None
    assert select([[y], [y]], [Truth(y=y)], metric("rmse")) is None
    assert select([parts(y), parts(y)], truths, metric("rmse"), expired=lambda: True) is None


def test_a_blend_whose_time_is_up_is_told_by_the_folds_that_were_asked() -> None:
    y = np.random.default_rng(0).normal(size=400)
    models = [parts(noisy(y, seed=seed), 4) for seed in (1, 2)]
    truths = [Truth(y=part) for part in parts(y, 4)]
    asked: list[int] = []

    def expired(after: int) -> bool:
        asked.append(1)
        return len(asked) > after

    whole = select(models, truths, metric("rmse"), expired=lambda: expired(10**6))
    times = len(asked)
    asked.clear()
    cut = select(models, truths, metric("rmse"), expired=lambda: expired(times - 1))
    assert whole is not None
    assert cut is not None
    assert cut.weights == whole.weights
    assert cut.gain != whole.gain  # of three folds


def problem(kind: TaskKind, classes: int = 3) -> tuple[pa.Table, pd.DataFrame, Any, Any, Task]:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {"a": rng.normal(size=400), "b": rng.normal(size=400), "c": rng.choice(["x", "y"], 400)}
    )
    strength = rows["a"] + (rows["c"] == "x") + rng.normal(scale=0.3, size=400)
    y: Any = strength.to_numpy() if kind is TaskKind.REGRESSION else pd.qcut(strength, classes, labels=False)
    name = "rmse" if kind is TaskKind.REGRESSION else "log_loss"
    table = pa.Table.from_pandas(rows.assign(target=np.asarray(y)), preserve_index=False)
    schema, task = infer(table, Task(kind=kind, target="target", metric=name))
    typed = check(table, schema, task).table
    return typed, frame(typed, schema), np.asarray(y), schema, task


def blended_classifier(calibrated: bool) -> tuple[Pipeline, Any]:
    typed, X, y, schema, task = problem(TaskKind.CLASSIFICATION)
    encode = preprocessor(schema, task, seed=0)
    matrix = encode.fit_transform(X, y)
    members = [
        LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1),
        make_pipeline(StandardScaler(), LogisticRegression()),
        ExtraTreesClassifier(n_estimators=10, n_jobs=1, random_state=0),
        KNeighborsClassifier(),
    ]
    for member in members:
        member.fit(matrix, y)
    given = members[0].predict_proba(matrix)
    curve = Calibration.fit("isotonic", y, given).to_json() if calibrated else None
    model = BlendClassifier(members=members, weights=[0.4, 0.3, 0.2, 0.1], calibration=curve)
    return plain(encode, model, present=np.arange(3), n_classes=3), (typed, X, y, schema, task)


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_blend_has_a_compiled_form_that_answers_the_same(calibrated: bool) -> None:
    pipeline, (typed, X, _, schema, task) = blended_classifier(calibrated)
    compiled = compile_pipeline(pipeline, schema, task)
    assert isinstance(compiled, Compiled), compiled
    expected = predictions(pipeline, X, task)
    assert expected.sum(axis=1) == pytest.approx(np.ones(len(X)))
    assert answer_gap(compiled.table(typed), expected) <= compiled.tolerance
    packed = pack(compiled)
    assert packed is not None
    back = unpack(packed)
    assert back is not None
    np.testing.assert_array_equal(back.table(typed), compiled.table(typed))
    assert requirements(pipeline).keys() == {"scikit-learn", "numpy", "pandas", "lightgbm"}


def test_a_blend_is_trained_anew_with_the_weights_that_members_can_take() -> None:
    pipeline, (_, X, y, _, task) = blended_classifier(True)
    again = trained_anew(pipeline, X, y, n_classes=3, weights=np.ones(len(y)))
    assert answer_gap(predictions(again, X, task), predictions(pipeline, X, task)) < 1e-9
    fresh = clone(pipeline).steps[-1][1]
    assert fresh.members[0] is not pipeline.steps[-1][1].members[0]


def test_a_blend_of_numbers_with_a_log_target_compiles_too() -> None:
    typed, X, y, schema, task = problem(TaskKind.REGRESSION)
    y = np.expm1(y - y.min())
    encode = preprocessor(schema, task, seed=0)
    matrix = encode.fit_transform(X, y)
    members = [LogTarget(LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1)), Ridge()]
    for member in members:
        member.fit(matrix, y)
    pipeline = plain(
        encode, BlendRegressor(members=members, weights=[0.7, 0.3]), present=np.array([]), n_classes=0
    )
    compiled = compile_pipeline(pipeline, schema, task)
    assert isinstance(compiled, Compiled), compiled
    assert answer_gap(compiled.table(typed), predictions(pipeline, X, task)) <= compiled.tolerance


def test_a_target_is_skewed_where_a_long_tail_goes_upwards_from_zero() -> None:
    rng = np.random.default_rng(0)
    assert is_skewed(np.exp(rng.normal(size=1_000)))
    assert not is_skewed(rng.normal(size=1_000))
    assert not is_skewed(-np.exp(rng.normal(size=1_000)))
    assert not is_skewed(np.ones(10))


def test_a_log_target_never_answers_far_beyond_what_it_saw() -> None:
    X = np.arange(20.0).reshape(-1, 1)
    model = LogTarget(Ridge(alpha=1e-6)).fit(X, np.expm1(X[:, 0] / 4))
    assert model.predict(np.array([[1e6]]))[0] <= 10 * np.expm1(19 / 4) * 1.001
    assert model.predict(np.array([[-1e6]]))[0] == 0.0
