from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.prediction_drift import prediction_drift


def probabilities(n: int, seed: int, shift: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    p = 1 / (1 + np.exp(-np.random.default_rng(seed).normal(shift, 1.5, n)))
    return np.column_stack([1 - p, p])


def test_the_same_answers_in_another_sample_have_not_moved() -> None:
    moved = [
        prediction_drift(probabilities(2000, 2 * k), probabilities(500, 2 * k + 1), threshold=0.1).moved
        for k in range(200)
    ]
    assert sum(moved) <= 2


def test_answers_that_lean_to_one_class_have_moved_and_both_means_are_told() -> None:
    found = prediction_drift(probabilities(2000, 0), probabilities(1000, 1, shift=0.8), threshold=0.1)
    assert found.moved
    assert found.column == 1
    assert found.mean_current > found.mean_reference + 0.1


def test_of_several_classes_the_one_that_moved_most_is_named() -> None:
    random = np.random.default_rng(0)
    old, new = random.dirichlet([2, 2, 2], 1000), random.dirichlet([2, 2, 6], 1000)
    assert prediction_drift(old, new, threshold=0.1).column == 2


@given(scale=st.floats(1e-6, 1e6), offset=st.floats(-1e3, 1e3))
def test_numbers_move_by_the_same_effect_in_any_unit(scale: float, offset: float) -> None:
    random = np.random.default_rng(3)
    old, new = random.normal(size=500), random.normal(0.5, 1, 500)
    plain = prediction_drift(old, new, threshold=0.1)
    scaled = prediction_drift((old + offset) * scale, (new + offset) * scale, threshold=0.1)
    assert scaled.effect == pytest.approx(plain.effect, rel=1e-4)


def test_a_few_answers_need_a_larger_effect() -> None:
    few = prediction_drift(np.arange(100.0), np.arange(60.0), threshold=0.1)
    many = prediction_drift(np.arange(10_000.0), np.arange(6_000.0), threshold=0.1)
    assert few.threshold > 0.5 > many.threshold == 0.1


def test_one_answer_for_all_rows_that_becomes_another_has_moved() -> None:
    assert prediction_drift(np.full(500, 3.0), np.full(500, 4.0), threshold=0.1).moved
    assert not prediction_drift(np.full(500, 3.0), np.full(500, 3.0), threshold=0.1).moved


def test_answers_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="compared"):
        prediction_drift(probabilities(10, 0), np.ones(10), threshold=0.1)
    with pytest.raises(ValueError, match="compared"):
        prediction_drift(np.ones(10), np.ones(0), threshold=0.1)
