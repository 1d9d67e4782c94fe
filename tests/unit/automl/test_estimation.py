"""Quality without labels: what the estimate says, when it alarms, and what it can't see."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from automl.calibration import Calibration, chosen, folds
from automl.estimation import ClassificationEstimator, Estimate, Spread, lacking
from automl.expected import expected_score
from automl.loss_estimation import RegressionEstimator
from automl.metrics import METRICS, metric
from automl.task import TaskKind

CLASSIFICATION = [name for name, each in METRICS.items() if each.needs == "probabilities"]


def binary(random: Any, n: int, *, shift: float = 0.0) -> tuple[Any, Any]:
    """Labels and an overconfident model that misses an interaction; ``shift`` moves the features only."""
    x = random.normal(size=(n, 4)) + shift * np.array([1, 0.5, 0, 0])
    truth = 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1] + 0.5 * x[:, 2] * x[:, 3] - 1)))
    said = 1 / (1 + np.exp(-2 * (1.5 * x[:, 0] - x[:, 1] - 1)))
    return (random.random(n) < truth).astype(int), np.column_stack([1 - said, said])


# -- against NannyML ------------------------------------------------------------------------------------
# The constants below were computed by nannyml 0.13.1 (numpy 2.4.6, scikit-learn 1.9.1) on the rows that
# these functions make; it rounds expected counts to five decimals in roc_auc and average_precision.


def even(n: int, step: float) -> Any:
    return np.mod((np.arange(n) + 1) * step, 1.0)


def without_chance(n: int, shift: float) -> tuple[Any, Any, Any]:
    """Two normal features and a uniform number, from low-discrepancy sequences: the same everywhere."""
    x = ndtri(even(n, 0.6180339887498949) * 0.998 + 0.001) + shift
    z = ndtri(even(n, 0.7548776662466927) * 0.998 + 0.001)
    return x, z, even(n, 0.5698402909980532)


def two_classes(n: int, shift: float) -> tuple[Any, Any]:
    x, z, u = without_chance(n, shift)
    y = (u < 1 / (1 + np.exp(-(1.2 * x + 0.5 * z - 0.4)))).astype(int)
    said = 1 / (1 + np.exp(-(2.0 * x + 0.2)))
    return y, np.column_stack([1 - said, said])


def three_classes(n: int, shift: float) -> tuple[Any, Any]:
    x, z, u = without_chance(n, shift)
    truth = np.exp(np.column_stack([0 * x, 1.1 * x + 0.3 * z, -0.8 * x + 0.6 * z]))
    truth /= truth.sum(axis=1, keepdims=True)
    said = np.exp(np.column_stack([0 * x, 1.9 * x, -1.5 * x + 0.2]))
    y = (u[:, None] > np.cumsum(truth, axis=1)[:, :2]).sum(axis=1)
    return y, said / said.sum(axis=1, keepdims=True)


def test_expected_metrics_agree_with_nannyml_formulae() -> None:
    """Its estimate_roc_auc, estimate_ap, estimate_f1 and estimate_accuracy on given probabilities."""
    _, p = two_classes(1000, 0.6)
    chance = 1 / (1 + np.exp(-(0.6 * np.log(p[:, 1] / p[:, 0]) - 0.1)))
    chances = np.column_stack([1 - chance, chance])
    theirs = {
        "roc_auc": 0.7724823353523532,
        "average_precision": 0.8498932067171298,
        "f1": 0.8040178573486815,
        "accuracy": 0.7258751374186242,
    }
    for name, value in theirs.items():
        assert expected_score(metric(name), p, chances) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize(
    ("rows", "theirs"),
    [
        (
            two_classes,
            {
                "roc_auc": 0.7778132997510994,
                "average_precision": 0.8259489882046995,
                "f1": 0.7619182119376052,
                "accuracy": 0.6844786630587948,
            },
        ),
        (
            three_classes,
            {
                "roc_auc": 0.7523097833517585,
                "average_precision": 0.571765841070805,
                "f1": 0.4396506545209589,
                "accuracy": 0.6106756691965879,
            },
        ),
    ],
    ids=["two classes", "three classes"],
)
def test_isotonic_estimates_agree_with_nannyml_cbpe(rows: Any, theirs: dict[str, float]) -> None:
    """Its CBPE fitted on 1,500 rows (it chose isotonic calibration) and asked about 1,000 shifted ones."""
    calibration = Calibration.fit("isotonic", *rows(1500, 0.0))
    _, p = rows(1000, 0.6)
    for name, value in theirs.items():
        assert expected_score(metric(name), p, calibration(p)) == pytest.approx(value, abs=1e-5)


# -- the expected metric --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("classes", [2, 4])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_certain_labels_give_the_metric_itself(name: str, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    p = np.round(random.dirichlet(np.ones(classes), size=40), 1) + 1e-3  # with ties
    p /= p.sum(axis=1, keepdims=True)
    y = np.concatenate([np.arange(classes), random.integers(0, classes, size=40 - classes)])
    assert expected_score(metric(name), p, np.eye(classes)[y]) == pytest.approx(metric(name).score(y, p))


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_expected_metric_is_what_labels_drawn_by_the_chances_give(name: str) -> None:
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.ones(3), size=800)
    p = chances**1.5 / (chances**1.5).sum(axis=1, keepdims=True)
    drawn = [
        metric(name).score((random.random((800, 1)) > np.cumsum(chances, axis=1)[:, :2]).sum(axis=1), p)
        for _ in range(60)
    ]
    error = np.std(drawn) / np.sqrt(60)
    assert expected_score(metric(name), p, chances) == pytest.approx(np.mean(drawn), abs=4 * error + 1e-3)


def test_metrics_of_numbers_and_shapes_that_differ_have_no_expected_score() -> None:
    p = np.full((5, 2), 0.5)
    with pytest.raises(ValueError, match="rmse"):
        expected_score(metric("rmse"), np.ones(5), np.ones(5))
    with pytest.raises(ValueError, match="one shape"):
        expected_score(metric("f1"), p, np.full((5, 3), 1 / 3))


# -- calibration ----------------------------------------------------------------------------------------


def ways(distort: Any, rows: int) -> list[str]:
    """The ways chosen for ten draws of rows whose true probabilities a model distorts."""
    found = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        truth = random.random(rows)
        said = distort(truth)
        calibration, held, scores = chosen(
            (random.random(rows) < truth).astype(int), np.column_stack([1 - said, said]), seed=seed
        )
        assert held.shape == (rows, 2)
        assert calibration.way == min(scores, key=lambda each: scores[each])
        found.append(calibration.way)
    return found


def test_way_of_calibrating_is_chosen_on_rows_held_out() -> None:
    overconfident = ways(lambda truth: 1 / (1 + np.exp(-3 * np.log(truth / (1 - truth)) - 1)), 400)
    assert overconfident.count("platt") >= 7
    assert ways(lambda truth: np.where(truth < 0.5, truth / 5, 0.9 + truth / 10), 2000) == ["isotonic"] * 10
    honest = ways(lambda truth: truth, 300)  # many points on few rows would only add noise
    assert honest.count("none") > honest.count("platt") > honest.count("isotonic")


@pytest.mark.parametrize("way", ["none", "platt", "isotonic"])
def test_calibrated_rows_are_probabilities_and_survive_json(way: Any) -> None:
    random = np.random.default_rng(1)
    p = random.dirichlet(np.full(3, 0.1), size=400)
    y = np.where(p.argmax(axis=1) == 2, 0, p.argmax(axis=1))  # class 2 never comes; the others are certain
    calibration = Calibration.fit(way, y, p)
    out = calibration(np.vstack([p, np.eye(3)]))
    assert np.allclose(out.sum(axis=1), 1)
    assert out.min() >= 0
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert again == calibration
    with pytest.raises(ValueError, match="3 classes"):
        calibration(p[:, :2])


def test_every_class_is_spread_over_the_folds() -> None:
    labels = np.repeat([0, 1, 2], [90, 9, 3])
    parts = folds(labels, seed=0)
    for k, count in ((0, 5), (1, 5), (2, 3)):
        assert len(np.unique(parts[labels == k])) == count
    assert np.ptp(np.bincount(parts)) <= 1


# -- estimates ------------------------------------------------------------------------------------------


def test_estimate_follows_a_shift_of_the_features() -> None:
    random = np.random.default_rng(0)
    estimator = ClassificationEstimator.fit(*binary(random, 3000), seed=0)
    y, p = binary(random, 2000, shift=1.0)
    for name in CLASSIFICATION:
        estimate = estimator.estimate(p, name)
        true = metric(name).score(y, p)
        assert estimate.lower <= true <= estimate.upper
        # nearer to the new truth than the old truth is, where the two differ
        gap = abs(estimate.realized - true)
        assert gap < 3 * estimate.error or abs(estimate.value - true) < gap / 2
    assert estimator.estimate(p, "log_loss").decayed
    assert "is worse than the" in estimator.estimate(p, "log_loss").reason
    assert not estimator.estimate(p, "f1").decayed


def test_unchanged_windows_hardly_ever_alarm() -> None:
    names, alarms, windows = ("roc_auc", "accuracy", "log_loss"), 0, 0
    misses = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        estimator = ClassificationEstimator.fit(*binary(random, 600), seed=seed, metrics=names)
        for _ in range(25):
            y, p = binary(random, 400)
            for name in names:
                estimate = estimator.estimate(p, name)
                alarms, windows = alarms + estimate.decayed, windows + 1
                misses.append((metric(name).score(y, p) - estimate.value) / estimate.error)
    assert alarms / windows <= 0.01
    assert 0.8 < np.std(misses) < 1.3  # the stated error is the real one


def test_label_flip_with_unchanged_features_is_not_seen() -> None:
    """What the module says it can't see: the model is wrong on most rows, and the estimate stays silent."""
    random = np.random.default_rng(3)
    estimator = ClassificationEstimator.fit(*binary(random, 2000), seed=0)
    y, p = binary(random, 1000)
    estimate = estimator.estimate(p, "roc_auc")
    assert metric("roc_auc").score(1 - y, p) < 0.25
    assert estimate.value > 0.8
    assert not estimate.decayed


