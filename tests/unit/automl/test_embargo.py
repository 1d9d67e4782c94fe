"""The gap between what is trained on and what is judged on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.embargo import LONGEST_DELAY, label_delay
from automl.errors import SplitError
from automl.snapshot import OLDEST, HoldoutRule, Mark, split

SMALL = HoldoutRule(share=0.2, min_rows=3, max_rows=20, min_train=3)


@given(
    times=st.lists(st.integers(0, 60), min_size=8, max_size=120),
    embargo=st.integers(0, 20),
    entities=st.one_of(st.none(), st.integers(2, 12)),
)
def test_every_row_to_judge_on_is_later_than_all_training_by_more_than_the_embargo(
    times: list[int], embargo: int, entities: int | None
) -> None:
    order = np.array(times, dtype=np.int64)
    named = (
        None
        if entities is None
        else np.array([f"e{row % entities}" for row in range(len(times))], dtype=object)
    )
    try:
        parts = split(order, rule=SMALL, embargo=embargo, entities=named)
    except SplitError:
        return
    assert order[parts.holdout].min() - order[parts.train].max() > embargo
    assert sorted([*parts.train, *parts.holdout, *parts.left_out]) == list(range(len(times)))
    assert parts.trained_until.at == order[parts.train].max()


@given(st.lists(st.integers(0, 60), min_size=8, max_size=120))
def test_the_rows_to_judge_on_are_the_same_with_and_without_an_embargo(times: list[int]) -> None:
    order = np.array(times, dtype=np.int64)
    try:
        apart = split(order, rule=SMALL, embargo=5)
    except SplitError:
        return
    assert list(apart.holdout) == list(split(order, rule=SMALL).holdout)


def test_an_embargo_of_nothing_still_parts_moments() -> None:
    order = np.repeat(np.arange(20, dtype=np.int64), 10)  # the cut falls within a moment
    parts = split(order, rule=HoldoutRule(share=0.22, min_rows=10), embargo=0)
    assert (parts.holdout.size, parts.train.size, parts.left_out.size) == (44, 150, 6)


def test_a_champion_is_judged_on_rows_beyond_its_training_and_the_gap() -> None:
    order = np.arange(400, dtype=np.int64)
    parts = split(order, trained_until=Mark(at=300), embargo=30)
    assert min(parts.holdout) == 331


def test_a_gap_that_leaves_nothing_to_train_on_is_refused_with_the_reason() -> None:
    with pytest.raises(SplitError, match=r"0 truly labelled rows are older .* embargo of 1,000 s"):
        split(np.arange(200, dtype=np.int64), embargo=1000 * 10**9)
    with pytest.raises(SplitError, match="not of the same moment"):
        split(np.zeros(200, dtype=np.int64), embargo=0)


def test_rows_without_a_time_are_always_old_enough_to_train_on() -> None:
    order = np.concatenate([np.full(100, OLDEST), np.arange(100, dtype=np.int64)])
    parts = split(order, embargo=40)
    assert set(range(100)) <= set(parts.train)
    with pytest.raises(SplitError, match="not of the same moment"):
        split(np.full(200, OLDEST), embargo=0)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=30))
def test_the_label_delay_is_a_median_of_at_most_a_day_and_never_negative(delays: list[int]) -> None:
    told = np.array(delays, dtype=np.int64)
    found = label_delay(np.zeros(len(delays), dtype=np.int64), told)
    assert 0 <= found <= LONGEST_DELAY
    if 0 <= np.median(told) <= LONGEST_DELAY:
        assert found == int(np.median(told))


def test_no_feedback_is_no_delay() -> None:
    assert label_delay(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)) == 0
