"""Values in another unit: found where they are, and not found where a distribution is merely wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trust_house import CLASSES, schema_of

from automl.trust.perturbation import Columns
from automl.trust.unit_errors import UnitError, unit_errors

Draw = Callable[[Any, int], Any]


def suspects(values: Any) -> tuple[UnitError, ...]:
    rows = pd.DataFrame({"weight": values, "other": np.linspace(1, 2, len(values))})
    return unit_errors(rows, Columns.of(schema_of(rows, CLASSES), ("weight", "other"), rows))


USUAL: dict[str, Draw] = {
    "normal": lambda random, n: random.normal(70, 12, n),
    "around zero": lambda random, n: random.normal(0, 1, n),
    "uniform": lambda random, n: random.random(n),
    "exponential": lambda random, n: random.exponential(3, n),
    "whole": lambda random, n: random.integers(0, 40, n).astype(float),
    "gamma": lambda random, n: random.gamma(2, 4, n),
}
WIDE: dict[str, Draw] = {
    "lognormal": lambda random, n: random.lognormal(0, 2.5, n),
    "pareto": lambda random, n: random.pareto(1, n) + 1,
    "cauchy": lambda random, n: random.standard_cauchy(n),
    "two groups": lambda random, n: np.where(
        random.random(n) < 0.2, random.normal(500, 50, n), random.normal(5, 1, n)
    ),
    "a code": lambda random, n: np.where(random.random(n) < 0.1, -9999.0, random.normal(10, 1, n)),
}


@pytest.mark.parametrize("kind", sorted(USUAL))
def test_a_twentieth_of_the_values_times_a_thousand_is_found_in_each_of_20_draws(kind: str) -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = USUAL[kind](random, 1_000)
        hit = random.random(1_000) < 0.05
        (found,) = suspects(np.where(hit, values * 1000, values))
        assert found.column == "weight"
        assert found.factor == 1000
        assert found.share == pytest.approx(hit.mean(), abs=0.02)


@pytest.mark.parametrize("kind", sorted(USUAL | WIDE))
def test_clean_columns_are_not_suspected_in_any_of_20_draws(kind: str) -> None:
    for seed in range(20):
        assert suspects((USUAL | WIDE)[kind](np.random.default_rng(seed), 2_000)) == (), seed


def test_thirty_values_by_hand() -> None:
    """Twenty-two weights from 50 to 92 in steps of 2, and eight of them in grams: 50,000 to 64,000."""
    usual = np.arange(50.0, 94.0, 2.0)
    (found,) = suspects(np.concatenate([usual, usual[:8] * 1000]))
    assert (found.values, found.of, found.factor) == (8, 30, 1000.0)
    assert found.share == pytest.approx(8 / 30)
    assert found.usual == pytest.approx((52.1, 89.9))
    assert found.example == 50_000.0
    assert suspects(np.concatenate([usual, usual[:7] * 1000])) == ()  # seven may be chance


def test_too_small_is_found_as_well() -> None:
    random = np.random.default_rng(0)
    values = random.normal(4_000, 500, 600)
    (found,) = suspects(np.where(random.random(600) < 0.1, values / 1000, values))
    assert found.factor == 1 / 1000
    assert 2 < found.example < 6


def test_new_rows_that_all_came_in_another_unit_are_found_beside_the_old_ones() -> None:
    random = np.random.default_rng(0)
    (found,) = suspects(np.concatenate([random.normal(70, 12, 2_000), random.normal(70, 12, 500) * 1000]))
    assert found.values == 500


def test_gaps_and_zeros_are_no_unit() -> None:
    random = np.random.default_rng(0)
    values = random.normal(70, 12, 500)
    values[:100], values[100:200] = np.nan, 0.0
    assert suspects(values) == ()
