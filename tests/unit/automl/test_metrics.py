"""Metrics: scikit-learn's numbers, under any weights."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score

from automl.metrics import METRICS, default_metric, metric, metrics_for
from automl.task import TaskKind

Reference = Callable[[Any, Any, Any], float]


def _binarised(y: Any, p: Any) -> Any:
    return np.eye(p.shape[1])[y]


def _ap(y: Any, p: Any, w: Any) -> float:
    if p.shape[1] == 2:
        return float(sk.average_precision_score(y, p[:, 1], sample_weight=w))
    return float(sk.average_precision_score(_binarised(y, p), p, average="macro", sample_weight=w))


def _auc(y: Any, p: Any, w: Any) -> float:
    if p.shape[1] == 2:
        return float(sk.roc_auc_score(y, p[:, 1], sample_weight=w))
    return float(sk.roc_auc_score(y, p, multi_class="ovr", average="macro", sample_weight=w))


def _f1(y: Any, p: Any, w: Any) -> float:
    average = "binary" if p.shape[1] == 2 else "macro"
    return float(sk.f1_score(y, p.argmax(axis=1), average=average, sample_weight=w, zero_division=0))


CLASSIFICATION: dict[str, Reference] = {
    "roc_auc": _auc,
    "log_loss": lambda y, p, w: float(sk.log_loss(y, p, labels=range(p.shape[1]), sample_weight=w)),
    "accuracy": lambda y, p, w: float(sk.accuracy_score(y, p.argmax(axis=1), sample_weight=w)),
    "f1": _f1,
    "balanced_accuracy": lambda y, p, w: float(
        sk.balanced_accuracy_score(y, p.argmax(axis=1), sample_weight=w)
    ),
    "average_precision": _ap,
}
REGRESSION: dict[str, Reference] = {
    "rmse": lambda y, p, w: float(sk.root_mean_squared_error(y, p, sample_weight=w)),
    "mae": lambda y, p, w: float(sk.mean_absolute_error(y, p, sample_weight=w)),
    "r2": lambda y, p, w: float(sk.r2_score(y, p, sample_weight=w)),
}


@st.composite
def classified(draw: st.DrawFn, most_classes: int = 4) -> tuple[Any, Any, Any]:
    """Labels of every class, probabilities with many ties, whole-number weights of one or more."""
    k = draw(st.integers(2, most_classes))
    n = draw(st.integers(2 * k, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = np.concatenate([np.arange(k), random.integers(0, k, n - k)])
    p = random.integers(1, draw(st.sampled_from([3, 50])), (n, k)).astype(float)
    return y, p / p.sum(axis=1, keepdims=True), random.integers(1, 5, n)


@st.composite
def numbered(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    n = draw(st.integers(3, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = draw(st.sampled_from([0.0, 1e6])) + random.normal(size=n)
    return y, y + random.normal(size=n), random.integers(1, 5, n)


@pytest.mark.parametrize("name", CLASSIFICATION)
@given(case=classified())
def test_classification_metric_equals_sklearns_with_and_without_weights(name: str, case: Any) -> None:
    y, p, w = case
    assert metric(name).score(y, p) == pytest.approx(CLASSIFICATION[name](y, p, None), rel=1e-9, abs=1e-12)
    weighted = CLASSIFICATION[name](y, p, w / 3.0)
    assert metric(name).score(y, p, w / 3.0) == pytest.approx(weighted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", REGRESSION)
@given(case=numbered())
def test_regression_metric_equals_sklearns_with_and_without_weights(name: str, case: Any) -> None:
    y, p, w = case
    assert metric(name).score(y, p) == pytest.approx(REGRESSION[name](y, p, None), rel=1e-6)
    assert metric(name).score(y, p, w / 3.0) == pytest.approx(REGRESSION[name](y, p, w / 3.0), rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
@given(data=st.data())
def test_whole_weights_are_repeated_rows_and_ones_are_none(name: str, data: st.DataObject) -> None:
    y, p, w = data.draw(numbered() if metric(name).needs == "values" else classified())
    # rows of weight zero too: what a resample leaves out, even a whole class, is not there
    w = np.where(np.arange(len(y)) % 3 == 0, 0, w)
    repeated = np.repeat(np.arange(len(y)), w)
    measure = metric(name)
    assert measure.score(y, p, np.ones(len(y))) == measure.score(y, p)
    assert measure.score(y, p, w) == pytest.approx(
        measure.score(y[repeated], p[repeated]), rel=1e-6, abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize("name", METRICS)
@given(data=st.data())
def test_block_of_weights_gives_each_rows_own_score(name: str, data: st.DataObject) -> None:
    y, p, w = data.draw(numbered() if metric(name).needs == "values" else classified())
    block = np.stack([w, w[::-1], np.ones(len(y))]).astype(float)
    scores = metric(name).tally(y, p).scores(block)
    assert scores == pytest.approx([metric(name).score(y, p, each) for each in block], nan_ok=True)


@pytest.mark.parametrize("name", ["log_loss", "accuracy", "rmse", "mae"])
@given(data=st.data())
def test_row_losses_average_to_the_metric(name: str, data: st.DataObject) -> None:
    y, p, _ = data.draw(numbered() if metric(name).needs == "values" else classified())
    losses = metric(name).losses(y, p)
    assert losses is not None
    mean = float(losses.mean())
    expected = {"accuracy": 1.0 - mean, "rmse": np.sqrt(mean)}.get(name, mean)
    assert metric(name).score(y, p) == pytest.approx(expected)


def test_metric_of_the_order_has_no_row_losses() -> None:
    assert metric("roc_auc").losses(np.array([0, 1]), np.eye(2)) is None


def test_certain_and_wrong_answer_costs_a_finite_log_loss() -> None:
    score = metric("log_loss").score(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert score == pytest.approx(0.5 * -np.log(np.finfo(float).eps))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_ranking_metric_of_one_class_has_no_value(name: str) -> None:
    assert np.isnan(metric(name).score(np.zeros(4, dtype=int), np.full((4, 2), 0.5)))


def test_r2_of_labels_all_the_same_has_no_value() -> None:
    assert np.isnan(metric("r2").score(np.full(5, 7.3), np.arange(5.0)))


def test_class_absent_from_the_labels_is_left_out_of_a_macro_mean() -> None:
    y = np.array([0, 1, 0, 1, 1])
    p = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]])
    ones = [
        metric("roc_auc").score((y == k).astype(int), np.column_stack([1 - p[:, k], p[:, k]])) for k in (0, 1)
    ]
    assert metric("roc_auc").score(y, p) == pytest.approx(np.mean(ones))


@pytest.mark.parametrize(
    ("name", "y", "p"),
    [
        ("accuracy", [0, 1], [0.1, 0.9]),
        ("accuracy", [0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        ("accuracy", [0, -1], [[0.5, 0.5], [0.5, 0.5]]),
        ("roc_auc", [0, 1], [[0.5, 0.5], [np.nan, 0.5]]),
        ("rmse", [0.0, 1.0], [1.0]),
        ("rmse", [0.0, np.inf], [1.0, 1.0]),
        ("rmse", [], []),
    ],
)
def test_what_can_not_be_scored_is_refused(name: str, y: Any, p: Any) -> None:
    with pytest.raises(ValueError):
        metric(name).score(np.array(y), np.array(p))


def test_negative_or_missing_weights_are_refused() -> None:
    for weights in ([-1.0, 1.0], [np.nan, 1.0], [1.0]):
        with pytest.raises(ValueError, match="weights"):
            metric("mae").score(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array(weights))


def test_unknown_metric_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="roc_auc, log_loss"):
        metric("gini")


def test_each_kind_of_task_has_metrics_and_a_default_among_them() -> None:
    assert default_metric(TaskKind.CLASSIFICATION, 2) == "roc_auc"
    assert default_metric(TaskKind.CLASSIFICATION, 3) == "log_loss"
    assert default_metric(TaskKind.REGRESSION, 0) == "rmse"
    assert set(metrics_for(TaskKind.REGRESSION)) == set(REGRESSION)
    assert default_metric(TaskKind.FORECASTING, 0) == "mase"
    assert metrics_for(TaskKind.FORECASTING) == ("mase",)
    assert set(metrics_for(TaskKind.CLASSIFICATION)) == set(CLASSIFICATION)


@pytest.mark.parametrize("name", METRICS)
def test_scorer_works_in_cross_validation_and_survives_pickling(name: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 3))
    numbers = metric(name).needs == "values"
    y = X[:, 0] + random.normal(size=120)
    model = LinearRegression() if numbers else LogisticRegression()
    labels = y if numbers else np.digitize(y, [-0.5, 0.5])
    scorer = pickle.loads(pickle.dumps(metric(name).scorer()))
    assert scorer == metric(name).scorer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_val_score(model, X, labels, scoring=scorer, cv=3)
    fitted = model.fit(X, labels)
    predicted = fitted.predict(X) if numbers else fitted.predict_proba(X)
    sign = 1 if metric(name).greater_is_better else -1
    assert np.all(np.isfinite(scores))
    assert scorer(fitted, X, labels) == sign * metric(name).score(labels, predicted)


def test_scorer_gives_a_class_the_estimator_never_saw_no_chance() -> None:
    X = np.array([[0.0], [1.0], [0.0], [1.0]])
    fitted = LogisticRegression().fit(X, [0, 2, 0, 2])
    assert metric("accuracy").scorer()(fitted, X, [0, 2, 1, 2]) == 0.75
