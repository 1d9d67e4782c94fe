"""Schemas: what a first upload teaches, and what happens to every kind of later value."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes

from automl.columns import scalar_text
from automl.errors import SchemaError
from automl.schema import (
    Checked,
    Column,
    ColumnKind,
    Schema,
    TargetSpec,
    check,
    frame,
    infer,
    table_from_rows,
)
from automl.task import Task, TaskKind

YES_NO = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="auto")
AMOUNT = Task(kind=TaskKind.REGRESSION, target="y", metric="auto")


def texts(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A table as a CSV reader gives it: text and nothing else."""
    return pa.table({name: pa.array([str(v) for v in values]) for name, values in columns.items()})


def column(values: Sequence[Any] | pa.Array, *, name: str = "x", task: Task = YES_NO) -> Column:
    raw = values if isinstance(values, pa.Array) else pa.array([str(v) for v in values])
    labels = pa.array(["a" if n % 2 else "b" for n in range(len(raw))])
    schema, _ = infer(pa.table({name: raw, "y": labels}), task)
    return schema.by_name[name]


def checked(values: Any, kind: ColumnKind, **more: Any) -> Checked:
    """A column of one kind, checked on its own."""
    target = TargetSpec(kind=TaskKind.REGRESSION, type="number")
    schema = Schema(columns=(Column(name="x", kind=kind, **more),), target=target)
    raw = values if isinstance(values, pa.Array) else pa.array(values)
    return check(pa.table({"x": raw}), schema, AMOUNT)


def outcomes(result: Checked) -> tuple[list[Any], list[tuple[int, str]]]:
    return result.table.column("x").to_pylist(), [(fault.row, fault.code) for fault in result.faults]


def refused(table: pa.Table, task: Task = YES_NO) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        infer(table, task)
    assert caught.value.remedy
    return caught.value


# What a first upload teaches


def test_numbers_in_text_are_numeric_and_whole_ones_are_marked() -> None:
    assert column(["1", "2.0", "", "-3"]) == Column(name="x", kind=ColumnKind.NUMERIC, integer=True)
    assert column(["1.5", "+2", "NA", "1e3"]) == Column(name="x", kind=ColumnKind.NUMERIC)


def test_zero_and_one_stay_numbers() -> None:
    assert column(["0", "1", "0", "1"]).kind is ColumnKind.NUMERIC


@pytest.mark.parametrize("words", [["true", "false"], ["Yes", "No"], ["TRUE", "FALSE"]])
def test_two_words_of_truth_are_boolean(words: list[str]) -> None:
    assert column([*words, "", words[0]]).kind is ColumnKind.BOOLEAN


def test_other_pairs_of_words_are_categories() -> None:
    assert column(["yes", "false"]).kind is ColumnKind.CATEGORICAL
    assert column(["on", "off"]).kind is ColumnKind.CATEGORICAL


@pytest.mark.parametrize(
    "text", ["2013-01-31", "2013-01-31T17:05:00Z", "2013-01-31 17:05", "2013-01-31T17:05+02:00"]
)
def test_iso_dates_and_times_are_datetimes(text: str) -> None:
    assert column([text, ""]).kind is ColumnKind.DATETIME


def test_days_first_are_never_guessed() -> None:
    assert column(["31/01/2013", "01/02/2013"]).kind is ColumnKind.CATEGORICAL
    assert column(["31.01.2013", "01.02.2013"]).kind is ColumnKind.CATEGORICAL


def test_many_long_different_sentences_are_text_and_many_ids_are_categories() -> None:
    assert column([f"the customer called about bill {n}" for n in range(80)]).kind is ColumnKind.TEXT
    assert column([f"4f5e1c1a-0000-4000-8000-{n:012d}" for n in range(80)]).kind is ColumnKind.CATEGORICAL
    assert (
        column([f"文字で書かれた長い文章はここにあります番号{n}です" for n in range(80)]).kind
        is ColumnKind.TEXT
    )


