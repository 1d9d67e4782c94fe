"""The classifier of old against new rows: what it tells, how sure it is, and where the rows have moved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.columns import ColumnKind
from automl.domain import Domain, JointRule, _auc, domain
from automl.drift_columns import ComparedColumn, compared

RULE = JointRule()


def ready(old: pd.DataFrame, new: pd.DataFrame) -> list[ComparedColumn]:
    return [
        compared(
            name,
            ColumnKind.NUMERIC if old[name].dtype == "float64" else ColumnKind.CATEGORICAL,
            old[name],
            new[name],
            threshold=0.1,
        )
        for name in old.columns
    ]


def mixed(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": random.normal(size=n),
            "y": random.lognormal(size=n),
            "c": random.choice(["a", "b", "c", "d"], n),
        }
    )


def told(old: pd.DataFrame, new: pd.DataFrame, rule: JointRule = RULE) -> Domain:
    found = domain(ready(old, new), rule, seed=0)
    assert found is not None
    return found


def test_auc_and_its_variance_are_those_of_the_textbook() -> None:
    new, old = np.array([0.9, 0.4, 0.6]), np.array([0.1, 0.6, 0.3, 0.2])
    pairs = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in old] for a in new])
    value, variance = _auc(new, old)
    assert value == pytest.approx(pairs.mean())
    expected = pairs.mean(axis=1).var(ddof=1) / 3 + pairs.mean(axis=0).var(ddof=1) / 4
    assert variance == pytest.approx(expected)


def test_unchanged_rows_can_not_be_told_apart() -> None:
    found = told(mixed(2000, 0), mixed(1000, 1))
    assert not found.drifted
    assert found.lower < 0.5 < found.upper
    assert found.upper - found.lower < 0.1
    assert found.row_scores.mean() < 0.25


@pytest.mark.slow
def test_bounds_hold_without_change_as_often_as_they_say() -> None:
    rule = JointRule(alpha=0.05)
    lower = [told(mixed(600, 2 * s), mixed(400, 2 * s + 1), rule).lower for s in range(100)]
    assert np.mean(np.array(lower) > 0.5) <= 0.1
    assert max(lower) < rule.auc


def test_moved_column_is_named_first_and_its_rows_score_highest() -> None:
    new = mixed(1000, 1)
    new.loc[:299, "x"] += 4.0  # a part of the rows comes from somewhere else
    found = told(mixed(2000, 0), new)
    assert found.drifted
    assert found.columns[0].name == "x"
    assert found.row_scores[:300].mean() > found.row_scores[300:].mean() + 0.5
    assert len(found.row_scores) == 1000


def test_category_never_seen_before_is_told() -> None:
    new = mixed(1000, 1)
    new["c"] = new["c"].where(new["c"] != "d", "e")
    found = told(mixed(2000, 0), new)
    assert found.drifted
    assert found.columns[0].name == "c"


def test_values_gone_missing_are_told() -> None:
    new = mixed(1000, 1)
    new.loc[::2, "y"] = np.nan
    found = told(mixed(2000, 0), new)
    assert found.drifted
    assert found.columns[0].name == "y"


def test_rows_are_bounded_and_the_newest_ones_are_used() -> None:
    new = mixed(1000, 1)
    new.loc[900:, "x"] += 9.0
    found = told(mixed(5000, 0), new, JointRule(rows=100))
    assert (found.rows_reference, found.rows_current) == (100, 100)
    assert found.auc > 0.95


def test_too_few_rows_or_no_values_to_compare_give_no_answer() -> None:
    assert domain(ready(mixed(40, 0), mixed(1000, 1)), RULE, seed=0) is None
    assert domain([], RULE, seed=0) is None
