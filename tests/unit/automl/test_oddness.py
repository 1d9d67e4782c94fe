"""Rows unlike the others are found, named by their column, and told better than by an isolation forest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.features import preprocessor
from automl.oddness import MOST_ROWS, Oddness, measured
from automl.schema import frame
from automl.task import Task, TaskKind

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (
    Column(name="size", kind=ColumnKind.NUMERIC),
    Column(name="weight", kind=ColumnKind.NUMERIC),
    Column(name="steady", kind=ColumnKind.NUMERIC),
    Column(name="ripe", kind=ColumnKind.BOOLEAN),
    Column(name="colour", kind=ColumnKind.CATEGORICAL),
    Column(name="picked", kind=ColumnKind.DATETIME),
    Column(name="note", kind=ColumnKind.TEXT),
)


def fruit(count: int, seed: int, **changed: Any) -> pa.Table:
    """Weight follows size closely; nothing is missing but a tenth of the notes."""
    random = np.random.default_rng(seed)
    size = random.normal(10, 2, count)
    words = np.array(["sweet", "sour", "soft", "firm", "juicy", "dry"])
    columns: dict[str, Any] = {
        "size": size,
        "weight": size * 30 + random.normal(0, 5, count),
        "steady": np.full(count, 7.0),
        "ripe": size > 10,
        "colour": random.choice(["red", "green", "blue"], count, p=[0.6, 0.3, 0.1]),
        "picked": [START + timedelta(hours=float(h)) for h in random.uniform(0, 2_000, count)],
        "note": [
            None if random.random() < 0.1 else " ".join(random.choice(words, random.integers(3, 9)))
            for _ in range(count)
        ],
    }
    types = pa.schema([pa.field(column.name, column.arrow_type) for column in COLUMNS])
    return pa.table({**columns, **changed}).cast(types)


def row(**changed: Any) -> pa.Table:
    usual: dict[str, Any] = {
        "size": 10.0,
        "weight": 300.0,
        "steady": 7.0,
        "ripe": True,
        "colour": "red",
        "picked": START + timedelta(days=20),
        "note": "sweet soft juicy firm",
    }
    return fruit(1, 0, **{name: [value] for name, value in {**usual, **changed}.items()})


@pytest.fixture(scope="module")
def measure() -> Oddness:
    return Oddness.fit(fruit(1_500, 1), COLUMNS, seed=0)


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"size": 10_000.0}, "size"),
        ({"weight": None}, "weight"),
        ({"steady": 8.0}, "steady"),
        ({"colour": "ultraviolet"}, "colour"),
        ({"picked": None}, "picked"),
        ({"note": "SELECT name FROM users WHERE id = 1 " * 20}, "note"),
    ],
)
def test_what_was_never_seen_is_odd_and_its_column_is_named(
    measure: Oddness, changed: dict[str, Any], column: str
) -> None:
    assert measure.scores(row()).score[0] < 0.9
    assert measure.scores(row(**changed)).score[0] >= 0.99
    reason = measure.why(row(**changed))[0][0]
    assert reason.column == column
    assert reason.share > 0.5


def test_values_that_are_usual_each_are_odd_where_they_do_not_go_together(measure: Oddness) -> None:
    small_and_heavy = row(size=7.0, weight=390.0, ripe=False)
    assert measure.scores(small_and_heavy).score[0] >= 0.99
    assert {reason.column for reason in measure.why(small_and_heavy)[0]} <= {"size", "weight", "ripe"}


def test_the_reason_says_what_is_usual(measure: Oddness) -> None:
    low, high = measure.why(row(size=10_000.0))[0][0].usual or (0.0, 0.0)
    assert 5 < low < 8
    assert 12 < high < 15


def test_a_threshold_of_099_calls_about_one_fresh_row_of_a_hundred_odd(measure: Oddness) -> None:
    share = np.mean(measure.scores(fruit(4_000, 2)).score >= 0.99)
    assert 0.003 < share < 0.03


def test_a_later_date_alone_is_not_odd(measure: Oddness) -> None:
    assert measure.scores(row(picked=START + timedelta(days=3_650))).score[0] < 0.99


def test_a_training_row_is_not_measured_against_itself() -> None:
    table = fruit(300, 3)
    ids = [f"row-{number}" for number in range(300)]
    measure = Oddness.fit(table, COLUMNS, seed=0, ids=ids)
    assert measure.scores(table).times.max() < measure.scores(table, ids).times.max()
    assert abs(np.mean(measure.scores(table, ids).score >= 0.9) - 0.1) < 0.05


def test_a_fault_that_training_has_too_does_not_look_usual() -> None:
    table = fruit(1_000, 4)
    size = table["size"].to_numpy().copy()
    size[::100] *= 1_000
    measure = Oddness.fit(table.set_column(0, "size", pa.array(size)), COLUMNS, seed=0)
    assert measure.scores(row(size=9_000.0)).score[0] >= 0.99


def test_at_most_two_thousand_rows_are_kept_and_the_bytes_bring_the_same_measure_back() -> None:
    measure = Oddness.fit(fruit(5_000, 5), COLUMNS, seed=0)
    assert 0.9 * MOST_ROWS < len(measure.rows) <= MOST_ROWS
    kept = measure.to_bytes()
    assert len(kept) < 1_000_000
    again, fresh = Oddness.from_bytes(kept), fruit(200, 6)
    assert again.scores(fresh).score.tolist() == measure.scores(fresh).score.tolist()
    assert again.why(fresh) == measure.why(fresh)


def test_the_same_rows_score_the_same_alone_and_in_any_batch(measure: Oddness) -> None:
    fresh = fruit(40, 7)
    together = measure.scores(fresh)
    for at in range(len(fresh)):
        assert measure.scores(fresh.slice(at, 1)).times[0] == pytest.approx(together.times[at], rel=1e-9)


def test_rows_may_lack_a_column_and_hold_the_largest_numbers(measure: Oddness) -> None:
    assert measure.scores(row().drop_columns(["note"])).score[0] <= 1.0
    assert np.isfinite(measure.scores(row(size=1e308)).times).all()


def test_too_few_rows_or_no_column_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="at least 20 rows"):
        Oddness.fit(fruit(19, 0), COLUMNS, seed=0)
    with pytest.raises(ValueError, match="no column"):
        Oddness.fit(fruit(50, 0), (), seed=0)


def test_only_features_are_measured_and_a_numeric_time_moves_on_unnoticed() -> None:
    schema = Schema(columns=COLUMNS, target=TargetSpec(kind=TaskKind.REGRESSION, type="number"))
    task = Task(
        kind=TaskKind.REGRESSION, target="y", metric="rmse", time_column="steady", sensitive=("colour",)
    )
    names = {column.name for column in measured(schema, task)}
    assert names == {column.name for column in COLUMNS} - {"steady", "colour"}
    alone = Schema(columns=COLUMNS[2:3], target=schema.target)
    assert measured(alone, task) == ()


def test_planted_outliers_are_told_better_than_by_an_isolation_forest(measure: Oddness) -> None:
    fresh = fruit(2_000, 8)
    planted = np.arange(0, 2_000, 20)
    size, weight = fresh["size"].to_numpy().copy(), fresh["weight"].to_numpy().copy()
    size[planted], weight[planted] = size[planted[::-1]], weight[planted]
    size[planted[::4]] *= 1_000
    colour = np.array(fresh["colour"].to_pylist(), dtype=object)
    colour[planted[1::4]] = "ultraviolet"
    fresh = fruit(2_000, 8, size=size, weight=weight, colour=colour)
    truth = np.isin(np.arange(2_000), planted)
    schema = Schema(columns=COLUMNS, target=TargetSpec(kind=TaskKind.REGRESSION, type="number"))
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
    train = frame(fruit(1_500, 1), schema)
    prepare = preprocessor(schema, task, seed=0).fit(train, np.arange(1_500.0))
    forest = IsolationForest(n_estimators=200, random_state=0).fit(prepare.transform(train))
    theirs = roc_auc_score(truth, -forest.score_samples(prepare.transform(frame(fresh, schema))))
    ours = roc_auc_score(truth, measure.scores(fresh).times)
    assert ours > 0.85
    assert ours > theirs + 0.1