@pytest.mark.parametrize("classes", [2, 3])
def test_estimator_is_repeatable_and_survives_json(classes: int) -> None:
    random = np.random.default_rng(4)
    p = random.dirichlet(np.ones(classes), size=500)
    y = np.array([random.choice(classes, p=row) for row in p])
    first = ClassificationEstimator.fit(y, p, seed=7, metrics=["log_loss", "accuracy"])
    assert ClassificationEstimator.fit(y, p, seed=7, metrics=["log_loss", "accuracy"]) == first
    again = ClassificationEstimator.from_json(json.loads(json.dumps(first.to_json())))
    assert again == first
    assert again.estimate(p, "accuracy") == first.estimate(p, "accuracy")
    json.dumps(first.estimate(p, "log_loss").to_json())


def test_rows_that_can_not_carry_an_estimate_say_why() -> None:
    assert lacking(np.zeros(99), TaskKind.REGRESSION) == "an estimate needs 100 judged rows, there are 99"
    one_class = lacking(np.zeros(500, dtype=int), TaskKind.CLASSIFICATION)
    assert one_class is not None
    assert "10 judged rows in each of two classes" in one_class
    assert lacking(np.arange(500) % 2, TaskKind.CLASSIFICATION) is None
    with pytest.raises(ValueError, match="100 judged rows"):
        ClassificationEstimator.fit(np.zeros(10, dtype=int), np.full((10, 2), 0.5), seed=0)


