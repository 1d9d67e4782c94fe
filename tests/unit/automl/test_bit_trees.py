"""Trees by bits: the same answers as LightGBM's own walk, and the sums of XGBoost's, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from xgboost import XGBClassifier, XGBRegressor

from automl.compiled.bit_trees import BitTrees, bit_trees
from automl.compiled.native_trees import BITS_FROM, NativeTrees
from automl.compiled.tree_scorer import TreeScorer
from automl.compiled.xgboost_form import compile_xgboost

ROWS = 1_500
QUIET: dict[str, Any] = {"n_jobs": 1, "verbose": -1, "random_state": 0}


def problem(*, gaps: bool = False) -> Any:
    """Numbers, counts, zeros and ones, and columns of which at most one is 1."""
    random = np.random.default_rng(0)
    one_hot = np.eye(12)[random.integers(0, 12, ROWS)]
    numbers = random.normal(size=(ROWS, 4)).round(2)
    counts = random.poisson(2, size=(ROWS, 2))
    X = np.column_stack([numbers, counts, one_hot, np.zeros(ROWS)])
    signal = X[:, 0] + X[:, 1] * X[:, 4] + 2 * X[:, 7] + 0.3 * random.normal(size=ROWS)
    if gaps:
        X[::7, 0] = np.nan
    return X, signal


def models() -> dict[str, Any]:
    X, signal = problem()
    classes = np.digitize(signal, np.quantile(signal, [0.3, 0.7]))
    return {
        "two classes": LGBMClassifier(n_estimators=40, **QUIET).fit(X, signal > 0),
        "two classes, 64 leaves": LGBMClassifier(
            n_estimators=20, num_leaves=64, min_child_samples=3, **QUIET
        ).fit(X, signal > 0),
        "two classes, 65 leaves": LGBMClassifier(
            n_estimators=20, num_leaves=65, min_child_samples=3, **QUIET
        ).fit(X, signal > 0),
        "numbers, 256 leaves": LGBMRegressor(
            n_estimators=20, num_leaves=256, min_child_samples=2, **QUIET
        ).fit(X, signal),
        "three classes, 130 leaves": LGBMClassifier(
            n_estimators=10, num_leaves=130, min_child_samples=2, **QUIET
        ).fit(X, classes),
        "three classes": LGBMClassifier(n_estimators=15, **QUIET).fit(X, classes),
        "numbers": LGBMRegressor(n_estimators=40, **QUIET).fit(X, signal),
        "absolute errors": LGBMRegressor(objective="mae", n_estimators=20, **QUIET).fit(X, signal),
        "some trees of one leaf": LGBMClassifier(n_estimators=30, min_gain_to_split=20, **QUIET).fit(
            X, signal > 0
        ),
    }


def fresh(rows: int) -> Any:
    """Rows with values on thresholds, far beyond them, and all zero."""
    X, _ = problem()
    random = np.random.default_rng(1)
    found = X[random.integers(0, ROWS, rows)].copy()
    found[::3, :4] += random.normal(size=(len(found[::3]), 4))
    found[::11] *= 1e6
    found[::13] = 0.0
    return found


def outputs_of(model: Any) -> int:
    classes = getattr(model, "n_classes_", 0)
    return int(classes) if classes > 2 else 1


@pytest.mark.parametrize("name", sorted(models()))
def test_answers_have_the_bits_of_lightgbms_own(name: str) -> None:
    model = models()[name]
    outputs = outputs_of(model)
    bits = bit_trees(model.booster_.model_to_string(), outputs=outputs)
    assert bits is not None
    rows = fresh(700)
    walked = NativeTrees(model.booster_.model_to_string(), features=rows.shape[1], outputs=outputs)
    each = np.array([list(walked.one(row.tobytes())) for row in rows])
    assert np.array_equal(bits(rows), each)
    assert np.array_equal(walked.many(rows), each)
    few = rows[: BITS_FROM - 1]
    assert np.array_equal(walked.many(few), each[: BITS_FROM - 1])


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_sums_of_xgboosts_trees_have_its_own_bits(classes: int) -> None:
    """Added up in float32, tree after tree from the base score; numbers in float64 lose their last digits first."""
    X, signal = problem()
    kind = XGBClassifier if classes else XGBRegressor
    y = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes)) if classes else signal
    model = kind(n_estimators=60, max_leaves=100, grow_policy="lossguide", n_jobs=1).fit(X, y)
    compiled = compile_xgboost(model, X.shape[1])
    assert isinstance(compiled, TreeScorer)
    assert compiled.bits is not None
    rows = fresh(700)
    sums = compiled.bits(compiled.read(rows))
    assert sums is not None
    assert sums.dtype == np.float32
    margins = model.get_booster().inplace_predict(rows, predict_type="margin")
    assert np.array_equal(sums, margins.reshape(len(rows), -1))
    expected = model.predict_proba(rows) if classes else model.predict(rows)
    np.testing.assert_allclose(compiled.many(rows), expected, rtol=1e-6, atol=1e-6)


def test_xgboost_itself_answers_rows_with_gaps() -> None:
    X, signal = problem(gaps=True)
    model = XGBRegressor(n_estimators=20, n_jobs=1).fit(X, signal)
    rows = X[:100]
    assert np.isnan(rows).any()
    np.testing.assert_array_equal(compile_xgboost(model, X.shape[1]).many(rows), model.predict(rows))


def test_many_trees_are_asked_in_parts_that_stay_in_the_cache() -> None:
    X, signal = problem()
    classes = np.digitize(signal, np.quantile(signal, [0.3, 0.7]))
    model = LGBMClassifier(n_estimators=500, learning_rate=0.02, min_child_samples=5, **QUIET).fit(X, classes)
    text = model.booster_.model_to_string()
    bits = bit_trees(text, outputs=3)
    assert bits is not None
    assert len(bits.parts) > 1
    assert {len(part.values) % 3 for part in bits.parts} == {0}
    walked = NativeTrees(text, features=X.shape[1], outputs=3)
    for rows in (fresh(700), fresh(9), fresh(1)):
        each = np.array([list(walked.one(row.tobytes())) for row in rows])
        assert np.array_equal(bits(rows), each)


@pytest.mark.parametrize("rounds", [1, 4, 100])
def test_parts_may_end_after_any_round_and_be_without_any_split(rounds: int) -> None:
    X, signal = problem()
    classes = np.digitize(signal, [np.median(signal)])
    classes[:40] = 2
    model = LGBMClassifier(n_estimators=30, min_gain_to_split=10, **QUIET).fit(X, classes)
    whole = bit_trees(model.booster_.model_to_string(), outputs=3)
    assert whole is not None
    splits, values, outputs, objective, ends = whole.told
    assert ends == [len(values)]
    assert min(np.bincount(splits.trees, minlength=len(values))) == 0  # some trees have one leaf
    parts = BitTrees(
        splits, values, outputs, objective, [*range(3 * rounds, len(values), 3 * rounds), len(values)]
    )
    assert np.array_equal(parts(fresh(300)), whole(fresh(300)))


def test_a_row_alone_in_its_block_is_added_up_as_the_others_are() -> None:
    model = models()["numbers"]
    text = model.booster_.model_to_string()
    bits = bit_trees(text, outputs=1)
    assert bits is not None
    rows = fresh(50)
    assert np.array_equal(np.concatenate([bits(rows[at : at + 1]) for at in range(50)]), bits(rows))


def test_rows_with_gaps_are_walked() -> None:
    X, signal = problem(gaps=True)
    model = LGBMClassifier(n_estimators=20, **QUIET).fit(X, signal > 0)
    walked = NativeTrees(model.booster_.model_to_string(), features=X.shape[1], outputs=1)
    rows = X[:100]
    each = np.array([list(walked.one(row.tobytes())) for row in rows])
    assert np.isnan(rows).any()
    assert np.array_equal(walked.many(rows), each)


def test_what_the_bits_can_not_say_is_left_to_lightgbm() -> None:
    X, signal = problem()
    grown = {"num_leaves": 300, "min_child_samples": 1, "min_child_weight": 0.0}
    many = LGBMRegressor(n_estimators=3, **grown, **QUIET).fit(X, signal)
    zeros = LGBMClassifier(n_estimators=3, zero_as_missing=True, **QUIET).fit(X, signal > 0)
    category = LGBMClassifier(n_estimators=3, categorical_feature=[4], **QUIET).fit(X, signal > 0)
    counts = LGBMRegressor(objective="poisson", n_estimators=3, **QUIET).fit(X, np.abs(signal))
    for model in (many, zeros, category, counts):
        assert bit_trees(model.booster_.model_to_string(), outputs=1) is None
