"""What is labelled first without a model: typical rows, as different as can be, and few that are unlike all."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from automl.first_queue import first_queue
from automl.labelling import QueueRule, Why, queue

PLAIN = QueueRule(random_share=0.0, odd_rows=0.0)


def clumps(seed: int, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Groups of rows far apart, and the group of each row."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 20, (len(sizes), 4))
    rows = [centre + random.normal(0, 1, (size, 4)) for centre, size in zip(centres, sizes, strict=True)]
    return np.concatenate(rows), np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_rows_are_of_different_groups_however_small_these_are(seed: int) -> None:
    rows, group = clumps(seed, (500, 300, 60, 20))
    found = first_queue(rows, 8, PLAIN, seed=seed)
    assert set(group[found.rows]) == {0, 1, 2, 3}
    assert set(found.reasons) == {Why.TYPICAL}


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_every_class_is_seen_sooner_than_by_chance(load: object) -> None:
    X, y = load(return_X_y=True)  # type: ignore[operator]
    X = StandardScaler().fit_transform(X)

    def needed(order: np.ndarray) -> int:
        return next(at for at in range(1, len(order) + 1) if len(set(y[order[:at]])) == 3)

    ours = [needed(first_queue(X, 40, PLAIN, seed=seed).rows) for seed in range(20)]
    chance = [needed(np.random.default_rng(seed).permutation(len(y))) for seed in range(20)]
    assert np.mean(ours) < np.mean(chance)


def test_the_same_arguments_give_the_same_queue_and_all_rows_where_there_are_few() -> None:
    rows, _ = clumps(1, (30, 20))
    one, other = (first_queue(rows, 20, QueueRule(), seed=3) for _ in range(2))
    assert one.rows.tolist() == other.rows.tolist()
    assert sorted(first_queue(rows, 200, QueueRule(), seed=3).rows) == list(range(50))
    assert one.reasons.count(Why.DRAWN) == 2
    assert len(set(one.rows.tolist())) == 20


def test_equal_rows_do_not_fill_the_queue_twice() -> None:
    found = first_queue(np.zeros((40, 2)), 10, PLAIN, seed=0)
    assert len(set(found.rows.tolist())) == 10


def with_odd(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """300 usual rows, a new group of 12 of a kind and 30 rows of garbage, each far from everything."""
    random = np.random.default_rng(seed)
    usual = random.normal(0, 1, (300, 5))
    new = np.full(5, 8.0) + random.normal(0, 0.2, (12, 5))
    garbage = random.normal(0, 1, (30, 5)) * random.uniform(20, 200, (30, 1))
    kind = np.repeat([0, 1, 2], [300, 12, 30])
    return np.concatenate([usual, new, garbage]), kind, kind > 0


@pytest.mark.parametrize("seed", range(5))
def test_of_odd_rows_few_are_asked_for_and_a_new_group_goes_before_garbage(seed: int) -> None:
    rows, kind, odd = with_odd(seed)
    random = np.random.default_rng(seed)
    predicted = random.dirichlet([1, 1], len(rows))[None]
    predicted[0, kind == 2] = 0.5  # a model knows nothing of garbage
    rule = QueueRule(random_share=0.0, odd_rows=0.05)
    for found in (
        first_queue(rows, 40, rule, seed=seed, odd=odd),
        queue(predicted, 40, rule, seed=seed, features=rows, odd=odd),
    ):
        asked = kind[found.rows]
        assert np.sum(asked > 0) == found.reasons.count(Why.NEW) == 2
        assert asked[[why is Why.NEW for why in found.reasons]][0] == 1
    blind = queue(predicted, 40, QueueRule(random_share=0.0, odd_rows=1.0), seed=seed, features=rows, odd=odd)
    assert np.sum(kind[blind.rows] == 2) > 2


def test_where_the_rows_have_moved_being_odd_is_no_fault() -> None:
    rows, kind, odd = with_odd(0)
    predicted = np.full((1, len(rows), 2), 0.5)
    moved = (kind == 1).astype(float)
    rule = QueueRule(random_share=0.0)
    found = queue(predicted, 30, rule, seed=0, features=rows, drift=moved, odd=odd)
    free = queue(predicted, 30, rule, seed=0, features=rows, drift=moved)
    asked = np.sum(kind[found.rows] == 1)
    assert asked >= np.sum(kind[free.rows] == 1) > 0


def test_rows_that_are_all_odd_are_drawn() -> None:
    rows, _ = clumps(2, (20, 20))
    found = first_queue(rows, 10, QueueRule(), seed=0, odd=np.ones(40, dtype=bool))
    assert len(found.rows) == 10
    assert set(found.reasons) == {Why.NEW, Why.DRAWN}


def test_odd_needs_a_word_for_each_row() -> None:
    with pytest.raises(ValueError, match="odd must have a row"):
        first_queue(np.zeros((5, 2)), 3, QueueRule(), seed=0, odd=np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="odd_rows"):
        QueueRule(odd_rows=1.5)