def test_what_was_not_fitted_is_not_estimated() -> None:
    y, p = binary(np.random.default_rng(5), 300)
    estimator = ClassificationEstimator.fit(y, p, seed=0, metrics=["accuracy"])
    with pytest.raises(ValueError, match="there are accuracy"):
        estimator.estimate(p, "roc_auc")
    with pytest.raises(ValueError, match="no rows"):
        estimator.estimate(p[:0], "accuracy")
    with pytest.raises(ValueError, match="rmse"):
        ClassificationEstimator.fit(y, p, seed=0, metrics=["rmse"])


def test_perfect_and_constant_models_are_estimated_without_alarm() -> None:
    y = np.arange(400) % 2
    for p in (np.eye(2)[y], np.tile([0.6, 0.4], (400, 1))):
        estimator = ClassificationEstimator.fit(y, p, seed=0)
        for name in estimator.spreads:
            estimate = estimator.estimate(p, name)
            assert np.isfinite(estimate.value)
            assert not estimate.decayed


def test_worse_means_higher_where_lower_is_better() -> None:
    spread = Spread(realized=0.5, estimated=0.5, moves=1.0, misses=1.0)
    sizes = {"rows": 10_000, "rows_reference": 10_000}  # three standard errors are 0.042
    assert Estimate.of("log_loss", 0.55, spread, **sizes).decayed
    assert not Estimate.of("log_loss", 0.45, spread, **sizes).decayed
    assert Estimate.of("accuracy", 0.45, spread, **sizes).decayed
    assert Estimate.of("accuracy", 0.45, spread, **sizes).loss == pytest.approx(0.05)