def test_postcodes_keep_their_leading_zeros() -> None:
    assert column(["01234", "98765", "00501"]).kind is ColumnKind.CATEGORICAL


def test_decimal_commas_are_told_with_the_column_and_a_way_out_and_never_learnt_as_names() -> None:
    commas = [f"{n},5" for n in range(30)]
    for held in (commas, [*commas, "7", ""], [f"1.{n:03},25" for n in range(30)]):
        fault = refused(texts({"price": held, "y": (["a", "b"] * 16)[: len(held)]}))
        assert (fault.code, fault.column) == ("decimal_commas", "price")
        assert "decimal=','" in fault.remedy
    assert refused(texts({"x": range(30), "y": commas}), AMOUNT).code == "decimal_commas"


def test_a_few_sizes_with_commas_may_be_names_and_so_may_lists() -> None:
    assert column(["1,5", "2,0", "3,5"] * 10).kind is ColumnKind.CATEGORICAL
    assert column([f"{n},{n},{n}" for n in range(30)]).kind is ColumnKind.CATEGORICAL
    assert column([f"{n},5" for n in range(30)] + ["none of these"] * 5).kind is ColumnKind.CATEGORICAL


def test_a_target_that_is_nearly_the_name_of_a_column_is_asked_about() -> None:
    assert "is it 'y'?" not in refused(texts({"x": [1, 2], "z": ["a", "b"]})).remedy
    near = Task(kind=TaskKind.CLASSIFICATION, target="churnd", metric="auto")
    assert "is it 'churned'?" in refused(texts({"x": [1, 2], "churned": ["a", "b"]}), near).remedy


def test_a_column_without_any_value_is_kept_as_numeric() -> None:
    assert column(["", "NA", "null"]) == Column(name="x", kind=ColumnKind.NUMERIC)
    assert column(pa.nulls(4)).kind is ColumnKind.NUMERIC


def test_one_bad_value_in_a_hundred_does_not_turn_numbers_into_categories() -> None:
    assert column([*range(99), "oops"]).kind is ColumnKind.NUMERIC
    assert column([*range(90), *["oops"] * 10]).kind is ColumnKind.CATEGORICAL


def test_the_most_frequent_thousand_categories_are_kept() -> None:
    found = column([*(f"v{n}" for n in range(1_500)), "v7", "v7"])
    assert (len(found.categories), found.categories[0], found.categories_complete) == (1_000, "v7", False)


def test_categories_of_ten_thousand_characters_do_not_swell_the_schema() -> None:
    found = column([f"{n}" + "x" * 10_000 for n in range(50)])
    assert found.kind is ColumnKind.CATEGORICAL
    assert sum(map(len, found.categories)) <= 200_000
    assert not found.categories_complete


def test_typed_columns_keep_their_types() -> None:
    assert column(pa.array([True, False])).kind is ColumnKind.BOOLEAN
    assert column(pa.array([1.5, 2.5])).kind is ColumnKind.NUMERIC
    assert column(pa.array([1, 2**60])).integer
    assert column(pa.array(["a", "b"]).dictionary_encode()).categories == ("a", "b")
    assert column(pa.array([datetime(2020, 1, 1)] * 2)).kind is ColumnKind.DATETIME


def test_nested_columns_are_refused() -> None:
    assert refused(pa.table({"x": [[1], [2]], "y": ["a", "b"]})).code == "unsupported_type"


def test_id_and_entity_columns_are_text_whatever_they_look_like() -> None:
    task = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="auto", id_column="id", entity_column="e")
    schema, _ = infer(texts({"id": [1, 2], "e": [7, 8], "x": [1, 2], "y": ["a", "b"]}), task)
    assert [c.kind for c in schema.columns] == ["categorical", "categorical", "numeric"]
    assert schema.feature_names(task) == ("x",)


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (["yes", "no", "yes"], "text", ("no", "yes")),
        (["True", "false", "true"], "boolean", (False, True)),
        (["2", "1", "2"], "integer", (1, 2)),
        (["1.0", "0", "1"], "integer", (0, 1)),
        (["01", "1", "1"], "text", ("01", "1")),
        (["0.5", "1.5", "1.5"], "text", ("0.5", "1.5")),
        ([str(2**60), str(2**60 + 1), "1"], "integer", (1, 2**60, 2**60 + 1)),
        (["ja", "nein 🙂", "ja"], "text", ("ja", "nein 🙂")),
    ],
)
def test_classes_are_read_as_their_owner_writes_them(
    labels: list[str], kind: str, classes: tuple[Any, ...]
) -> None:
    schema, task = infer(texts({"x": [1, 2, 3], "y": labels}), YES_NO)
    assert (schema.target.type, schema.target.classes, task.classes) == (kind, classes, classes)


