"""Whatever a row holds: quick reading either leaves it to the long way or gives exactly what that gives."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from compiled_cases import case
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.compiled import Compiled
from automl.compiled.category_block import settled
from automl.compiled.parity import json_rows
from automl.errors import SchemaError
from automl.schema import check, frame, table_from_rows
from automl.scoring import encoded, predictions
from automl.task import Task, TaskKind

NUMBERS = st.one_of(
    st.none(),
    st.floats(-100, 100),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(
        [1e100, -1e101, 1.7e308, 5e-324, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**308, 10**309, 10**400]
    ),
    st.sampled_from(
        [float("nan"), float("inf"), True, False, "7", " 8 ", "NaN", "1e400", "0x1", "٣", "", [1], {"a": 1}]
    ),
)
BOOLEANS = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, 1, 2, 1.0, 0.5, "yes", "No", "true", "", "maybe", []])
)
TIMES = st.one_of(
    st.none(),
    st.datetimes().map(lambda time: time.isoformat()),
    st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    st.dates().map(lambda day: day.isoformat()),
    st.builds(
        "{}{}".format,
        st.sampled_from(["2020-05-05T10:11", "2020-02-29 23:59:59", "1969-12-31T23:59:59.9", "2020-05-05T10:11:12.1234567"]),
        st.sampled_from(["", "Z", "z", "+00:00", "-23:59", "+24:00", "+05:60", "+05", "-0530", "+1:00", " "]),
    ),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0000-01-01", "2021-02-29", "2020-1-1",
            "20200101", "2020-W01-1", "2020-05-05x10:00", "2020-05-05T24:00", "2020-05-05T23:59:60", "2020-05-05T10",
            "２020-05-05", " 2020-05-05", "2020-05-05\n", "NaN", "", "soon", 1, 1.5, True, [],
        ]
    ),
)  # fmt: skip
WORDS = st.one_of(
    st.none(),
    st.sampled_from(["Rome", "Köln", "東京", "🙂", "Lima", "Oslo", "z1", "z7", "f", "same"]),
    st.text(max_size=6),
    st.sampled_from(
        [
            " Rome", "Rome ", "\u00a0Rome", "Rome\u2003", "\x1fRome", "Rome\x1c", "\x85Rome", "\u200bRome", "rome",
            "", " ", "NA", "nan", " NaN", "\x1cNaN", "null", "?", "\x00", "Rome\x00", "\ud800", "x\ud800y",
            "x" * 10_000, 7, 7.0, 1e300, True, [], {},
        ]
    ),
)  # fmt: skip
TEXTS = st.one_of(
    WORDS, st.text(max_size=60), st.sampled_from(["thanks", "call " * 300, "the THE The", "Ünïcode wörds"])
)
BY_KIND = {"numeric": NUMBERS, "boolean": BOOLEANS, "datetime": TIMES, "categorical": WORDS, "text": TEXTS}


@cache
def subject() -> tuple[Pipeline, Compiled, list[tuple[Any, ...]]]:
    problem = case("two")
    pipeline = problem.pipeline(LGBMClassifier(n_estimators=30, n_jobs=1, verbose=-1))
    compiled = problem.compiled(pipeline)
    return pipeline, compiled, json_rows(compiled.columns, problem.table)


def long_way(rows: list[tuple[Any, ...]]) -> Any:
    """The features and answers that the pipeline gives; None when the rows are refused."""
    pipeline, compiled, _ = subject()
    problem = case("two")
    named = [
        {column.name: value for column, value in zip(compiled.columns, row, strict=True)} for row in rows
    ]
    named[0]["key"] = None  # as a call without ids is read
    try:
        table = table_from_rows(named)
        checked = check(table, problem.schema, replace(problem.task, id_column=None))
    except SchemaError:
        return None
    if checked.faults:
        return None
    X = frame(checked.table, problem.schema)
    return encoded(pipeline, X), predictions(pipeline, X, problem.task)


def agree(rows: list[tuple[Any, ...]]) -> bool:
    """Asserts that both ways agree; whether the quick one answered."""
    _, compiled, _ = subject()
    quick, wanted = compiled.quick(rows), long_way(rows)
    if quick is None:
        return False
    assert wanted is not None, "quick reading took what the check refuses"
    features = compiled.reader.matrix(rows)
    assert np.array_equal(features, wanted[0])
    assert np.array_equal(quick, wanted[1])
    return True


@st.composite
def odd_rows(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Ordinary rows with one or two odd values among them, few rows or so many that columns are read."""
    _, compiled, rows = subject()
    start = draw(st.integers(0, 300))
    chosen = [list(row) for row in rows[start : start + draw(st.sampled_from([1, 1, 1, 3, 40]))]]
    for _ in range(draw(st.integers(1, 2))):
        at, place = draw(st.integers(0, len(chosen) - 1)), draw(st.integers(0, len(compiled.columns) - 1))
        chosen[at][place] = draw(BY_KIND[compiled.columns[place].kind.value])
    return [tuple(row) for row in chosen]


