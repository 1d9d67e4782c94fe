"""Blocks of consecutive rows: long enough for what neighbours share, no longer where they share nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.blocks import LEAST_BLOCKS, block_codes, settled_length, shortest_length
from automl.judge import Rules, Scored, judge
from automl.metrics import metric
from automl.task import Task, TaskKind

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="accuracy", classes=(0, 1))


def right_and_wrong(n: int, shared: int, seed: int, *, gain: float = 0.0) -> tuple[Any, Any, Any]:
    """Two models equally often right; which of them is right on a row is shared with ``shared`` neighbours."""
    random = np.random.default_rng(seed)
    moods = np.repeat(random.normal(size=n // shared + 1), shared)[:n] * (0.15 if shared > 1 else 0.0)
    ours = random.random(n) < 0.75 + gain + moods
    theirs = random.random(n) < 0.75 - moods
    y = random.integers(0, 2, n)
    return y, np.eye(2)[np.where(ours, y, 1 - y)], np.eye(2)[np.where(theirs, y, 1 - y)]


def length(n: int, shared: int, seed: int, name: str = "accuracy") -> int:
    y, ours, theirs = right_and_wrong(n, shared, seed)
    return settled_length(metric(name).tally(y, ours), metric(name).tally(y, theirs), n)


@given(rows=st.integers(1, 5000), size=st.integers(1, 600))
def test_every_row_is_in_a_block_and_blocks_are_consecutive_and_of_even_size(rows: int, size: int) -> None:
    codes = block_codes(rows, size)
    assert np.all(np.diff(codes) >= 0)
    counts = np.bincount(codes)
    assert len(codes) == rows
    assert counts.max() - counts.min() <= 1
    assert rows < size or counts.min() >= size


@given(st.integers(1, 10**6))
def test_the_shortest_length_is_the_cube_root_rounded_down(rows: int) -> None:
    length = shortest_length(rows)
    assert length**3 <= rows < (length + 1) ** 3


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(30, 3000), seed=st.integers(0, 1000))
def test_a_settled_length_leaves_enough_blocks_and_does_not_depend_on_which_model_is_which(
    rows: int, seed: int
) -> None:
    y, ours, theirs = right_and_wrong(rows, 20, seed)
    one, other = (metric("log_loss").tally(y, 0.8 * p + 0.1) for p in (ours, theirs))
    found = settled_length(one, other, rows)
    assert found == settled_length(other, one, rows)
    assert found == shortest_length(rows) or rows / found >= LEAST_BLOCKS


def test_rows_that_share_nothing_get_short_blocks_and_storms_of_a_day_get_long_ones() -> None:
    alone = [length(8000, 1, seed) for seed in range(20)]
    stormy = [length(8000, 200, seed) for seed in range(20)]
    assert np.median(alone) <= 2 * shortest_length(8000)
    assert np.median(stormy) >= 160


def test_ranks_settle_too() -> None:
    random = np.random.default_rng(0)
    n, found = 2000, {}
    for shared in (1, 100):
        y, logit = random.integers(0, 2, n), random.normal(size=n)
        fog = np.repeat(random.random(n // shared), shared)  # spells in which one of the models sees little
        models = (y + logit + 4 * noise * random.normal(size=n) for noise in (fog, 1 - fog))
        tallies = [metric("roc_auc").tally(y, np.column_stack([-p, p])) for p in models]
        found[shared] = settled_length(*tallies, n)
    assert found[100] >= 96 > found[1]


@pytest.mark.parametrize(("blocks", "units"), [(None, 6000), ("auto", None), (50, 120)])
def test_what_is_drawn_is_what_the_rules_say(blocks: Any, units: int | None) -> None:
    y, ours, theirs = right_and_wrong(6000, 100, 1)
    rules = Rules(metric="accuracy", resamples=200, blocks=blocks)
    verdict = judge(
        Scored(predictions=theirs),
        Scored(predictions=ours),
        y,
        rules,
        seed=0,
        task=BINARY,
        train_prior=np.full(2, 0.5),
    )
    assert verdict.difference is not None
    holdout = verdict.gates[0]
    if units is None:
        assert LEAST_BLOCKS <= verdict.difference.units <= 6000 / 18
    else:
        assert verdict.difference.units == units
    assert holdout.evidence["blocks"] == (None if blocks is None else verdict.difference.units)
    assert ("consecutive" in holdout.reason) == (blocks is not None)


def promotions(blocks: Any, histories: int) -> int:
    count = 0
    for seed in range(histories):
        y, ours, theirs = right_and_wrong(3000, 100, seed)
        rules = Rules(metric="accuracy", min_effect=0.0, resamples=200, blocks=blocks)
        count += judge(
            Scored(predictions=theirs),
            Scored(predictions=ours),
            y,
            rules,
            seed=seed,
            task=BINARY,
            train_prior=np.full(2, 0.5),
        ).promotes
    return count


def test_equal_models_whose_errors_come_in_spells_are_promoted_at_alpha_only_with_blocks() -> None:
    assert promotions(None, 100) > 20  # single rows: three times surer than the rows allow
    assert promotions("auto", 100) <= 10
