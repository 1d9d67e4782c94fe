"""The confidence sequence and the watch: what they promise after every row."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl import sequential
from automl.sequential import ConfidenceSequence
from automl.watch import Decision, Watch

differences = st.lists(st.floats(-1, 1), min_size=0, max_size=60)
losses = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=0, max_size=60)


def cut(values: list[Any], places: list[int]) -> list[list[Any]]:
    edges = sorted({0, len(values), *(place % (len(values) + 1) for place in places)})
    return [values[a:b] for a, b in itertools.pairwise(edges)]


def disagreeing(random: Any, rows: int, *, rate: float, worse: float) -> Any:
    chances = [(rate - worse) / 2, 1 - rate, (rate + worse) / 2]
    return random.choice([-1.0, 0.0, 1.0], p=chances, size=rows)


# -- the bounds -----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(differences, st.lists(st.integers(0, 100), max_size=5))
def test_rows_in_any_division_give_the_same_state(values: list[float], places: list[int]) -> None:
    whole = ConfidenceSequence(bound=1.0).after(values)
    parts = ConfidenceSequence(bound=1.0)
    for part in cut(values, places):
        parts = parts.after(part)
    assert parts == whole


@settings(max_examples=40, deadline=None)
@given(differences)
def test_path_gives_the_bounds_of_every_row(values: list[float]) -> None:
    lower, upper = ConfidenceSequence(bound=1.0).path(values)
    state = ConfidenceSequence(bound=1.0)
    for value, low, high in zip(values, lower, upper, strict=True):
        state = state.after(value)
        assert low == pytest.approx(state.lower, abs=1e-9)
        assert high == pytest.approx(state.upper, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(differences, st.floats(1e-3, 1e6), st.floats(0.001, 0.5))
def test_state_survives_json_text(values: list[float], bound: float, alpha: float) -> None:
    state = ConfidenceSequence(bound=bound, alpha=alpha).after(np.asarray(values) * bound * 2)
    again = ConfidenceSequence.from_json(json.loads(json.dumps(state.to_json())))
    assert again == state
    assert (again.lower, again.upper) == (state.lower, state.upper)


@settings(max_examples=60, deadline=None)
@given(differences)
def test_estimate_lies_within_bounds_that_mirror(values: list[float]) -> None:
    state = ConfidenceSequence(bound=1.0).after(values)
    mirrored = ConfidenceSequence(bound=1.0).after([-value for value in values])
    assert (mirrored.lower, mirrored.upper) == (-state.upper, -state.lower)
    assert -1 <= state.lower <= state.upper <= 1
    if state.estimate is not None:
        assert state.lower <= state.estimate + 1e-12
        assert state.upper >= state.estimate - 1e-12


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_larger_differences_never_lower_a_bound(pairs: list[tuple[float, float]]) -> None:
    less = ConfidenceSequence(bound=1.0).after([value for value, _ in pairs])
    more = ConfidenceSequence(bound=1.0).after([min(value + extra, 1.0) for value, extra in pairs])
    assert more.lower >= less.lower - 1e-9
    assert more.upper >= less.upper - 1e-9


@settings(max_examples=40, deadline=None)
@given(differences, st.integers(-8, 8))
def test_bounds_scale_with_the_unit_of_the_loss(values: list[float], power: int) -> None:
    unit = 2.0**power
    plain = ConfidenceSequence(bound=1.0).after(values)
    scaled = ConfidenceSequence(bound=unit).after(np.asarray(values) * unit)
    assert scaled.lower == pytest.approx(plain.lower * unit)
    assert scaled.upper == pytest.approx(plain.upper * unit)


def test_nothing_is_known_before_the_first_row() -> None:
    start = ConfidenceSequence(bound=3.0)
    assert (start.lower, start.upper, start.estimate) == (-3.0, 3.0, None)
    assert start.after([]) == start


def test_differences_beyond_the_bound_are_cut_and_counted() -> None:
    state = ConfidenceSequence(bound=0.5).after([2.0, -math.inf, 0.5, 0.1])
    assert state.clipped == 2
    assert state.total == pytest.approx(0.5 - 0.5 + 0.5 + 0.1)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf])
def test_bound_that_is_no_positive_number_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="bound"):
        ConfidenceSequence(bound=bound)


def test_difference_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ConfidenceSequence(bound=1.0).after([0.1, math.nan])


def test_state_of_another_method_is_not_continued() -> None:
    state = {**ConfidenceSequence(bound=1.0).to_json(), "method": "another"}
    with pytest.raises(ValueError, match="another"):
        ConfidenceSequence.from_json(state)


@pytest.mark.parametrize("chance", [0.02, 0.5, 0.9])
def test_capital_is_never_expected_to_grow(chance: float) -> None:
    """Every path of nine rows, weighed by its chance: the martingale that all of it rests on."""
    size, rows = 0.7, 9
    expected = 0.0
    for path in itertools.product([True, False], repeat=rows):
        probability, steps, means = 1.0, [], 0.0
        for hit in path:
            # the chance answers to the past: more hits make the next one likelier
            now = min(max(chance + 0.04 * sum(step > 0 for step in steps), 0.0), 1.0)
            probability *= now if hit else 1 - now
            means += now * size - (1 - now) * 1.0
            steps.append(size if hit else -1.0)
        capitals = np.asarray(ConfidenceSequence(bound=1.0).after(steps).capital_up)
        expected += probability * float(
            np.exp(capitals - sequential._STAKES * means + sequential._LOG_SHARES).sum()
        )
    assert 0 < expected <= 1 + 1e-9


@pytest.mark.parametrize(
    ("rate", "worse"), [(0.06, 0.0), (1.0, 0.0), (0.3, 0.1)], ids=["rare", "coin", "worse"]
)
def test_truth_stays_within_the_bounds_at_every_row(rate: float, worse: float) -> None:
    histories, outside = 120, 0
    for seed in range(histories):
        drawn = disagreeing(np.random.default_rng(seed), 500, rate=rate, worse=worse)
        lower, upper = ConfidenceSequence(bound=1.0, alpha=0.05).path(drawn)
        outside += bool(np.any((lower > worse) | (upper < worse)))
    assert outside / histories <= 0.05


def test_bounds_are_for_the_average_of_means_that_move() -> None:
    """Half the rows gain, half lose: on average nothing, and the bounds say so at every row."""
    outside, means = 0, 0.3 * np.sin(2 * np.pi * np.arange(1000) / 100)
    truth = np.cumsum(means) / np.arange(1, 1001)
    for seed in range(60):
        random = np.random.default_rng(seed)
        drawn = np.where(random.random(1000) < (1 + means) / 2, 1.0, -1.0)
        lower, upper = ConfidenceSequence(bound=1.0).path(drawn)
        outside += bool(np.any((lower > truth) | (upper < truth)))
    assert outside <= 3


def test_bounds_close_in_on_the_mean() -> None:
    drawn = disagreeing(np.random.default_rng(0), 60_000, rate=0.1, worse=0.02)
    lower, upper = ConfidenceSequence(bound=1.0).path(drawn)
    assert lower[-1] <= 0.02 <= upper[-1]
    widths = (upper - lower)[[999, 9_999, 59_999]]
    assert list(widths) == sorted(widths, reverse=True)
    # a fixed-size interval for one look would be 2 · 1.96 · sqrt(0.1 / n) wide
    assert widths[-1] < 2.2 * 2 * 1.96 * math.sqrt(0.1 / 60_000)


# -- the watch ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(losses, st.lists(st.integers(0, 100), max_size=5), st.sampled_from([None, 7, 30]))
def test_watch_in_any_division_decides_the_same(
    pairs: list[tuple[float, float]], places: list[int], most: int | None
) -> None:
    def after(watch: Watch, rows: list[tuple[float, float]]) -> Watch:
        return watch.after([new for new, _ in rows], [old for _, old in rows])

    start = Watch.over(bound=2.0, tolerance=0.1, max_rows=most)
    whole, parts = after(start, pairs), start
    for part in cut(pairs, places):
        parts = Watch.from_json(json.loads(json.dumps(after(parts, part).to_json())))
    assert parts == whole


def test_worse_model_is_rolled_back_and_the_decision_stands() -> None:
    random = np.random.default_rng(1)
    new, old = random.random(3000) < 0.30, random.random(3000) < 0.20
    watch = Watch.over(bound=1.0).after(new, old)
    assert watch.decision is Decision.ROLL_BACK
    assert watch.proven
    assert watch.sequence.lower > 0
    assert watch.sequence.rows < 2000
    assert watch.after([0.0] * 5000, [1.0] * 5000) == watch
    assert watch.reason.startswith("Roll back: over ")
    assert "higher than the old one's" in watch.reason


@pytest.mark.parametrize("size", [1, 7, 50])
def test_decision_falls_at_the_same_row_whatever_arrives_together(size: int) -> None:
    new, old = np.tile([1.0, 0.0, 1.0], 100), np.zeros(300)
    whole = watch = Watch.over(bound=1.0)
    whole = whole.after(new, old)
    for start in range(0, 300, size):
        watch = watch.after(new[start : start + size], old[start : start + size])
    assert whole.decision is Decision.ROLL_BACK
    assert watch == whole
    row = whole.sequence.rows
    assert Watch.over(bound=1.0).after(new[: row - 1], old[: row - 1]).decision is Decision.KEEP


def test_better_model_is_confirmed() -> None:
    random = np.random.default_rng(2)
    watch = Watch.over(bound=1.0).after(random.random(3000) < 0.20, random.random(3000) < 0.30)
    assert watch.decision is Decision.CONFIRMED
    assert watch.proven
    assert "all of it is below zero" in watch.reason


def test_watch_without_proof_ends_after_its_rows() -> None:
    random = np.random.default_rng(3)
    watch = Watch.over(bound=1.0, max_rows=200)
    early = watch.after(random.random(150) < 0.2, random.random(150) < 0.2)
    assert early.decision is Decision.KEEP
    assert "neither better nor worse is proven" in early.reason
    ended = early.after(random.random(150) < 0.2, random.random(150) < 0.2)
    assert (ended.decision, ended.proven, ended.sequence.rows) == (Decision.CONFIRMED, False, 200)
    assert "the watch ends at 200 rows without proof that it is worse" in ended.reason


def test_small_loss_that_is_tolerated_is_not_rolled_back() -> None:
    drawn = disagreeing(np.random.default_rng(4), 30_000, rate=0.1, worse=0.02)
    strict, lenient = Watch.over(bound=1.0), Watch.over(bound=1.0, tolerance=0.05)
    assert strict.after(drawn > 0, drawn < 0).decision is Decision.ROLL_BACK
    assert lenient.after(drawn > 0, drawn < 0).decision is Decision.CONFIRMED


def test_cut_losses_are_counted_and_said() -> None:
    watch = Watch.over(bound=1.0).after([5.0, math.inf, 0.2], [0.1, 0.3, 1.0])
    assert watch.cut == 2
    assert watch.sequence.total == pytest.approx(0.9 + 0.7 - 0.8)
    assert "2 of 6 losses were cut to 1" in watch.reason


def test_equal_models_are_hardly_ever_rolled_back() -> None:
    rolled = 0
    for seed in range(120):
        drawn = disagreeing(np.random.default_rng([5, seed]), 1000, rate=0.1, worse=0.0)
        rolled += Watch.over(bound=1.0).after(drawn > 0, drawn < 0).decision is Decision.ROLL_BACK
    assert rolled <= 3


def test_losses_that_can_not_be_compared_are_refused() -> None:
    watch = Watch.over(bound=1.0)
    for new, old in [([0.1], [0.1, 0.2]), ([-0.1], [0.1]), ([math.nan], [0.1])]:
        with pytest.raises(ValueError):
            watch.after(new, old)
    with pytest.raises(ValueError, match="tolerance"):
        Watch.over(bound=1.0, tolerance=1.0)
    assert watch.after([], []) == watch
    assert watch.reason == "Keep: no truth has arrived yet."