def test_typed_labels_give_typed_classes() -> None:
    for raw, classes in (([True, False], (False, True)), ([1.0, 0.0], (0, 1)), ([3, 4], (3, 4))):
        schema, _ = infer(pa.table({"x": [1, 2], "y": raw}), YES_NO)
        assert schema.target.classes == classes
        assert [type(c) for c in schema.target.classes] == [type(c) for c in classes]


def test_the_automatic_metric_becomes_definite() -> None:
    assert infer(texts({"x": [1, 2], "y": "ab"}), YES_NO)[1].metric == "roc_auc"
    assert infer(texts({"x": [1, 2, 3], "y": "abc"}), YES_NO)[1].metric == "log_loss"
    assert infer(texts({"x": [1, 2], "y": [1, 2]}), AMOUNT)[1].metric == "rmse"
    f1 = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="f1")
    assert infer(texts({"x": [1, 2], "y": "ab"}), f1)[1].metric == "f1"


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (texts({"x": [1, 2], "z": [1, 2]}), "missing_target"),
        (texts({"x": ["", ""], "y": ["", "NA"]}), "no_labels"),
        (texts({"x": [1, 2], "y": ["a", "a"]}), "one_class"),
        (texts({"x": [], "y": []}), "empty"),
        (pa.table({}), "empty"),
        (texts({"y": ["a", "b"]}), "no_features"),
        (texts({"x": [1, 2], "X": [1, 2], "y": ["a", "b"]}), "duplicate_columns"),
        (pa.Table.from_arrays([pa.array(["a", "b"])] * 3, names=["x", "x", "y"]), "duplicate_columns"),
        (texts({"_row_id": [1, 2], "y": ["a", "b"]}), "reserved_column"),
        (texts({"": [1, 2], "y": ["a", "b"]}), "empty_column_name"),
        (texts({"x" * 256: [1, 2], "y": ["a", "b"]}), "column_name_too_long"),
        (texts({"a\nb": [1, 2], "y": ["a", "b"]}), "control_in_column_name"),
        (texts({"x": range(400), "y": [n / 7 for n in range(400)]}), "too_many_classes"),
        (texts({"x": range(101), "y": range(101)}), "too_many_classes"),
    ],
)
def test_a_first_table_that_teaches_nothing_is_refused(table: pa.Table, code: str) -> None:
    assert refused(table).code == code


def test_labels_that_are_no_numbers_or_all_the_same_are_no_regression() -> None:
    assert refused(texts({"x": [1, 2], "y": ["a", "b"]}), AMOUNT).code == "unparsable_labels"
    assert refused(texts({"x": [1, 2], "y": ["3", "3.0"]}), AMOUNT).code == "constant_target"


def test_one_column_that_holds_the_delimiter_hints_at_it() -> None:
    assert "delimiter ';'" in refused(texts({"x;y": ["1;a", "2;b"]})).remedy


def test_a_column_the_task_names_must_be_there_and_a_time_column_must_have_an_order() -> None:
    by_time = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="auto", time_column="t")
    assert refused(texts({"x": [1, 2], "y": "ab"}), by_time).code == "missing_column"
    table = texts({"t": ["31/01/2013", "01/02/2013"], "y": "ab"})
    assert refused(table, by_time).code == "unordered_time_column"


