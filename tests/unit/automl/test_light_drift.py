from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.drift import DriftRule, drift
from automl.light_drift import shift
from automl.quick import quick_model
from automl.task import TaskKind

SCHEMA = Schema(
    columns=(
        Column(name="size", kind=ColumnKind.NUMERIC),
        Column(name="colour", kind=ColumnKind.CATEGORICAL),
        Column(name="ripe", kind=ColumnKind.BOOLEAN),
        Column(name="seen", kind=ColumnKind.DATETIME),
    ),
    target=TargetSpec(kind=TaskKind.REGRESSION, type="number"),
)
RULE = DriftRule(window=1000)
NAMES = ("size", "colour", "ripe", "seen")


def rows(count: int, seed: int, *, by: float = 0.0, red: float = 0.3, missing: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(by, 1, count)
    size[random.random(count) < missing] = np.nan
    colour = np.where(
        random.random(count) < red, "red", np.where(random.random(count) < 0.5, "blue", "green")
    )
    seen = pd.to_datetime(random.integers(0, 10**6, count), unit="s", utc=True)
    ripe = (random.random(count) < 0.5).astype(float)
    return pd.DataFrame({"size": size, "colour": pd.Series(colour, dtype="str"), "ripe": ripe, "seen": seen})


@pytest.mark.parametrize("by", [0.0, 0.3, 2.0])
def test_the_light_measure_says_what_evidently_says(by: float) -> None:
    old, new = rows(5000, 1), rows(1000, 2, by=by, red=0.3 + by / 4)
    light = shift(old, new, SCHEMA, RULE, NAMES)
    full = drift(old, new, SCHEMA, RULE, seed=0, columns=NAMES)
    assert light["drifted"] == list(full.drifted_columns)
    for ours, theirs in zip(light["columns"], full.columns, strict=True):
        assert ours["method"] == theirs.method
        assert ours["score"] == pytest.approx(theirs.score, abs=0.02)


def test_a_value_that_goes_missing_is_drift() -> None:
    found = shift(rows(5000, 1), rows(1000, 2, missing=0.4), SCHEMA, RULE, NAMES)
    assert found["drifted"] == ["size"]
    assert found["share"] == 0.25


def test_windows_of_the_same_world_do_not_drift() -> None:
    calm = [shift(rows(5000, 1), rows(1000, seed), SCHEMA, RULE, NAMES)["drifted"] for seed in range(2, 22)]
    assert calm == [[]] * 20


def test_the_quick_model_is_the_same_each_time() -> None:
    from automl.task import Task

    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
    X = rows(300, 5)
    y = X["size"].to_numpy() * 2 + X["ripe"].to_numpy()
    first, second = (quick_model(X, y, schema=SCHEMA, task=task, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert np.abs(first.predict(X) - y).mean() < 0.5
