"""Sets and intervals: by hand, as MAPIE makes them, and as often right as was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from automl.conformal import Conformal, prediction_set


def test_thirty_numbers_by_hand() -> None:
    """Errors of 1 to 30: of 31 places the 28th is the first at or beyond nine tenths (27.9)."""
    y = np.zeros(30)
    found = Conformal.fit(np.arange(1.0, 31.0), y)
    assert found.threshold(0.9) == 28.0
    assert found.threshold(0.5) == 16.0
    assert found.threshold(0.967) == 30.0
    assert found.threshold(0.968) == math.inf  # 31 * 0.968 = 30.008: there is no 31st
    assert Conformal.from_json(found.to_json()) == found


def test_thirty_probabilities_by_hand() -> None:
    """The truth is class 1 throughout, whose probability falls from 0.99 by hundredths: 1 - p is 0.01 to 0.30."""
    p = 1.0 - np.arange(1, 31) / 100
    found = Conformal.fit(np.column_stack([1 - p, p]), np.ones(30, dtype=int))
    assert found.threshold(0.9) == pytest.approx(0.28)
    assert prediction_set([0.30, 0.70], found.threshold(0.9)) == [
        1
    ]  # its 0.3 is beyond 0.28, but it is the likeliest
    assert prediction_set([0.1, 0.9], found.threshold(0.9)) == [1]
    assert prediction_set([0.2, 0.5, 0.3], 0.7) == [1, 2]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_intervals_are_those_of_mapie(coverage: float) -> None:
    from mapie.regression import SplitConformalRegressor

    random = np.random.default_rng(0)
    X = random.normal(size=(900, 3))
    y = X @ [1.0, 2.0, -1.0] + random.normal(size=900)
    model = LinearRegression().fit(X[:300], y[:300])
    theirs = SplitConformalRegressor(model, confidence_level=coverage, prefit=True).conformalize(
        X[300:600], y[300:600]
    )
    points, bounds = theirs.predict_interval(X[600:])
    reach = Conformal.fit(model.predict(X[300:600]), y[300:600]).threshold(coverage)
    assert bounds[:, 0, 0] == pytest.approx(points - reach)
    assert bounds[:, 1, 0] == pytest.approx(points + reach)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_are_those_of_mapie_and_hold_the_likeliest(coverage: float) -> None:
    from mapie.classification import SplitConformalClassifier

    random = np.random.default_rng(1)
    X = random.normal(size=(1_500, 2))
    y = np.argmax(X @ random.normal(size=(2, 3)) + random.gumbel(size=(1_500, 3)), axis=1)
    model = LogisticRegression().fit(X[:500], y[:500])
    theirs = SplitConformalClassifier(
        model, confidence_level=coverage, conformity_score="lac", prefit=True
    ).conformalize(X[500:1000], y[500:1000])
    _, sets = theirs.predict_set(X[1000:])
    shares = model.predict_proba(X)
    threshold = Conformal.fit(shares[500:1000], y[500:1000]).threshold(coverage)
    for share, member in zip(shares[1000:], sets[:, :, 0], strict=True):
        ours = prediction_set(share.tolist(), threshold)
        assert ours[0] == int(share.argmax())
        assert set(ours) == set(np.flatnonzero(member)) | {ours[0]}


def test_the_truth_is_in_as_many_sets_as_was_asked_for() -> None:
    random = np.random.default_rng(2)
    for coverage in (0.8, 0.95):
        held = []
        for _ in range(40):
            y, answers = random.standard_t(3, 600), np.zeros(600)
            reach = Conformal.fit(answers[:300], y[:300]).threshold(coverage)
            held.append(np.mean(np.abs(y[300:]) <= reach))
        assert np.mean(held) == pytest.approx(coverage, abs=0.012)


def test_what_no_coverage_can_be_read_from_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Conformal.fit(np.array([np.nan]), np.array([1.0]))
    with pytest.raises(ValueError, match="coverage must be"):
        Conformal.fit(np.array([1.0]), np.array([1.0])).threshold(0.3)
