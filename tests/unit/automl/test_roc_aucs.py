"""The areas of many scorings at once, by the bits of the scores or by an order of the rows, are scikit-learn's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from automl.tallies import roc_aucs

ROWS = 50


@st.composite
def scorings(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """Some with ties among few values, some without, some below zero, and zeros of both signs."""
    few = st.sampled_from([0.0, -0.0, 0.25, 0.5, np.nextafter(0.5, 1.0), 1.0])
    many = st.floats(-1.0 if draw(st.booleans()) else 0.0, 1.0)
    rows = [draw(st.lists(kind, min_size=ROWS, max_size=ROWS)) for kind in (few, many, many)]
    return np.array(rows, dtype=np.float64)


@settings(max_examples=100, deadline=None)
@given(scores=scorings(), seed=st.integers(0, 2**16), weight=st.sampled_from([1.0, 0.5, None]))
def test_areas_are_those_of_scikit_learn(
    scores: npt.NDArray[np.float64], seed: int, weight: float | None
) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(ROWS) < rng.integers(1, ROWS))
    weights = rng.integers(1, 5, ROWS).astype(np.float64) if weight is None else np.full(ROWS, weight)
    expected = [roc_auc_score(positive, one, sample_weight=weights) for one in scores]
    np.testing.assert_allclose(roc_aucs(scores, positive, weights), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("positive", [True, False])
def test_rows_of_one_class_have_no_area(positive: bool) -> None:
    assert np.isnan(roc_aucs(np.eye(3), np.full(3, positive), np.ones(3))).all()


def test_rows_that_weigh_nothing_have_no_area() -> None:
    assert np.isnan(roc_aucs(np.eye(3), np.array([True, False, True]), np.zeros(3))).all()


def test_scores_that_differ_in_their_last_bit_are_told_apart() -> None:
    """The label takes the place of that bit: such scores are ordered in the other way."""
    score = np.array([[0.5, np.nextafter(0.5, 1.0)], [np.nextafter(0.5, 1.0), 0.5]])
    assert roc_aucs(score, np.array([False, True]), np.ones(2)).tolist() == [1.0, 0.0]