def test_the_index_that_pandas_leaves_in_parquet_is_no_column() -> None:
    schema, _ = infer(pa.table({"x": [1, 2], "y": ["a", "b"], "__index_level_0__": [0, 1]}), YES_NO)
    assert schema.names == ("x",)


# What happens to later values


def test_numbers_are_read_and_what_is_none_is_named() -> None:
    result = checked(
        [" 1.5 ", "", "x", "inf", "1e999", "NaN", "1_000", "1,5", "0x1", "nan(7)"], ColumnKind.NUMERIC
    )
    bad = [(2, "unparsable_number"), (3, "infinite_number"), (4, "infinite_number"), (6, "unparsable_number")]
    bad += [(7, "unparsable_number"), (8, "unparsable_number"), (9, "unparsable_number")]
    assert outcomes(result) == ([1.5, None, None], bad)
    assert list(result.positions) == [0, 1, 5]
    assert result.faults[0].message == "'x' is not a number"


def test_typed_numbers_keep_their_value_and_not_a_number_is_missing() -> None:
    assert outcomes(checked([1.0, math.nan, math.inf], ColumnKind.NUMERIC)) == (
        [1.0, None],
        [(2, "infinite_number")],
    )
    assert outcomes(checked([2**53 + 1, None], ColumnKind.NUMERIC)) == ([float(2**53), None], [])
    assert outcomes(checked(pa.array(["9007199254740993"]), ColumnKind.NUMERIC)) == ([float(2**53)], [])


def test_a_boolean_column_refuses_maybe() -> None:
    result = checked(["yes", "No", "TRUE", "0", "", "maybe"], ColumnKind.BOOLEAN)
    assert outcomes(result) == ([True, False, True, False, None], [(5, "unparsable_boolean")])
    assert outcomes(checked([1, 0, 2], ColumnKind.BOOLEAN)) == ([True, False], [(2, "unparsable_boolean")])


def test_times_with_a_zone_become_utc_and_those_without_are_utc() -> None:
    stamps = ["2013-01-31T17:05:00+02:00", "2013-01-31 17:05", "2013-01-31T17:05:00.123456789Z", "2013-01-31"]
    found, faults = outcomes(checked(stamps, ColumnKind.DATETIME))
    assert [moment.isoformat() for moment in found] == [
        "2013-01-31T15:05:00+00:00",
        "2013-01-31T17:05:00+00:00",
        "2013-01-31T17:05:00.123456+00:00",
        "2013-01-31T00:00:00+00:00",
    ]
    assert faults == []


def test_days_no_calendar_has_and_other_writings_are_named() -> None:
    stamps = ["2013-02-30", "2013-02-28", "31/01/2013", "", "2013-01-01T25:00", "20130101"]
    found, faults = outcomes(checked(stamps, ColumnKind.DATETIME))
    assert found == [datetime(2013, 2, 28, tzinfo=UTC), None]
    assert faults == [(row, "unparsable_datetime") for row in (0, 2, 4, 5)]


def test_typed_times_of_any_unit_are_read() -> None:
    day = datetime(2013, 1, 31, tzinfo=UTC)
    for kind in (
        pa.timestamp("ns"),
        pa.timestamp("s", tz="Europe/Rome"),
        pa.date32(),
        pa.timestamp("us", tz="UTC"),
    ):
        assert outcomes(checked(pa.array([day, None]).cast(kind), ColumnKind.DATETIME)) == ([day, None], [])


def test_a_value_of_a_type_the_column_cannot_hold_is_named() -> None:
    assert outcomes(checked([True, None], ColumnKind.NUMERIC)) == ([None], [(0, "wrong_type")])
    assert outcomes(checked([5, None], ColumnKind.DATETIME)) == ([None], [(0, "wrong_type")])
    assert outcomes(checked([[1], None], ColumnKind.CATEGORICAL)) == ([None], [(0, "wrong_type")])


