"""Snapshots: the newest rows judge, the older ones train, and no entity stands on both sides."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import SplitError
from automl.snapshot import OLDEST, HoldoutRule, Mark, folds, row_order, snapshot_hash, split
from automl.task import Task, TaskKind

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=(0, 1))
NUMBER = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
SMALL = HoldoutRule(share=0.2, min_rows=3, max_rows=20, min_train=3)

sightings = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), min_size=8, max_size=150)
orders = st.lists(st.integers(0, 40), min_size=6, max_size=120)


def ids_for(n: int, seed: int = 0) -> list[str]:
    ids = [f"r{number:04d}" for number in range(n)]
    random.Random(seed).shuffle(ids)
    return ids


@given(orders, st.integers(0, 5))
def test_a_split_is_disjoint_and_complete_and_the_newest_rows_are_the_holdout(
    times: list[int], seed: int
) -> None:
    order, ids = np.array(times, dtype=np.int64), ids_for(len(times), seed)
    parts = split(order, row_ids=ids, rule=SMALL)
    assert sorted([*parts.train, *parts.holdout, *parts.left_out]) == list(range(len(times)))
    assert parts.left_out.size == 0
    assert parts.holdout.size == SMALL.wanted(len(times))
    keys = [(int(order[row]), ids[row]) for row in range(len(times))]
    assert max(keys[row] for row in parts.train) < min(keys[row] for row in parts.holdout)
    assert [keys[row] for row in parts.train] == sorted(keys[row] for row in parts.train)


@given(orders, st.integers(0, 5))
def test_a_split_does_not_depend_on_the_order_the_rows_come_in(times: list[int], seed: int) -> None:
    ids = ids_for(len(times), seed)
    shuffled = list(range(len(times)))
    random.Random(seed).shuffle(shuffled)
    one = split(np.array(times, dtype=np.int64), row_ids=ids, rule=SMALL)
    again_order = np.array([times[row] for row in shuffled], dtype=np.int64)
    other = split(again_order, row_ids=[ids[row] for row in shuffled], rule=SMALL)
    assert [ids[row] for row in one.holdout] == [ids[shuffled[row]] for row in other.holdout]
    assert (one.cut, one.trained_until) == (other.cut, other.trained_until)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), min_size=8, max_size=150), st.integers(0, 9)
)
def test_an_entity_is_never_divided(rows: list[tuple[int, int]], seed: int) -> None:
    order = np.array([time for time, _ in rows], dtype=np.int64)
    entities = np.array([f"machine {entity}" for _, entity in rows], dtype=object)
    try:
        parts = split(order, row_ids=ids_for(len(rows), seed), entities=entities, rule=SMALL)
    except SplitError:
        return
    assert not set(entities[parts.train]) & set(entities[parts.holdout])
    assert sorted([*parts.train, *parts.holdout, *parts.left_out]) == list(range(len(rows)))
    assert parts.train.size >= SMALL.min_train


def test_with_entities_that_do_not_come_back_the_holdout_is_still_the_newest_rows() -> None:
    order = np.arange(100, dtype=np.int64)
    entities = np.array([f"customer {row // 7}" for row in range(100)], dtype=object)
    parts = split(order, entities=entities, rule=HoldoutRule(min_rows=10))
    assert list(parts.holdout) == list(range(80, 100))
    assert set(parts.left_out) == {77, 78, 79}  # older rows of the first customer in the holdout


def test_where_every_entity_comes_back_whole_entities_are_held_out_by_their_newest_rows() -> None:
    order = np.repeat(np.arange(100, dtype=np.int64), 10)
    entities = np.tile([f"machine {number}" for number in range(10)], 100).astype(object)
    parts = split(order, row_ids=ids_for(1000), entities=entities)
    assert parts.holdout.size == 200
    assert not set(entities[parts.train]) & set(entities[parts.holdout])
    assert parts.train.size >= 700
    assert max(order[parts.holdout]) == 99


def test_one_entity_alone_can_not_be_split_and_the_message_says_so() -> None:
    with pytest.raises(SplitError, match="same few entities"):
        split(np.arange(500, dtype=np.int64), entities=np.full(500, "the only one", dtype=object))


def test_rows_without_an_entity_are_each_their_own() -> None:
    parts = split(np.arange(200, dtype=np.int64), entities=np.full(200, None, dtype=object))
    assert (parts.train.size, parts.holdout.size) == (150, 50)


def test_too_few_rows_are_refused_with_the_needed_number() -> None:
    with pytest.raises(SplitError, match=r"60 truly labelled rows; 100 are needed"):
        split(np.arange(60, dtype=np.int64))
    with pytest.raises(SplitError, match="0 truly labelled rows"):
        split(np.empty(0, dtype=np.int64))


def test_the_holdout_holds_no_row_its_champion_was_trained_on() -> None:
    order, ids = np.arange(300, dtype=np.int64), ids_for(300)
    first = split(order, row_ids=ids)
    later = np.arange(400, dtype=np.int64)
    second = split(later, row_ids=[*ids, *(f"s{n}" for n in range(100))], trained_until=first.trained_until)
    assert min(second.holdout) >= min(first.holdout)
    assert not set(second.holdout) & set(first.train)


def test_the_same_rows_judge_again_though_all_arrived_in_one_moment() -> None:
    order, ids = np.zeros(300, dtype=np.int64), ids_for(300)
    first = split(order, row_ids=ids)
    again = split(order, row_ids=ids, trained_until=first.trained_until)
    assert list(again.holdout) == list(first.holdout)


def test_too_few_rows_beyond_the_champions_training_are_refused_with_the_numbers() -> None:
    order = np.arange(300, dtype=np.int64)
    with pytest.raises(SplitError, match=r"19 truly labelled rows are newer .* 50 are needed"):
        split(order, trained_until=Mark(at=280))


def test_a_mark_is_written_and_read_again() -> None:
    mark = Mark(at=1_700_000_000_000_000_000, row_id="a")
    assert Mark.from_json(mark.to_json()) == mark


def test_row_order_follows_the_time_column_and_puts_missing_times_first() -> None:
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse", time_column="t")
    times = pa.array([3_000_000, None, 1_000_000], pa.timestamp("us", tz="UTC"))
    assert list(row_order(pa.table({"t": times}), task)) == [3_000_000_000, OLDEST, 1_000_000_000]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=30))
def test_row_order_sorts_a_numeric_time_column_as_its_numbers(numbers: list[float]) -> None:
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse", time_column="step")
    order = row_order(pa.table({"step": pa.array(numbers, pa.float64())}), task)
    for one, other in zip(np.argsort(order, kind="stable"), np.argsort(numbers, kind="stable"), strict=True):
        assert numbers[one] == numbers[other]


def test_row_order_without_a_time_column_is_arrival() -> None:
    arrived = pa.array([5, 4], pa.timestamp("us", tz="UTC"))
    assert list(row_order(pa.table({"_arrived_at": arrived}), NUMBER)) == [5_000, 4_000]


@given(st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=8), max_size=20), st.randoms())
def test_the_hash_is_the_same_in_any_order_and_another_for_another_label(
    labels: dict[str, str | None], chance: Any
) -> None:
    pairs = list(labels.items())
    expected = snapshot_hash([key for key, _ in pairs], [value for _, value in pairs])
    chance.shuffle(pairs)
    shuffled = pa.array([key for key, _ in pairs], pa.string()), pa.array([v for _, v in pairs], pa.string())
    assert snapshot_hash(*shuffled) == expected
    if pairs:
        changed = [(pairs[0][0], f"{pairs[0][1]}!"), *pairs[1:]]
        assert snapshot_hash([key for key, _ in changed], [value for _, value in changed]) != expected


@settings(deadline=None)
@given(st.integers(30, 200), st.floats(0.1, 0.9), st.booleans(), st.integers(0, 5))
def test_folds_are_disjoint_and_train_on_every_class(n: int, share: float, ordered: bool, seed: int) -> None:
    chance = np.random.default_rng(seed)
    y = (chance.random(n) < share).astype(np.int64)
    y[:2] = [0, 1]
    order = chance.integers(0, 50, n) if ordered else None
    try:
        found = folds(y, task=BINARY, order=order, seed=seed)
    except SplitError:
        assert np.unique(y, return_counts=True)[1].min() < 4
        return
    for train, valid in found:
        assert not set(train) & set(valid)
        assert set(y[train]) == {0, 1} == set(y[valid])
        if order is not None and len(found) > 1 and train.size + valid.size < n:
            assert order[train].max() <= order[valid].min()


def test_folds_by_time_validate_only_on_later_rows() -> None:
    y = np.tile([0, 1], 100)
    order = np.arange(200, dtype=np.int64)[::-1].copy()
    found = folds(y, task=BINARY, order=order, n=4, seed=0)
    assert len(found) == 4
    assert all(order[train].max() < order[valid].min() for train, valid in found)


def test_folds_with_entities_divide_none() -> None:
    entities = np.repeat([f"e{number}" for number in range(20)], 10).astype(object)
    for task, y in ((BINARY, np.tile([0, 1], 100)), (NUMBER, np.arange(200.0))):
        found = folds(y, task=task, entities=entities, seed=0)
        assert found
        for train, valid in found:
            assert not set(entities[train]) & set(entities[valid])


def test_a_class_of_one_row_leaves_the_folds_that_can_train_on_it() -> None:
    y = np.array([0, 1] * 40 + [2])
    task = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="log_loss", classes=(0, 1, 2))
    found = folds(y, task=task, n=4, seed=0)
    assert len(found) == 3
    assert all(2 in y[train] for train, _ in found)


def test_a_class_that_appeared_only_lately_gives_shuffled_folds() -> None:
    y = np.array([0] * 190 + [1] * 10)
    found = folds(y, task=BINARY, order=np.arange(200, dtype=np.int64), n=4, seed=0)
    assert all(set(y[train]) == {0, 1} for train, _ in found)


def test_rows_that_give_no_fold_are_refused_with_the_reason() -> None:
    with pytest.raises(SplitError, match="rarest class has 1 row"):
        folds(np.array([0] * 20 + [1]), task=BINARY, seed=0)
