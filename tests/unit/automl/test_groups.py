"""Which group a row is in."""

from __future__ import annotations

import numpy as np
import pandas as pd
from fairness_cases import words

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.task import TaskKind
from automl.trust.groups import MISSING, OTHERS, Grouping, found_edges, groupings


def grouped(values: object, kind: ColumnKind = ColumnKind.NUMERIC, **more: object) -> Grouping:
    target = TargetSpec(kind=TaskKind.REGRESSION, type="number")
    schema = Schema(columns=(Column(name="it", kind=kind),), target=target)
    (found,) = groupings(pd.DataFrame({"it": values}), schema, ["it"], **more)  # type: ignore[arg-type]
    return found


def named(found: Grouping) -> list[str]:
    return [found.names[code] for code in found.codes]


def test_words_are_groups_by_value_and_missing_ones_a_group_of_their_own() -> None:
    found = grouped(words(["b", None, "a", "b"]), ColumnKind.CATEGORICAL)
    assert named(found) == ["b", MISSING, "a", "b"]


def test_booleans_are_spelt_as_their_owner_does() -> None:
    assert named(grouped([1.0, 0.0, np.nan], ColumnKind.BOOLEAN)) == ["true", "false", MISSING]


def test_the_most_frequent_words_are_kept_and_the_others_go_together() -> None:
    many = [f"w{place:02}" for place in range(25) for _ in range(30 - place)]
    found = grouped(words([*many, None]), ColumnKind.CATEGORICAL)
    assert found.names == (*(f"w{place:02}" for place in range(20)), OTHERS, MISSING)
    assert found.counts[20] == 10 + 9 + 8 + 7 + 6


def test_few_whole_numbers_are_groups_and_others_are_cut_into_parts_of_the_same_size() -> None:
    assert named(grouped([0.0, 1.0, 1.0])) == ["0", "1", "1"]
    found = grouped(np.arange(1.0, 101.0))
    assert found.names == ("at most 25", "above 25 and at most 50", "above 50 and at most 75", "above 75")
    assert found.counts.tolist() == [25, 25, 25, 25]
    assert named(grouped([18.0, 30.0, 30.0, 65.5, np.nan], bins=2)) == [
        "at most 30",
        "at most 30",
        "at most 30",
        "above 30",
        MISSING,
    ]


def test_times_are_cut_like_numbers() -> None:
    found = grouped(
        pd.date_range("2000-01-01", periods=4, tz="UTC").as_unit("us"), ColumnKind.DATETIME, bins=2
    )
    assert found.names == ("at most 2000-01-02T00:00:00", "above 2000-01-02T00:00:00")


def test_groups_found_once_stay_the_same_on_other_rows() -> None:
    once = grouped(np.arange(1.0, 101.0), bins=2)
    again = grouped([-5.0, 50.0, 50.1, 1e9], bins=2, edges=found_edges([once]))
    assert named(again) == ["at most 50", "at most 50", "above 50", "above 50"]
    few = grouped([0.0, 1.0], bins=2)
    assert named(grouped([0.0, 1.0, 2.0, 0.5], bins=2, edges=found_edges([few]))) == ["0", "1", "2", "0.5"]


def test_a_column_without_a_value_is_one_group() -> None:
    assert named(grouped([np.nan, np.nan])) == [MISSING, MISSING]


def test_two_columns_make_groups_together_where_that_is_asked_for() -> None:
    target = TargetSpec(kind=TaskKind.REGRESSION, type="number")
    columns = (Column(name="sex", kind=ColumnKind.CATEGORICAL), Column(name="age", kind=ColumnKind.NUMERIC))
    rows = pd.DataFrame({"sex": words("ffmm"), "age": [20.0, 70.5, 20.0, 20.0]})
    found = groupings(rows, Schema(columns=columns, target=target), ["sex", "age"], bins=2, crossed=True)
    assert [one.name for one in found] == ["sex", "age", "sex × age"]
    assert named(found[2]) == ["f, at most 20", "f, above 20", "m, at most 20", "m, at most 20"]
