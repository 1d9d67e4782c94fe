"""Rows in any order become regular series: the step is found, gaps are filled, corrections count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from series_at_hand import months, seasonal

from automl.errors import SeriesError
from automl.forecasting.panel import panel
from automl.forecasting.steps import Step


@pytest.mark.parametrize(
    ("frequency", "unit", "size"),
    [
        ("MS", "months", 1),
        ("ME", "months", 1),
        ("QS", "months", 3),
        ("YS", "months", 12),
        ("B", "business_days", 1),
        ("D", "microseconds", 86_400e6),
        ("W", "microseconds", 7 * 86_400e6),
        ("h", "microseconds", 3_600e6),
        ("15min", "microseconds", 900e6),
    ],
)
def test_step_is_told_from_the_times_and_leads_back_to_them(frequency: str, unit: str, size: float) -> None:
    times = pd.date_range("2021-03-07 06:00", periods=60, freq=frequency)
    step = Step.of([times.to_numpy()])
    assert (step.unit, step.size) == (unit, size)
    positions = step.positions(times.to_numpy())
    assert list(np.diff(positions)) == [1] * 59
    assert [step.time(int(at)) for at in positions] == [f"{each:%Y-%m-%dT%H:%M:%S}+00:00" for each in times]
    assert Step.from_json(step.to_json()) == step


def test_step_survives_missing_times() -> None:
    times = np.delete(months(60), [3, 4, 20, 41])
    assert Step.of([times]).size == 1


def test_whole_numbers_are_times_too() -> None:
    step = Step.of([np.arange(10.0, 100.0, 2.0)])
    assert (step.unit, step.size, step.time(5)) == ("number", 2.0, 10)


def test_one_moment_has_no_step() -> None:
    with pytest.raises(SeriesError, match="step is not known"):
        Step.of([months(1), months(1)])


def test_rows_may_come_in_any_order_and_the_later_of_two_counts() -> None:
    times, values = months(48), seasonal(48)
    order = np.random.default_rng(0).permutation(48)
    again = np.concatenate([times[order], times[[7]]])
    corrected = np.concatenate([values[order], [999.0]])
    found = panel(again, None, corrected).series[0]
    assert found.values[7] == 999.0
    assert np.array_equal(np.delete(found.values, 7), np.delete(values, 7))


def test_gaps_are_filled_in_the_rhythm_of_the_cycle_and_marked() -> None:
    times, values = months(120), seasonal(120, noise=0.0)
    kept = np.delete(np.arange(120), [40, 41, 42, 77])
    found = panel(times[kept], None, values[kept]).series[0]
    assert list(np.flatnonzero(~found.observed)) == [40, 41, 42, 77]
    assert np.max(np.abs(found.values - values)) < 2.0  # a straight line across the gap would miss by 8


def test_season_is_the_calendars_or_what_numbers_show() -> None:
    assert panel(months(60), None, seasonal(60)).season == 12
    wave = np.sin(2 * np.pi * np.arange(80) / 9) + 0.01 * np.arange(80)
    assert panel(np.arange(80.0), None, wave).season == 9
    noise = np.random.default_rng(1).normal(size=200)
    assert panel(np.arange(200.0), None, noise).season == 1


def test_rows_without_value_tell_covariates_ahead() -> None:
    times, values = months(40), np.concatenate([seasonal(36), [np.nan] * 4])
    price = np.arange(40.0)[:, None]
    found = panel(times, None, values, covariates=price, covariate_names=("price",)).series[0]
    assert (len(found), len(found.covariates)) == (36, 40)
    assert list(found.covariates[-4:, 0]) == [36, 37, 38, 39]


def test_series_are_kept_apart_and_each_has_its_own_end() -> None:
    times = np.concatenate([months(40), months(30)])
    names = ["b"] * 40 + ["a"] * 30
    found = panel(times, names, np.concatenate([seasonal(40), seasonal(30, seed=1)]))
    assert [(one.name, len(one)) for one in found.series] == [("a", 30), ("b", 40)]
    assert found.series[1].end - found.series[0].end == 10


def test_rows_without_times_or_values_make_no_series() -> None:
    with pytest.raises(SeriesError, match="both a time and a value"):
        panel(months(5), None, np.full(5, np.nan))


def test_values_before_a_gap_longer_than_what_is_left_are_let_go() -> None:
    times = np.concatenate([months(3, "1980-01-01"), months(40)])
    found = panel(times, None, np.concatenate([[1.0, 2.0, 3.0], seasonal(40)])).series[0]
    assert len(found) == 40
