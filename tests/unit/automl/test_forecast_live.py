"""Stored forecasts beside what came: only a failure that past origins don't explain counts as decay."""

from __future__ import annotations

import numpy as np
import pytest

from automl.forecasting.intervals import Misses
from automl.forecasting.live import Scored, live_quality, spread


def scored(errors: list[float], *, series: str = "a", origin: int = 0, expected: float = 0.5) -> Scored:
    found = np.array(errors)
    return Scored(
        series=series,
        origin=origin,
        errors=found,
        expected=np.full(len(errors), expected),
        inside=found < 2 * expected,
    )


def test_forecasts_as_good_as_expected_are_no_decay() -> None:
    found = live_quality([scored([0.4, 0.6, 0.5, 0.5])], spread=0.4, alpha=0.01, least=4)
    assert found is not None
    assert (found.score, found.reference, found.drop) == pytest.approx((0.5, 0.5, 0.0))
    assert found.sure_drop < 0
    assert found.covered == 1.0


def test_errors_far_above_the_expected_are_surely_worse() -> None:
    found = live_quality([scored([3.0, 3.0, 3.0, 3.0])], spread=0.4, alpha=0.01, least=4)
    assert found is not None
    assert found.sure_drop > 1.0
    assert found.covered == 0.0


def test_nothing_is_said_before_enough_steps_came() -> None:
    waiting = scored([0.5, np.nan, np.nan, np.nan])
    assert live_quality([waiting], spread=0.4, alpha=0.01, least=2) is None
    assert live_quality([], spread=0.4, alpha=0.01, least=1) is None
    assert live_quality([waiting], spread=0.4, alpha=0.01, least=1) is not None


def test_what_came_of_a_part_of_the_window_counts_as_that_part() -> None:
    part = live_quality([scored([1.0, np.nan, np.nan, np.nan])], spread=0.4, alpha=0.01, least=1)
    whole = live_quality([scored([1.0] * 4)], spread=0.4, alpha=0.01, least=1)
    assert part is not None
    assert whole is not None
    assert part.error == pytest.approx(2 * whole.error)


def test_many_series_and_overlapping_windows_of_one_moment_are_one_observation() -> None:
    one = live_quality([scored([1.0] * 4)], spread=0.4, alpha=0.01, least=1)
    many = live_quality(
        [scored([1.0] * 4, series=str(n), origin=n % 3) for n in range(30)], spread=0.4, alpha=0.01, least=1
    )
    apart = live_quality([scored([1.0] * 4, origin=4 * n) for n in range(4)], spread=0.4, alpha=0.01, least=1)
    assert one is not None
    assert many is not None
    assert apart is not None
    assert (many.origins, apart.origins) == (1, 4)
    assert many.error == pytest.approx(one.error)
    assert apart.error == pytest.approx(one.error / 2)


def test_spread_is_how_much_whole_moments_differ() -> None:
    random = np.random.default_rng(0)
    moments = 1.0 + 0.5 * random.random(40)

    def misses() -> Misses:
        errors = moments[:, None] * random.choice([-1.0, 1.0], (40, 6)) * 10
        return Misses(positions=tuple(range(40)), errors=errors, told=errors, recent=np.ones(40))

    found = spread({"a": misses(), "b": misses()})
    assert found == pytest.approx(float(np.std(moments, ddof=1) / moments.mean()), rel=0.1)
    assert spread({}) == 0.5