# -- regression -----------------------------------------------------------------------------------------


def priced(random: Any, n: int, *, shift: float = 0.0, level: float = 0.0) -> tuple[Any, Any, Any]:
    """Features, labels and predictions; the noise grows with the second feature."""
    x = random.normal(size=(n, 4))
    x[:, 1] += shift
    y = 3 * x[:, 0] + np.exp(0.5 * x[:, 1]) * random.normal(size=n) + level
    return x, y, 3 * x[:, 0]


def test_estimated_error_follows_features_that_make_it_larger() -> None:
    random = np.random.default_rng(0)
    estimator = RegressionEstimator.fit(*priced(random, 3000), seed=0)
    x, y, p = priced(random, 1000, shift=0.5)
    for name in ("mae", "rmse"):
        assert estimator.sees(name)
        estimate = estimator.estimate(x, p, name)
        true = metric(name).score(y, p)
        assert abs(estimate.value - true) < abs(estimate.realized - true) / 2
        assert estimate.decayed


def test_unchanged_regression_windows_hardly_ever_alarm() -> None:
    alarms = 0
    for seed in range(4):
        random = np.random.default_rng(seed)
        estimator = RegressionEstimator.fit(*priced(random, 800), seed=seed)
        for _ in range(10):
            x, _, p = priced(random, 400)
            alarms += sum(estimator.estimate(x, p, name).decayed for name in ("mae", "rmse"))
    assert alarms <= 1


def test_price_level_that_rises_with_unchanged_features_is_not_seen() -> None:
    random = np.random.default_rng(1)
    estimator = RegressionEstimator.fit(*priced(random, 1500), seed=0)
    x, y, p = priced(random, 500, level=10.0)
    assert metric("mae").score(y, p) > 9
    assert not estimator.estimate(x, p, "mae").decayed


def test_loss_that_no_feature_explains_is_its_mean_and_never_alarms() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(size=(400, 2)), random.normal(size=400)
    estimator = RegressionEstimator.fit(x, y, np.zeros(400), seed=0)
    for name in ("mae", "rmse"):
        assert not estimator.sees(name)
        estimate = estimator.estimate(x + 100, np.zeros(400), name)
        assert estimate.value == pytest.approx(metric(name).score(y, np.zeros(400)))
        assert not estimate.decayed


def test_regression_estimator_is_repeatable_survives_json_and_takes_missing_values() -> None:
    x, y, p = priced(np.random.default_rng(3), 400)
    x[::7, 2] = np.nan
    first = RegressionEstimator.fit(x, y, p, seed=1)
    assert RegressionEstimator.fit(x, y, p, seed=1) == first
    again = RegressionEstimator.from_json(json.loads(json.dumps(first.to_json())))
    assert again == first
    assert again.estimate(x, p, "rmse") == first.estimate(x, p, "rmse")


def test_regression_rows_that_do_not_fit_are_refused() -> None:
    x, y, p = priced(np.random.default_rng(4), 300)
    estimator = RegressionEstimator.fit(x, y, p, seed=0)
    for features, predictions in [(x[:, :2], p), (x[:0], p[:0]), (x, p[:5])]:
        with pytest.raises(ValueError):
            estimator.estimate(features, predictions, "mae")
    with pytest.raises(ValueError, match="there are mae, rmse"):
        estimator.estimate(x, p, "r2")
    with pytest.raises(ValueError, match="100 judged rows"):
        RegressionEstimator.fit(x[:50], y[:50], p[:50], seed=0)