def test_numbers_and_booleans_in_a_category_column_are_its_texts() -> None:
    assert outcomes(checked([1.0, 0.5, None], ColumnKind.CATEGORICAL))[0] == ["1", "0.5", None]
    assert outcomes(checked([2**60], ColumnKind.CATEGORICAL))[0] == [str(2**60)]
    assert outcomes(checked([True], ColumnKind.CATEGORICAL))[0] == ["true"]


def test_unseen_category_is_accepted_and_counted() -> None:
    result = checked(["a", "🙂", "🙂", None], ColumnKind.CATEGORICAL, categories=("a", "b"))
    assert (result.table.num_rows, result.unseen) == (4, {"x": 2})
    partly = checked(["🙂"], ColumnKind.CATEGORICAL, categories=("a",), categories_complete=False)
    assert partly.unseen == {}


def test_a_missing_column_is_refused_and_an_optional_one_is_taken_as_empty() -> None:
    schema, task = infer(texts({"Age": [1, 2], "x": [1, 2], "y": "ab"}), YES_NO)
    with pytest.raises(SchemaError) as caught:
        check(texts({"age": [1], "x": [1]}), schema, task)
    assert (caught.value.code, caught.value.column) == ("missing_column", "Age")
    assert "'age'" in caught.value.remedy
    data = schema.to_json()
    data["columns"][0]["optional"] = True
    result = check(texts({"x": [1]}), Schema.from_json(data), task)
    assert (result.missing, result.table.column("Age").to_pylist()) == (("Age",), [None])


def test_extra_columns_are_ignored_and_listed() -> None:
    schema, task = infer(texts({"x": [1, 2], "y": "ab"}), YES_NO)
    result = check(texts({"extra": [1], "x": [1], "_odd": [1]}), schema, task)
    assert (result.ignored, result.table.column_names) == (("extra", "_odd"), ["x"])


def test_labels_are_canonical_missing_ones_are_null_and_unknown_ones_are_faults() -> None:
    schema, task = infer(texts({"x": [1, 2], "y": ["True", "false"]}), YES_NO)
    result = check(texts({"x": [1, 2, 3, 4], "y": ["TRUE", "", "maybe", "0"]}), schema, task)
    assert result.labels.to_pylist() == ["true", None, "false"]
    assert [(fault.row, fault.column, fault.code) for fault in result.faults] == [(2, "y", "unknown_label")]
    without = check(texts({"x": [1, 2]}), schema, task)
    assert without.labels.to_pylist() == [None, None]


def test_regression_labels_are_numbers_in_one_spelling() -> None:
    schema, task = infer(texts({"x": [1, 2, 3], "y": ["1", "2.50", "3"]}), AMOUNT)
    result = check(texts({"x": [1, 2, 3, 4], "y": ["1", "2.50", "inf", "x"]}), schema, task)
    assert result.labels.to_pylist() == ["1.0", "2.5"]
    assert [fault.code for fault in result.faults] == ["unparsable_label"] * 2


def test_a_row_needs_an_id_and_the_first_good_row_of_an_id_wins() -> None:
    task = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="auto", id_column="id")
    schema, task = infer(texts({"id": [1, 2], "x": [1, 2], "y": "ab"}), task)
    rows = texts({"id": ["a", "", "b", "a", "b"], "x": [1, 2, "bad", 4, 5], "y": "ababa"})
    result = check(rows, schema, task)
    assert [(fault.row, fault.code) for fault in result.faults] == [
        (1, "missing_id"),
        (2, "unparsable_number"),
        (3, "duplicate_id"),
    ]
    assert result.table.column("id").to_pylist() == ["a", "b"]


def test_every_bad_row_has_a_fault_even_where_there_are_too_many_to_list() -> None:
    bad = pa.array(["x"] * 30_000)
    target = TargetSpec(kind=TaskKind.REGRESSION, type="number")
    columns = tuple(Column(name=name, kind=ColumnKind.NUMERIC) for name in "abc")
    result = check(pa.table({"a": bad, "b": bad, "c": bad}), Schema(columns=columns, target=target), AMOUNT)
    assert result.table.num_rows == 0
    assert {fault.row for fault in result.faults} == set(range(30_000))
    assert len(result.faults) == 30_000


