"""Slices: which there are, and that none of them pays for a gain on the whole."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.judge import Outcome, Rules, Scored, Verdict, judge
from automl.resampling import holm
from automl.schema import Column, ColumnKind, Schema, TargetSpec
from automl.slices import Slice, slices
from automl.task import Task, TaskKind

TASK = Task(
    kind=TaskKind.CLASSIFICATION,
    target="y",
    metric="accuracy",
    classes=(0, 1),
    id_column="id",
    sensitive=("district",),
)
SCHEMA = Schema(
    columns=(
        Column(name="age", kind=ColumnKind.NUMERIC),
        Column(name="carrier", kind=ColumnKind.CATEGORICAL),
        Column(name="note", kind=ColumnKind.TEXT),
        Column(name="id", kind=ColumnKind.CATEGORICAL),
        Column(name="stops", kind=ColumnKind.NUMERIC, integer=True),
        Column(name="district", kind=ColumnKind.CATEGORICAL),
        Column(name="street", kind=ColumnKind.CATEGORICAL),
    ),
    target=TargetSpec(kind=TaskKind.CLASSIFICATION, type="integer", classes=(0, 1)),
)


def table(n: int = 1000, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, n)
    age[::5] = np.nan
    return pa.table(
        {
            "age": pa.array(age, from_pandas=True),
            "carrier": random.choice(["AA", "UA", "tiny"], n, p=[0.6, 0.38, 0.02]),
            "note": ["a long text"] * n,
            "id": [f"row {number}" for number in range(n)],
            "stops": random.choice([0.0, 1.0], n),
            "district": random.choice([f"d{number:02d}" for number in range(25)] + ["centre"] * 10, n),
            "street": random.choice([f"street {number}" for number in range(300)], n),
        }
    )


def names(found: tuple[Slice, ...]) -> list[str]:
    return [one.name for one in found]


def test_sensitive_columns_come_first_then_categories_then_numbers_by_quarters() -> None:
    found = slices(table(), SCHEMA, TASK)
    assert names(found)[:3] == ["district = centre", "carrier = AA", "carrier = UA"]
    assert [one.column for one in found[3:]] == ["age"] * 5 + ["stops"] * 2
    assert {"age = (missing)", "stops = 0", "stops = 1"} <= set(names(found))
    assert any(name.startswith("age at most ") for name in names(found))
    assert any(name.startswith("age above ") and " and at most " in name for name in names(found))
    assert [one.sensitive for one in found[:2]] == [True, False]


def test_what_is_too_small_or_everything_or_has_too_many_values_is_no_slice() -> None:
    found = names(slices(table(), SCHEMA, TASK))
    assert "carrier = tiny" not in found
    assert not any(name.startswith(("street", "note", "id", "district = d")) for name in found)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(0, 700), most=st.integers(1, 30), least=st.integers(50, 200), seed=st.integers(0, 99))
def test_every_slice_is_large_enough_and_there_are_not_more_than_asked(
    n: int, most: int, least: int, seed: int
) -> None:
    found = slices(table(n, seed), SCHEMA, TASK, most=most, min_rows=least)
    assert len(found) <= most
    assert all(least <= one.rows.sum() < n for one in found)
    assert len({one.rows.tobytes() for one in found}) == len(found)


def test_quarters_part_the_rows_that_have_a_number() -> None:
    quarters = [one.rows for one in slices(table(), SCHEMA, TASK) if one.column == "age"]
    assert np.array_equal(np.sum(quarters, axis=0), np.ones(1000))


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_the_order_and_lies_between_the_p_value_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    for one, other in zip(p, adjusted, strict=True):
        assert one <= other <= min(1.0, len(p) * one) + 1e-12
    assert sorted(range(len(p)), key=lambda i: (p[i], adjusted[i])) == sorted(
        range(len(p)), key=lambda i: (adjusted[i], p[i])
    )


def test_holm_is_what_the_paper_says() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def judged(
    y: Any, champion: Any, challenger: Any, parts: Any, name: str = "accuracy", **more: Any
) -> Verdict:
    groups = more.pop("groups", None)
    return judge(
        None if champion is None else Scored(predictions=champion),
        Scored(predictions=challenger),
        y,
        Rules(metric=name, resamples=1000, **more),
        seed=1,
        task=TASK,
        train_prior=np.full(2, 0.5),
        groups=groups,
        slices=parts,
    )


def gate(verdict: Verdict) -> Any:
    return next(one for one in verdict.gates if one.name == "slices")


def paid(n: int = 4000, harm: float = 0.12, seed: int = 0) -> tuple[Any, Any, Any, tuple[Slice, ...]]:
    """A challenger that gains 4 points on the whole and loses ``harm`` where the district is ``north``."""
    random = np.random.default_rng(seed)
    y, north = random.integers(0, 2, n), random.random(n) < 0.15
    theirs = random.random(n) < 0.8
    ours = np.where(north, random.random(n) < 0.8 - harm, theirs | (random.random(n) < 0.3))
    parts = tuple(
        Slice(column="district", value=value, rows=rows, sensitive=True)
        for value, rows in (("north", north), ("south", ~north))
    )
    champion, challenger = (np.eye(2)[np.where(right, y, 1 - y)] * 0.8 + 0.1 for right in (theirs, ours))
    return y, champion, challenger, parts


def test_gain_on_the_whole_does_not_pay_for_a_slice_that_gets_worse() -> None:
    y, champion, challenger, parts = paid()
    assert judged(y, champion, challenger, ()).promotes
    verdict = judged(y, champion, challenger, parts)
    assert verdict.outcome is Outcome.REJECTED
    assert "slices: where district = north (" in verdict.reason
    assert "surely more than the 0.02 that a slice may lose" in verdict.reason
    rows = {row["value"]: row for row in gate(verdict).evidence["slices"]}
    assert rows["north"]["gain"] < -0.05
    assert rows["north"]["p_adjusted"] < 0.05 < rows["south"]["p_adjusted"]
    assert rows["north"]["challenger"] - rows["north"]["champion"] == pytest.approx(rows["north"]["gain"])
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict


def test_wider_margin_lets_it_pass_and_the_worst_slice_is_still_named() -> None:
    y, champion, challenger, parts = paid(harm=0.05)
    verdict = judged(y, champion, challenger, parts, slice_margin=0.2)
    assert verdict.promotes
    assert "the worst is district = north" in gate(verdict).reason


def test_equal_models_are_stopped_for_a_slice_at_most_as_often_as_said() -> None:
    alarms = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        y = random.integers(0, 2, 2000)
        ours, theirs = (np.where(random.random(2000) < 0.8, y, 1 - y) for _ in range(2))
        places = random.integers(0, 10, 2000)
        parts = tuple(Slice(column="place", value=str(k), rows=places == k) for k in range(10))
        verdict = judged(y, np.eye(2)[theirs], np.eye(2)[ours], parts, slice_margin=0.0)
        alarms += gate(verdict).passed is False
    assert alarms <= 11  # 5% of 100 and some for luck, though the margin is none


def test_slice_of_one_class_has_no_auc_and_is_shown_as_undecided() -> None:
    y, champion, challenger, _ = paid()
    parts = tuple(Slice(column="y", value=str(k), rows=y == k) for k in (0, 1))
    verdict = judged(y, champion, challenger, parts, "roc_auc")
    assert gate(verdict).passed is None
    assert "none of 2 slices has enough rows for roc_auc" in gate(verdict).reason
    assert [row["gain"] for row in gate(verdict).evidence["slices"]] == [None, None]


def test_there_is_no_slice_gate_without_a_champion_or_without_slices() -> None:
    y, champion, challenger, parts = paid()
    assert gate(judged(y, None, challenger, parts)).passed is None
    assert gate(judged(y, champion, challenger, ())).passed is None


def test_groups_are_drawn_whole_within_a_slice() -> None:
    y, champion, challenger, parts = paid()
    verdict = judged(y, champion, challenger, parts, groups=np.arange(4000) // 400)
    row = gate(verdict).evidence["slices"][0]
    assert row["error"] is not None
    few = judged(y, champion, challenger, parts, groups=np.arange(4000) // 400, min_groups=11)
    assert gate(few).passed is None


def test_slices_of_other_rows_are_refused() -> None:
    y, champion, challenger, parts = paid()
    with pytest.raises(ValueError, match="slices of other rows"):
        judged(y[:-1], champion[:-1], challenger[:-1], parts)
