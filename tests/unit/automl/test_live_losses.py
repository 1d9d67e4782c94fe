"""Losses of single rows that stand for the judge's metrics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from automl.live_losses import LiveLoss
from automl.metrics import METRICS, metric
from automl.watch import Decision, Watch


def proba(logit: Any) -> Any:
    p = 1 / (1 + np.exp(-logit))
    return np.column_stack([1 - p, p])


def binary(random: Any, n: int, *noises: float) -> tuple[Any, ...]:
    y = (random.random(n) < 0.3).astype(int)
    signal = 1.5 * random.normal(size=n) + 1.5 * y - 1.5
    return (y, *(proba(signal + noise * random.normal(size=n)) for noise in noises))


@pytest.mark.parametrize("name", [name for name, each in METRICS.items() if each.needs == "probabilities"])
def test_better_classifier_has_the_smaller_mean_loss(name: str) -> None:
    y, good, bad = binary(np.random.default_rng(0), 4000, 0.2, 2.5)
    ours, theirs = LiveLoss.fit(name, y, new=good, old=bad).losses(y, new=good, old=bad)
    assert ours.shape == theirs.shape == y.shape
    assert ours.mean() < theirs.mean()


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_better_regression_has_the_smaller_mean_loss(name: str) -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=2000)
    good, bad = y + 0.1 * random.normal(size=2000), y + random.normal(size=2000)
    loss = LiveLoss.fit(name, y, new=good, old=bad)
    ours, theirs = loss.losses(y, new=good, old=bad)
    assert ours.mean() < theirs.mean()
    # half of the losses pooled are the bad model's, one in a hundred of all is cut
    assert np.mean(np.concatenate([ours, theirs]) > loss.bound) == pytest.approx(0.01, abs=0.002)


def test_mean_placement_is_the_area_that_roc_auc_lacks() -> None:
    y, new, old = binary(np.random.default_rng(1), 900, 0.3, 1.5)
    loss = LiveLoss.fit("roc_auc", y, new=new, old=old)
    ours, theirs = loss.losses(y, new=new, old=old)
    assert ours.mean() == pytest.approx(1 - metric("roc_auc").score(y, new), abs=1e-9)
    assert theirs.mean() == pytest.approx(1 - metric("roc_auc").score(y, old), abs=1e-9)
    assert ours.max() <= loss.bound == 1.0


def test_ranking_loss_does_not_mind_a_worse_calibration() -> None:
    y, p = binary(np.random.default_rng(2), 2000, 0.3)
    squeezed = proba(0.1 * np.log(p[:, 1] / p[:, 0]) + 3.0)
    ours, theirs = LiveLoss.fit("roc_auc", y, new=squeezed, old=p).losses(y, new=squeezed, old=p)
    assert np.allclose(ours, theirs)


def test_rare_class_costs_more_where_classes_are_balanced() -> None:
    y = np.repeat([0, 1], [900, 100])
    always = np.tile([0.9, 0.1], (1000, 1))
    loss = LiveLoss.fit("balanced_accuracy", y, new=always, old=always)
    ours, _ = loss.losses(y, new=always, old=always)
    assert ours.mean() == pytest.approx(1 - metric("balanced_accuracy").score(y, always))
    assert loss.bound == pytest.approx(5.0)


def test_many_classes_and_one_that_was_never_judged_have_losses() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet(np.ones(4), size=600)
    y = np.minimum([random.choice(4, p=row) for row in p], 2)  # class 3 never comes
    for name in ("roc_auc", "log_loss", "balanced_accuracy", "f1"):
        loss = LiveLoss.fit(name, y, new=p, old=p)
        ours, _ = loss.losses(np.array([3, 0]), new=p[:2], old=p[:2])
        assert np.isfinite(ours).all()


def test_loss_survives_json_text() -> None:
    y, new, old = binary(np.random.default_rng(4), 3000, 0.3, 1.0)
    for name in ("roc_auc", "balanced_accuracy", "log_loss"):
        loss = LiveLoss.fit(name, y, new=new, old=old)
        assert LiveLoss.from_json(json.loads(json.dumps(loss.to_json()))) == loss


def test_predictions_that_do_not_fit_are_refused() -> None:
    y, p = binary(np.random.default_rng(5), 50, 0.3)
    loss = LiveLoss.fit("accuracy", y, new=p, old=p)
    for labels, predicted in [(y, p[:10]), (y + 5, p), (y, np.full_like(p, np.nan))]:
        with pytest.raises(ValueError, match="accuracy"):
            loss.losses(labels, new=predicted, old=predicted)
    with pytest.raises(ValueError, match="unknown metric"):
        LiveLoss.fit("auc", y, new=p, old=p)


def test_tolerance_keeps_equal_models_that_few_judged_rows_make_look_different() -> None:
    """Placed against the same 200 rows again and again, equal models do differ; what they may is tolerated."""
    strict = tolerant = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        y, new, old = binary(random, 200, 0.5, 0.5)
        loss = LiveLoss.fit("roc_auc", y, new=new, old=old)
        y, new, old = binary(random, 3000, 0.5, 0.5)
        pair = loss.losses(y, new=new, old=old)
        strict += Watch.over(bound=1.0).after(*pair).decision is Decision.ROLL_BACK
        tolerant += (
            Watch.over(bound=1.0, tolerance=loss.tolerance).after(*pair).decision is Decision.ROLL_BACK
        )
    assert tolerant <= 1 < strict