def test_an_empty_table_checks_to_an_empty_table() -> None:
    schema, task = infer(texts({"x": [1, 2], "c": "uv", "y": "ab"}), YES_NO)
    result = check(schema.arrow_schema().empty_table(), schema, task)
    assert (result.table.num_rows, len(result.labels), result.faults) == (0, 0, ())


# Rows of JSON


def test_rows_become_a_table_in_which_an_absent_key_is_missing() -> None:
    table = table_from_rows([{"a": 1, "b": "x"}, {"a": 2.5, "c": True}, {}])
    assert table.to_pydict() == {"a": [1.0, 2.5, None], "b": ["x", None, None], "c": [None, True, None]}


def test_mixed_types_become_text() -> None:
    assert table_from_rows([{"a": 1}, {"a": "x"}, {"a": True}, {"a": None}]).to_pydict() == {
        "a": ["1", "x", "true", None]
    }
    assert table_from_rows([{"a": 10**30}, {"a": 10**5000}]).to_pydict() == {"a": [str(10**30), "inf"]}
    assert table_from_rows([{"a": 2**53 + 1}, {"a": 0.5}]).to_pydict() == {"a": [str(2**53 + 1), "0.5"]}


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"a": {"b": 1}}], "nested_value"),
        ([{"a": 1}, {"a": [1]}], "nested_value"),
        ([1], "not_rows"),
        ([{"a": "\ud800"}], "not_utf8"),
    ],
)
def test_what_is_no_row_of_single_values_is_refused(rows: Any, code: str) -> None:
    with pytest.raises(SchemaError) as caught:
        table_from_rows(rows)
    assert caught.value.code == code


# Promises for any value


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["NA", "1.5", " 7", "yes", "false", "2013-01-31", "2013-02-30T10:00Z", "nan", "-inf", "a b"]
    ),
)
KINDS = tuple(ColumnKind)
WIDE = Schema(
    columns=tuple(Column(name=kind.value, kind=kind) for kind in KINDS),
    target=TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("a", "b")),
)
wide_rows = st.lists(st.fixed_dictionaries({kind.value: cells for kind in KINDS}), min_size=1, max_size=8)


@settings(deadline=None)
@given(wide_rows)
def test_checking_what_was_found_good_changes_nothing(rows: list[dict[str, Any]]) -> None:
    once = check(table_from_rows(rows), WIDE, YES_NO)
    again = check(once.table, WIDE, YES_NO)
    assert again.faults == ()
    assert again.table.equals(once.table)


@settings(deadline=None)
@given(wide_rows)
def test_a_row_is_judged_alone_as_it_is_among_others(rows: list[dict[str, Any]]) -> None:
    together = check(table_from_rows(rows), WIDE, YES_NO)
    alone = [check(table_from_rows([row]), WIDE, YES_NO) for row in rows]
    assert {fault.row for fault in together.faults} == {n for n, one in enumerate(alone) if one.faults}
    good = [one.table for one in alone if not one.faults]
    assert not good or pa.concat_tables(good).to_pylist() == together.table.to_pylist()


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_each_row_is_good_or_at_fault_and_none_is_lost(values: list[str]) -> None:
    for kind in KINDS:
        result = checked(pa.array(values, pa.string()), kind)
        assert result.table.schema == pa.schema([("x", Column(name="x", kind=kind).arrow_type)])
        bad = {fault.row for fault in result.faults}
        assert sorted([*bad, *result.positions]) == list(range(len(values)))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_label_survives_its_text(number: float) -> None:
    spec = TargetSpec(kind=TaskKind.REGRESSION, type="number")
    assert spec.parse(spec.text(number)) == number


@given(st.one_of(st.integers(), st.booleans(), st.text(min_size=1)))
def test_a_scalar_has_one_text(value: Any) -> None:
    assert scalar_text(value) == scalar_text(scalar_text(value))


