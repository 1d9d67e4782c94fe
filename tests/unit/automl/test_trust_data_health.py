"""Are the rows fit to learn from? Faults that were planted are named; their clean twins are let be."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from trust_house import CLASSES, CLASSIFY, NUMBERS, REGRESS, by_learning, exhibit_of, schema_of

from automl.columns import Column, ColumnKind, Schema
from automl.trust.changed_columns import Changed, changed_columns
from automl.trust.data_health import DataHealthRule, _unseen, data_health_gates
from automl.trust.duplicates import duplicates
from automl.trust.exhibit import Exhibit
from automl.trust.label_errors import out_of_sample, rows_within, suspects
from automl.trust.mode import Mode

HARD = DataHealthRule(mode=Mode.HARD)
TRAIN, HELD = 1_200, 400


def numbers(rows: int = TRAIN + HELD, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(seed)
    x = pd.DataFrame({f"c{at}": random.normal(size=rows) for at in range(5)})
    x["city"] = pd.Series(random.choice(["Rome", "Oslo", "Lima"], rows), dtype="str")
    signal = x["c0"] + x["c1"] - x["c2"] + (x["city"] == "Rome") + 0.2 * random.normal(size=rows)
    return x, (signal > 0.3).to_numpy().astype(int)


def exhibit(x: pd.DataFrame, y: Any, *, champion_without: str | None = None, **more: Any) -> Exhibit:
    schema = schema_of(x, CLASSES)
    train, held = x.iloc[:TRAIN].reset_index(drop=True), x.iloc[TRAIN:].reset_index(drop=True)

    def learnt(of: Schema) -> Any:
        return by_learning(train, y[:TRAIN], held, of, CLASSIFY, LogisticRegression(max_iter=300))

    champion = None
    if champion_without is not None:
        known = Schema(
            columns=tuple(one for one in schema.columns if one.name != champion_without), target=schema.target
        )
        champion = learnt(known)
    return exhibit_of(
        held,
        y[TRAIN:],
        learnt(schema),
        champion=champion,
        schema=schema,
        train=train,
        train_y=y[:TRAIN],
        whole_ids=[f"h{at}" for at in range(len(held))],
        train_ids=[f"t{at}" for at in range(TRAIN)],
        **more,
    )


def gate_of(shown: Exhibit, rule: DataHealthRule = HARD) -> tuple[Any, Any]:
    found = data_health_gates(shown, rule)
    (gate,) = found.gates
    return gate, found.report


def test_of_thirty_rows_two_labels_that_are_surely_denied_are_named() -> None:
    """15 and 15; the answers are 0.9 for the right class, but for rows 4 and 20, which are said to be the other."""
    y = np.array([0] * 15 + [1] * 15)
    sure = np.where(np.isin(np.arange(30), (4, 20)), 1 - y, y)
    said = np.where(np.eye(2)[sure] == 1, 0.9, 0.1)
    found = suspects(y, said, CLASSIFY)
    assert np.flatnonzero(found.suspected).tolist() == [4, 20]
    assert found.says[[4, 20]].tolist() == [1.0, 0.0]
    assert found.sure[[4, 20]] == pytest.approx([0.8, 0.8])
    assert (found.denied, found.surest) == (1, 10)  # all are as sure: the first third holds row 4
    assert found.order.tolist() == [4, 20]


def test_of_thirty_numbers_the_one_in_another_unit_is_named() -> None:
    y = np.arange(30, dtype=float) + np.tile([0.1, -0.1], 15)
    y[7] *= 1_000
    found = suspects(y, np.arange(30, dtype=float), REGRESS)
    assert np.flatnonzero(found.suspected).tolist() == [7]
    assert found.says[7] == 7.0


def test_thirty_rows_that_are_there_twice_are_counted() -> None:
    """Rows 0 and 1 are equal, rows 2 and 3 but for the label; of three that judge, two were trained on."""
    amount = np.arange(30, dtype=float)
    amount[1], amount[3] = amount[0], amount[2]
    train, y = pd.DataFrame({"amount": amount}), np.zeros(30, dtype=int)
    y[3] = 1
    held = pd.DataFrame({"amount": [5.0, 6.0, 77.0]})
    found = duplicates(train, y, held, ["amount"])
    assert (found.repeated, found.conflicting, found.shared, found.held) == (1, 2, 2, 3)
    assert found.share == pytest.approx(2 / 3)
    # Two values twice and 26 once: two rows have the same value with chance (2 * 4 + 26) / 900, 30 times that is 1.13
    assert found.chance == 1.0
    assert not found.telling


def test_what_is_new_in_thirty_rows_is_counted() -> None:
    before = pd.DataFrame(
        {"n": np.arange(30.0), "city": pd.Series(["Rome", "Oslo"] * 15, dtype="str"), "gap": np.arange(30.0)}
    )
    now = before.copy()
    now["n"] = now["n"] + 3  # three beyond the largest
    now.loc[:5, "city"] = "Lima"
    now.loc[:11, "gap"] = np.nan
    schema = schema_of(before, NUMBERS)
    found = {
        one.column: one
        for one in changed_columns(before, now, schema, ["n", "city", "gap"], time_column=None)
    }
    assert found["n"].unseen == pytest.approx(0.1)
    assert found["city"].unseen == pytest.approx(0.2)
    assert (found["city"].unseen_values, found["city"].values) == (6, 30)
    assert (found["gap"].missing_before, found["gap"].missing, found["gap"].risen) == (0.0, 0.4, True)
    assert (found["n"].missing, found["n"].risen) == (0.0, False)
    timed = changed_columns(before, now, schema, ["n"], time_column="n")
    assert timed[0].unseen is None


def test_sound_rows_pass_and_are_told() -> None:
    gate, report = gate_of(exhibit(*numbers()))
    assert gate.passed is True, gate.reason
    assert "no column knows the label" in gate.reason
    assert report["leaks"] == []
    assert report["label_errors"]["share"] < 0.02
    assert {one["column"] for one in report["columns"]} == {"c0", "c1", "c2", "c3", "c4", "city"}


def test_a_column_that_knows_the_label_is_named_and_blocks_where_asked() -> None:
    x, y = numbers()
    x["refund"] = 20.0 * y + np.random.default_rng(2).normal(size=len(y))
    gate, report = gate_of(exhibit(x, y))
    assert gate.passed is False
    assert gate.evidence["blocks"] is True
    assert "refund alone predicts y" in gate.reason
    assert gate.evidence["leaks"] == ["refund"] == [leak["column"] for leak in report["leaks"]]
    told, _ = gate_of(exhibit(x, y), DataHealthRule())
    assert (told.passed, told.evidence["blocks"]) == (False, False)


def test_a_leak_that_the_champion_has_as_well_is_not_held_against_a_challenger_that_may_be_no_worse() -> None:
    x, y = numbers()
    x["refund"] = 20.0 * y + np.random.default_rng(2).normal(size=len(y))
    rule = DataHealthRule(mode=Mode.NON_INFERIOR)
    new, report = gate_of(exhibit(x, y, champion_without="refund"), rule)
    assert new.passed is False
    assert report["columns_new"] == ["refund"]
    old, _ = gate_of(exhibit(x, y, champion_without="c4"), rule)
    assert "refund" not in old.reason


def test_flipped_labels_are_counted_and_listed_for_review_by_their_rows() -> None:
    x, y = numbers()
    flipped = np.random.default_rng(3).random(len(y)) < 0.05
    gate, report = gate_of(exhibit(x, np.where(flipped, 1 - y, y)))
    assert gate.passed is False
    assert re.match(
        r"a model denies \d\.\d% of the labels it is surest of, surely more than the 1\.0% allowed",
        gate.reason,
    )
    assert gate.evidence["failed"] == ["label_errors"]
    assert 0.02 < report["label_errors"]["share"] < 0.1
    review = report["label_errors"]["review"]
    named = {f"t{at}" for at in np.flatnonzero(flipped[:TRAIN])} | {
        f"h{at}" for at in np.flatnonzero(flipped[TRAIN:])
    }
    assert np.mean([one["id"] in named for one in review[:30]]) > 0.8
    assert review[0]["label"] != review[0]["says"]
    assert review == sorted(review, key=lambda one: -one["sure"])


def test_rows_that_judge_and_were_trained_on_are_counted() -> None:
    x, y = numbers()
    x.iloc[TRAIN : TRAIN + 100] = x.iloc[:100].to_numpy()
    gate, report = gate_of(exhibit(x, y))
    assert "duplicates" in gate.evidence["failed"]
    assert "100 of 400 rows that judge (25.0%) are copies of rows trained on" in gate.reason
    assert report["duplicates"]["telling"] is True


def test_rows_of_few_values_are_equal_by_chance_and_no_fault() -> None:
    random = np.random.default_rng(0)
    x = pd.DataFrame(
        {"a": random.integers(0, 3, 1_600).astype(float), "b": random.integers(0, 3, 1_600).astype(float)}
    )
    y = (x["a"] + random.random(1_600) > 1).to_numpy().astype(int)
    gate, report = gate_of(exhibit(x, y))
    assert report["duplicates"]["share"] == 1.0
    assert "duplicates" not in gate.evidence["failed"]


def test_a_column_that_went_missing_a_new_category_and_rows_unlike_all_others_are_named() -> None:
    x, y = numbers()
    x.loc[TRAIN : TRAIN + 199, "c3"] = np.nan
    x.loc[TRAIN : TRAIN + 149, "city"] = "Kyiv"
    x.loc[TRAIN + 200 :, "c4"] = 1_000.0
    gate, report = gate_of(exhibit(x, y))
    assert gate.evidence["failed"] == ["missing", "schema", "outliers"]
    assert "c3 is missing in 50% of the newest rows, 0% before" in gate.reason
    assert "of city lie outside of all trained on" in gate.reason
    assert "unlike all trained on" in gate.reason
    assert set(report["outliers"]["columns"]) <= {"c3", "c4", "city"}


def newest(unseen: int, rows: int, columns: int = 1) -> tuple[Changed, ...]:
    """So many unseen values of the first of some columns, the others as they were."""
    return tuple(
        Changed(
            column=f"c{place}",
            missing_before=0.0,
            missing=0.0,
            risen=False,
            unseen_values=0 if place else unseen,
            values=rows,
        )
        for place in range(columns)
    )


def test_unseen_values_are_held_against_a_column_only_where_their_share_is_surely_above_the_limit() -> None:
    assert _unseen(newest(3, 10), HARD) is None  # 30%, but surely only 13%
    assert _unseen(newest(90, 300), HARD) == "30% of the newest values of c0 lie outside of all trained on"
    # 25% of 300 are surely 21% where one column was looked at, and 18% where fifty were
    assert _unseen(newest(75, 300), HARD) is not None
    assert _unseen(newest(75, 300, columns=50), HARD) is None
    assert _unseen(newest(0, 0), HARD) is None


def test_a_limit_that_is_null_is_told_and_held_against_nobody() -> None:
    x, y = numbers()
    x["refund"] = 20.0 * y + np.random.default_rng(2).normal(size=len(y))
    gate, report = gate_of(exhibit(x, y), replace(HARD, leak_from=None))
    assert gate.passed is True
    assert gate.evidence["leaks"] == ["refund"]
    assert report["failed_checks"] == {}


def test_numbers_are_looked_at_too() -> None:
    random = np.random.default_rng(0)
    x = pd.DataFrame({"a": random.normal(size=1_600), "b": random.normal(size=1_600)})
    y = (3 * x["a"] - x["b"] + 0.3 * random.normal(size=1_600)).to_numpy(copy=True)
    wrong = random.random(1_600) < 0.05
    y[wrong] *= 1_000.0
    schema = schema_of(x, NUMBERS)
    said = out_of_sample(x, y, schema=schema, task=REGRESS, seed=0)
    assert said is not None
    found = suspects(y, said, REGRESS)
    assert found.share > 0.02
    assert wrong[found.order[:30]].mean() > 0.8


def test_rows_that_cannot_be_learnt_from_have_no_review() -> None:
    x, y = numbers()
    schema = schema_of(x, CLASSES)
    assert out_of_sample(x.iloc[:50], y[:50], schema=schema, task=CLASSIFY, seed=0) is None
    assert out_of_sample(x, np.zeros(len(y), dtype=int), schema=schema, task=CLASSIFY, seed=0) is None


def test_less_time_means_fewer_rows_looked_at() -> None:
    assert rows_within(10.0, 10, 2) == 5_000
    assert rows_within(0.2, 20, 2) == 1_500
    assert rows_within(0.2, 100, 10) == 1_000


def test_cleanlab_is_imported_only_where_labels_are_looked_at() -> None:
    code = "import sys, automl.trust.data_health; assert 'cleanlab' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_text_column_has_no_unseen_values() -> None:
    rows = pd.DataFrame({"note": pd.Series(["a b"] * 30, dtype="str")})
    schema = Schema(columns=(Column(name="note", kind=ColumnKind.TEXT),), target=NUMBERS)
    (one,) = changed_columns(rows, rows, schema, ["note"], time_column=None)
    assert one.unseen is None