@pytest.mark.slow
@settings(deadline=None, max_examples=600)
@given(odd_rows())
def test_an_odd_value_is_left_to_the_long_way_or_means_the_same(rows: list[tuple[Any, ...]]) -> None:
    agree(rows)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_row_of_odd_values_is_left_to_the_long_way_or_means_the_same(data: st.DataObject) -> None:
    _, compiled, _ = subject()
    agree([tuple(data.draw(BY_KIND[column.kind.value]) for column in compiled.columns)])


@pytest.mark.parametrize("count", [1, 7, 40, 400])
def test_ordinary_rows_are_read_quickly(count: int) -> None:
    assert agree(subject()[2][:count])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", None),
        ("numeric", float("nan")),
        ("numeric", 2**53 + 1),
        ("numeric", -(10**300)),
        ("boolean", None),
        ("datetime", None),
        ("datetime", "2031-01-01"),
        ("datetime", "1815-12-10 12:30:01.25-05:30"),
        ("categorical", None),
        ("categorical", "never seen"),
        ("categorical", "Ørsta"),
        ("text", None),
        ("text", "not a word of it is known"),
    ],
)
@pytest.mark.parametrize("count", [1, 40])
def test_missing_large_and_unseen_values_are_read_quickly(kind: str, value: Any, count: int) -> None:
    _, compiled, rows = subject()
    for place, column in enumerate(compiled.columns):
        if column.kind.value == kind:
            changed = [list(row) for row in rows[:count]]
            changed[-1][place] = value
            assert agree([tuple(row) for row in changed])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", True),
        ("numeric", "7"),
        ("numeric", float("inf")),
        ("numeric", 10**400),
        ("boolean", 1),
        ("boolean", "yes"),
        ("datetime", "2021-02-29"),
        ("datetime", "2020-05-05T24:00"),
        ("datetime", 5),
        ("categorical", " Rome"),
        ("categorical", "NaN"),
        ("categorical", 7),
        ("categorical", "\ud800"),
        ("categorical", ["Rome"]),
        ("text", " thanks"),
        ("text", "N/A"),
        ("text", 7),
        ("text", "a lone \ud800 surrogate"),
    ],
)
@pytest.mark.parametrize("count", [1, 40])
def test_what_needs_thought_goes_the_long_way(kind: str, value: Any, count: int) -> None:
    _, compiled, rows = subject()
    for place, column in enumerate(compiled.columns):
        if column.kind.value == kind:
            changed = [list(row) for row in rows[:count]]
            changed[-1][place] = value
            assert compiled.quick([tuple(row) for row in changed]) is None


@settings(max_examples=400)
@given(st.text(max_size=8))
@example("\x1fa")
@example("a\u00a0")
@example("N/A")
def test_a_settled_text_is_kept_as_it_is(text: str) -> None:
    if settled(text):
        table = check(table_from_rows([{"city": text}]), *_city()).table
        assert table.column("city").to_pylist() == [text]


def _city() -> tuple[Schema, Task]:
    target = TargetSpec(kind=TaskKind.REGRESSION, type="number")
    schema = Schema(columns=(Column(name="city", kind=ColumnKind.CATEGORICAL),), target=target)
    return schema, Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
