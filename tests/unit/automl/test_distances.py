"""The two distances beside Evidently's and SciPy's, what chance makes of them, and the adjustment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import false_discovery_control, wasserstein_distance
from sklearn.datasets import load_wine

from automl.columns import ColumnKind
from automl.distances import (
    JensenShannon,
    MissingShare,
    Wasserstein,
    adjusted,
    by_chance,
    observed_distance,
)
from automl.drift import by_evidently
from automl.drift_columns import compared, own_distances

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(numbers, numbers)
def test_wasserstein_is_that_of_scipy(old: list[float], new: list[float]) -> None:
    found = observed_distance(Wasserstein(np.array(old + new)), reference=len(old), current=len(new))
    assert found == pytest.approx(wasserstein_distance(old, new), rel=1e-9, abs=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=1))
def test_jensen_shannon_is_that_of_scipy(old: list[int], new: list[int]) -> None:
    found = observed_distance(JensenShannon(np.array(old + new)), reference=len(old), current=len(new))
    shares = [np.bincount(side, minlength=6) for side in (old, new)]
    assert found == pytest.approx(float(np.nan_to_num(jensenshannon(*shares))), abs=1e-6)


def test_missing_values_belong_to_no_side() -> None:
    values = np.array([1.0, np.nan, 2.0, 3.0, np.nan, 5.0])
    found = observed_distance(Wasserstein(values), reference=3, current=3)
    assert found == pytest.approx(wasserstein_distance([1, 2], [3, 5]))
    codes = np.array([0, -1, 1, 1, -1, 1])
    found = observed_distance(JensenShannon(codes), reference=3, current=3)
    assert found == pytest.approx(jensenshannon([0.5, 0.5], [0, 1]))
    assert observed_distance(MissingShare(np.isnan(values)), reference=2, current=4) == pytest.approx(0.25)


def test_side_without_any_value_is_at_no_distance() -> None:
    for distance in (Wasserstein(np.array([1.0, np.nan])), JensenShannon(np.array([0, -1]))):
        assert observed_distance(distance, reference=1, current=1) == 0.0
    assert observed_distance(Wasserstein(np.array([np.nan, np.nan])), reference=1, current=1) == 0.0


@pytest.mark.slow
def test_own_distances_are_evidentlys_on_real_rows() -> None:
    wine: Any = load_wine(as_frame=True)
    frame = wine.data.sample(frac=1, random_state=0)
    frame["grape"] = wine.target.loc[frame.index].map({0: "barolo", 1: "grignolino", 2: "barbera"})
    frame.loc[frame.index[::7], ["alcohol", "grape"]] = None
    old, new = frame.iloc[:120].reset_index(drop=True), frame.iloc[120:].reset_index(drop=True)
    ready = {
        name: compared(
            name,
            ColumnKind.CATEGORICAL if name == "grape" else ColumnKind.NUMERIC,
            old[name],
            new[name],
            threshold=0.1,
        )
        for name in frame.columns
    }
    theirs, ours = by_evidently(ready), own_distances(ready)
    assert len(ours) == 14
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_p_values_of_unchanged_rows_are_uniform() -> None:
    random = np.random.default_rng(0)
    p_values = []
    for seed in range(300):
        heavy = Wasserstein(random.standard_t(2, size=300))
        p_values.append(by_chance({"x": heavy}, reference=200, current=100, draws=99, seed=seed)["x"].p_value)
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.09)


def test_changed_rows_reach_the_least_p_value_and_pass_what_is_usual() -> None:
    values = np.concatenate([np.arange(500) / 500, 1 + np.arange(200) / 200])
    distance = Wasserstein(values)
    found = by_chance({"x": distance}, reference=500, current=200, draws=199, seed=0)["x"]
    assert found.p_value == 1 / 200
    assert found.usual < observed_distance(distance, reference=500, current=200) / 4


def test_constant_column_is_as_likely_as_can_be() -> None:
    found = by_chance({"x": Wasserstein(np.ones(50))}, reference=30, current=20, draws=19, seed=0)["x"]
    assert (found.p_value, found.usual) == (1.0, 0.0)


def test_adjustment_is_that_of_benjamini_and_hochberg() -> None:
    p = np.random.default_rng(0).random(50) ** 3
    assert adjusted(p) == pytest.approx(false_discovery_control(p))
    assert adjusted(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.04, 0.04])


def test_false_discoveries_stay_below_their_share() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        true = random.random(15)
        p = np.concatenate([true, random.random(5) * 1e-4])
        called = adjusted(p) <= 0.1
        shares.append(called[:15].sum() / max(called.sum(), 1))
    assert np.mean(shares) <= 0.1
