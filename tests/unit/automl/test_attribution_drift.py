"""How live rows come to their answers beside how training rows did."""

from __future__ import annotations

import numpy as np
import pytest

from automl.trust.attribution_drift import attribution_drift

RULE = {"threshold": 0.05, "alpha": 0.001}


def test_the_figures_of_thirty_rows_are_as_counted_by_hand() -> None:
    """Column a adds 2 or -2, column b 1 or -1, together 3 an answer; now a adds 2 to every row, b what it did.

    Half of a's rows go from -2 to 2: a distance of 2, of 3 in all. Both halves of the empirical distributions differ by a
    half, so the Kolmogorov-Smirnov statistic is 0.5.
    """
    sign = np.tile([1.0, -1.0], 15)
    before = np.column_stack([2 * sign, sign])
    now = np.column_stack([np.full(30, 2.0), sign])
    a, b = attribution_drift(before, now, ["a", "b"], **RULE)
    assert (a.column, a.before, a.now, a.effect) == (
        "a",
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
    )
    assert a.p_value == pytest.approx(
        2 * 0.00065, rel=0.2
    )  # scipy's asymptotic p of D = 0.5 at 30 and 30, doubled by Holm
    assert (b.column, b.before, b.now, b.effect, b.p_value) == (
        "b",
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        0.0,
        1.0,
    )


def test_a_column_that_sticks_is_named_and_no_other() -> None:
    random = np.random.default_rng(0)
    before, now = random.normal(size=(1_000, 6)), random.normal(size=(250, 6))
    now[:, 3] = 0.4
    first, *rest = attribution_drift(before, now, list("abcdef"), **RULE)
    assert (first.column, first.moved) == ("d", True)
    assert not any(one.moved for one in rest)


def test_where_nothing_changed_few_windows_of_many_have_a_moved_column() -> None:
    """Without the threshold, at 5%: no more than 5% of the windows, but for chance."""
    random = np.random.default_rng(1)
    false = 0
    for _ in range(200):
        found = attribution_drift(
            random.standard_t(3, size=(400, 8)),
            random.standard_t(3, size=(150, 8)),
            list("abcdefgh"),
            threshold=0.0,
            alpha=0.05,
        )
        false += any(one.moved for one in found)
    assert false <= 18  # 10 are expected at most; 19 or more have a chance below 1%


def test_a_sure_but_small_move_does_not_count_and_a_column_nobody_looks_at_is_still() -> None:
    random = np.random.default_rng(2)
    before, now = random.normal(size=(5_000, 2)), random.normal(size=(5_000, 2))
    now[:, 0] += 0.08
    before[:, 1] = now[:, 1] = 0.0
    a, b = attribution_drift(before, now, ["a", "b"], threshold=0.2, alpha=0.01)
    assert a.p_value < 0.01
    assert not a.moved
    assert (b.effect, b.p_value) == (0.0, 1.0)


def test_a_model_that_leans_on_nothing_has_no_shares() -> None:
    (one,) = attribution_drift(np.zeros((30, 1)), np.zeros((30, 1)), ["a"], **RULE)
    assert (one.before, one.now, one.effect, one.moved) == (0.0, 0.0, 0.0, False)