def test_a_label_is_read_from_text_number_or_boolean() -> None:
    whole = TargetSpec(kind=TaskKind.CLASSIFICATION, type="integer", classes=(0, 1))
    assert [whole.parse(value) for value in ("1", 1, 1.0, "1.0", " 0 ")] == [1, 1, 1, 1, 0]
    for bad in ("2", "x", True, None, 0.5, "nan"):
        with pytest.raises(ValueError):
            whole.parse(bad)


def test_a_schema_survives_json() -> None:
    schema, task = infer(texts({"x": [1, 2], "c": ["ü", "🙂"], "y": ["1", "0"]}), YES_NO)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


# Real tables


def csv_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> pa.Table:
    """Written to CSV and read back as text."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    back = list(csv.reader(io.StringIO(text.getvalue())))
    return texts(dict(zip(back[0], zip(*back[1:], strict=True), strict=True)))


@pytest.mark.parametrize(
    ("load", "kind"), [(load_breast_cancer, "classification"), (load_diabetes, "regression")]
)
def test_a_real_table_with_holes_and_a_text_column_is_understood(load: Any, kind: str) -> None:
    data = load()
    random = np.random.default_rng(0)
    rows = []
    for values, label in zip(data.data, data.target, strict=True):
        cells = ["" if random.random() < 0.1 else value for value in values]
        rows.append([*cells, f"patient {random.integers(1000)} seen for a routine check", label])
    task = Task(kind=TaskKind(kind), target="outcome", metric="auto")
    table = csv_table([*data.feature_names, "note", "outcome"], rows)
    schema, task = infer(table, task)
    result = check(table, schema, task)
    assert (result.table.num_rows, result.faults) == (len(rows), ())
    assert schema.by_name["note"].kind is ColumnKind.TEXT
    assert {column.kind for column in schema.columns[:-1]} == {ColumnKind.NUMERIC}
    data_frame = frame(result.table, schema)
    assert 0.05 < data_frame.iloc[:, 0].isna().mean() < 0.15
    assert schema.target.classes == ((0, 1) if kind == "classification" else ())


def test_a_frame_has_pinned_dtypes_also_without_rows_or_values() -> None:
    for rows in (0, 1):
        data = frame(
            pa.table({kind.value: pa.nulls(rows, WIDE.by_name[kind].arrow_type) for kind in KINDS}), WIDE
        )
        assert [str(dtype) for dtype in data.dtypes] == [
            "float64",
            "str",
            "float64",
            "datetime64[us, UTC]",
            "str",
        ]
    assert list(frame(pa.table({"numeric": [1.0], "_row_id": ["a"]}), WIDE).columns) == [*KINDS]


@pytest.mark.slow
def test_a_large_table_is_checked_in_seconds() -> None:
    n = 300_000
    random = np.random.default_rng(0)
    numbers = {f"n{i}": pa.array(np.char.mod("%.4f", random.normal(size=n)).tolist()) for i in range(8)}
    words = {f"c{i}": pa.array(random.choice(["a", "b", "", "d"], n).tolist()) for i in range(6)}
    times = {"t": pa.array((np.datetime64("2013-01-01T00:00:00") + np.arange(n)).astype(str).tolist())}
    table = pa.table({**numbers, **words, **times, "y": random.choice(["0", "1"], n).tolist()})
    schema, task = infer(table, YES_NO)
    started = time.process_time()
    result = check(table, schema, task)
    assert time.process_time() - started < 4  # 0.5 s on two idle cores; slack for a shared machine
    assert result.table.num_rows == n


def test_nan_is_a_missing_value_in_a_column_of_any_kind() -> None:
    schema = Schema(
        columns=tuple(Column(name=kind.value, kind=kind) for kind in ColumnKind),
        target=TargetSpec(kind=TaskKind.REGRESSION, type="number", classes=()),
    )
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
    checked = check(table_from_rows([{kind.value: float("nan") for kind in ColumnKind}]), schema, task)
    assert checked.faults == ()
    assert checked.table.to_pylist() == [dict.fromkeys((kind.value for kind in ColumnKind), None)]
