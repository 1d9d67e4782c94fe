"""Losses of one model, followed answer by answer."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from automl.loss_monitor import LossMonitor, half_brier


def answers(n: int, seed: int, *, flipped: bool = False) -> tuple[Any, Any]:
    """Calibrated probabilities with their truth; ``flipped``: the same answers mean the other class."""
    random = np.random.default_rng(seed)
    p = random.beta(0.7, 0.7, n)
    y = (random.random(n) < (1 - p if flipped else p)).astype(int)
    return y, np.column_stack([1 - p, p])


def test_half_brier_lies_between_sure_right_and_sure_wrong() -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert half_brier(np.array([0, 0, 1]), p).tolist() == [0.0, 1.0, 0.25]


def test_label_flip_with_unchanged_answers_is_seen_within_two_hundred_truths() -> None:
    monitor = LossMonitor.new(0.002)
    assert monitor.add(*answers(1000, 0)) is None
    change = monitor.add(*answers(200, 1, flipped=True))
    assert change is not None
    assert change.rose
    assert change.at <= 1200


def test_unchanged_losses_are_not_a_change() -> None:
    monitor = LossMonitor.new(0.002)
    assert all(monitor.add(*answers(500, seed)) is None for seed in range(10))


def test_steps_of_one_change_are_told_with_the_mean_of_before_the_first() -> None:
    monitor = LossMonitor.new(0.002)
    monitor.add(*answers(1500, 0))
    calm = monitor.adwin.mean
    found = [monitor.add(*answers(50, 10 + i, flipped=True)) for i in range(12)]
    told = [change for change in found if change is not None]
    assert len(told) >= 2
    assert all(change.before == pytest.approx(calm, abs=0.02) for change in told)
    assert told[-1].after > told[0].before * 1.5


def test_numbers_are_measured_by_their_own_first_errors() -> None:
    random = np.random.default_rng(0)
    monitor = LossMonitor.new(0.002)
    y = random.normal(0, 1000, 1500)
    assert monitor.add(y[:60], y[:60] + random.normal(0, 50, 60)) is None
    assert monitor.scale is None
    assert monitor.add(y, y + random.normal(0, 50, 1500)) is None
    assert monitor.scale == pytest.approx(2 * 50 * 2.6, rel=0.4)
    assert monitor.adwin.seen == 1560
    change = monitor.add(y[:400], y[:400] + random.normal(0, 120, 400))
    assert change is not None
    assert change.rose


def test_perfect_answers_have_a_scale_too() -> None:
    monitor = LossMonitor.new(0.002)
    y = np.arange(200.0)
    assert monitor.add(y, y) is None
    assert monitor.scale == 1.0


@pytest.mark.parametrize("at", [30, 150, 1100])
def test_kept_state_goes_on_as_if_it_had_never_stopped(at: int) -> None:
    random = np.random.default_rng(0)
    y = np.zeros(2000)
    p = np.concatenate([random.normal(0, 1, 1000), random.normal(0, 3, 1000)])
    whole, part = LossMonitor.new(0.002), LossMonitor.new(0.002)
    last = whole.add(y, p)
    part.add(y[:at], p[:at])
    resumed = LossMonitor.from_json(json.loads(json.dumps(part.to_json())))
    assert resumed.add(y[at:], p[at:]) == last
    assert resumed == whole
