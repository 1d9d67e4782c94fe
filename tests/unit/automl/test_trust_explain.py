"""What models lean on, told and compared: figures that can be counted by hand, and models that really learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from trust_house import CLASSIFY, REGRESS, by_formula, by_learning, exhibit_of, schema_of

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.frames import frame, typed
from automl.pinning import PinColumns
from automl.task import TaskKind
from automl.trust.dependence import dependence
from automl.trust.exhibit import Exhibit, Standing
from automl.trust.explain import ExplanationRule, explanation_gates
from automl.trust.leaning import change, leaning
from automl.trust.mode import Mode

THIRTY = pd.DataFrame({"a": [1.0, *[0.0] * 29], "b": [0.0, 0.0, 0.0, 1.0, *[0.0] * 26]})
Y = np.array([1, *[0] * 29])
HARD = ExplanationRule(mode=Mode.HARD)


def weighing(a: float, b: float) -> Any:
    def ask(rows: pd.DataFrame) -> Any:
        p = 0.1 + a * rows["a"].to_numpy() + b * rows["b"].to_numpy()
        return np.column_stack([1 - p, p])

    return ask


def standing(rows: pd.DataFrame, formula: Any) -> Standing:
    """A formula behind the house's first step, which says which columns there are."""
    found = by_formula(rows, formula)
    schema = schema_of(rows, TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("no", "yes")))
    pinned = PinColumns(schema, schema.names).fit(rows)
    return replace(
        found, pipeline=Pipeline([("columns", pinned), ("encode", "passthrough"), ("model", "passthrough")])
    )


def learnt(rows: int = 1_500) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(0)
    x = pd.DataFrame({name: random.normal(size=rows) for name in ("one", "two", "noise")})
    x["twin"] = x["one"] + 0.05 * random.normal(size=rows)
    return x, (x["one"] + 0.5 * x["two"] + 0.3 * random.normal(size=rows) > 0).to_numpy().astype(int)


def test_what_thirty_rows_lean_on_is_as_counted_by_hand() -> None:
    """One row of thirty has a 1: shuffled, it loses it and another gets it, so that two answers move by the weight."""
    found = leaning(weighing(0.5, 0.25), THIRTY, Y, ["a", "b"], measure="accuracy", seed=3)
    assert found.mean == pytest.approx([2 / 30 * 0.5, 2 / 30 * 0.25])
    assert found.shares == pytest.approx([2 / 3, 1 / 3])
    assert found.worth == pytest.approx([2 / 30, 0.0])  # the one late row is missed, another is called so


def test_the_change_of_thirty_rows_is_the_part_that_lies_on_other_columns() -> None:
    new = leaning(weighing(0.5, 0.25), THIRTY, Y, ["a", "b"], measure="accuracy", seed=3)
    old = leaning(weighing(0.2, 0.6), THIRTY, Y, ["a", "b"], measure="accuracy", seed=3)
    found = change(new, old, seed=0)
    assert found.share == pytest.approx(2 / 3 - 1 / 4)
    assert found.lower <= found.share <= found.upper
    same = change(old, old, seed=0)
    assert (same.share, same.lower, same.upper) == (0.0, 0.0, 0.0)


def test_the_curve_of_thirty_rows_is_as_counted_by_hand() -> None:
    column = Column(name="a", kind=ColumnKind.NUMERIC)
    found = dependence({"challenger": weighing(0.5, 0.25)}, THIRTY, column, task=CLASSIFY)
    assert found is not None
    told = found.to_json(CLASSIFY.classes)
    assert (told["column"], told["class"], told["grid"]) == ("a", "yes", [0.0, 1.0])
    assert told["models"]["challenger"]["mean"] == pytest.approx([0.1 + 0.25 / 30, 0.6 + 0.25 / 30], rel=1e-4)
    assert told["models"]["challenger"]["rows"][3] == pytest.approx([0.35, 0.85])


def test_curves_are_those_of_scikit_learn_on_the_same_grid() -> None:
    rows, y = learnt(300)
    schema = schema_of(rows, TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("no", "yes")))
    model = by_learning(
        rows, y, rows, schema, CLASSIFY, LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1)
    )
    found = dependence({"challenger": model.ask}, rows, schema.by_name["one"], task=CLASSIFY)
    assert found is not None
    theirs = partial_dependence(
        model.pipeline,
        rows,
        ["one"],
        custom_values={"one": np.array(found.grid)},
        kind="both",
        method="brute",
    )
    assert found.answers["challenger"].mean(axis=0) == pytest.approx(theirs["average"][0])
    assert found.answers["challenger"] == pytest.approx(theirs["individual"][0])


def test_categories_and_times_have_curves_and_texts_have_none() -> None:
    rows = pd.DataFrame(
        {
            "city": pd.Series(["Rome", "Oslo", "Rome"] * 10, dtype="str"),
            "when": pd.date_range("2026-01-01", periods=30, tz="UTC").as_unit("us"),
        }
    )

    def ask(asked: pd.DataFrame) -> Any:
        return (asked["city"] == "Rome").to_numpy() + asked["when"].dt.day.to_numpy() / 100

    def of(column: Column) -> Any:
        return dependence({"challenger": ask}, rows, column, task=REGRESS)

    city = of(Column(name="city", kind=ColumnKind.CATEGORICAL)).to_json(())
    assert (city["grid"], city["class"]) == (["Rome", "Oslo"], None)
    assert city["models"]["challenger"]["mean"] == pytest.approx([1.155, 0.155])
    when = of(Column(name="when", kind=ColumnKind.DATETIME)).to_json(())
    assert when["grid"][0].startswith("2026-01-01")
    assert len(when["grid"]) == 12
    assert of(Column(name="city", kind=ColumnKind.TEXT)) is None


def two_models(formula: Any, other: Any, rule: ExplanationRule) -> Any:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"a": random.random(400), "b": random.random(400)})
    y = (rows["a"] > 0.5).to_numpy().astype(int)
    exhibit = exhibit_of(rows, y, standing(rows, formula), champion=standing(rows, other))
    (gate,) = (found := explanation_gates(exhibit, rule)).gates
    return gate, found.report


def test_a_challenger_that_leans_on_other_columns_is_told_by_their_names_and_blocked_where_asked() -> None:
    gate, report = two_models(weighing(0.1, 0.6), weighing(0.6, 0.1), HARD)
    assert gate.passed is False
    assert gate.evidence["blocks"] is True
    assert "leans on other columns than the champion" in gate.reason
    assert "a 86% → 15%" in gate.reason or "a 85% → 15%" in gate.reason or "a 86% → 14%" in gate.reason
    assert set(gate.evidence["moved"]) == {"a", "b"}
    assert report["change"] == pytest.approx(5 / 7, abs=0.03)
    told, _ = two_models(weighing(0.1, 0.6), weighing(0.6, 0.1), ExplanationRule())
    assert (told.passed, told.evidence["blocks"]) == (False, False)


def test_a_challenger_that_leans_as_the_champion_does_passes() -> None:
    gate, report = two_models(weighing(0.55, 0.1), weighing(0.6, 0.1), HARD)
    assert gate.passed is True
    assert report["change"] < 0.05
    assert [curve["column"] for curve in report["dependence"]] == ["a", "b"]
    assert set(report["dependence"][0]["models"]) == {"champion", "challenger"}


def exhibit_learnt(model: Any, champion: Any | None = None) -> Exhibit:
    rows, y = learnt()
    train, held = rows.iloc[:1_000], rows.iloc[1_000:].reset_index(drop=True)
    schema = schema_of(rows, TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("no", "yes")))
    of = [
        None if one is None else by_learning(train, y[:1_000], held, schema, CLASSIFY, one)
        for one in (model, champion)
    ]
    assert of[0] is not None
    return exhibit_of(held, y[1_000:], of[0], champion=of[1], schema=schema, train=train, train_y=y[:1_000])


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1), "tree shap"),
        (LogisticRegression(), "linear terms"),
    ],
    ids=["trees", "linear"],
)
def test_a_first_model_is_told_by_what_it_leans_on_and_its_contributions_add_up(
    model: Any, method: str
) -> None:
    found = explanation_gates(exhibit_learnt(model), HARD)
    (gate,) = found.gates
    assert gate.passed is None
    assert gate.evidence["blocks"] is False
    assert "there is no champion" in gate.reason
    shares = {one["column"]: one["challenger"]["share"] for one in found.report["columns"]}
    assert shares["noise"] < 0.1 < shares["one"] + shares["twin"]
    assert sum(shares.values()) == pytest.approx(1.0)
    contributions = found.report["contributions"]
    assert contributions["method"] == method
    assert contributions["gap"] < 1e-4
    assert contributions["rows"] == 30


def test_a_model_that_takes_another_column_of_the_same_news_is_told() -> None:
    """The twin column says the same; a ridge shares the weight, a model without the first column has it all."""
    exhibit = exhibit_learnt(LogisticRegression(C=0.01), LogisticRegression(C=0.01))
    blind = exhibit.challenger.ask

    def ask(rows: pd.DataFrame) -> Any:
        return blind(rows.assign(one=rows["twin"]))

    found = explanation_gates(replace(exhibit, challenger=replace(exhibit.challenger, ask=ask)), HARD)
    assert found.gates[0].passed is False
    assert found.gates[0].evidence["moved"][0] in ("one", "twin")


def test_a_model_that_is_too_slow_to_be_asked_is_not_measured_and_says_so() -> None:
    exhibit = exhibit_learnt(LogisticRegression())
    slow = replace(exhibit, challenger=replace(exhibit.challenger, row_seconds=1.0))
    found = explanation_gates(slow, HARD)
    assert found.gates[0].passed is None
    assert "too slow" in found.gates[0].reason


@pytest.mark.parametrize(("row_seconds", "rows"), [(1e-9, 200), (5e-4, 41), (1.1e-3, 0)])
def test_the_slower_a_model_the_fewer_rows_have_curves_and_below_twenty_none(
    row_seconds: float, rows: int
) -> None:
    """A quarter of five seconds, five columns, twelve values each."""
    exhibit = exhibit_learnt(LogisticRegression())
    ask, asked = exhibit.challenger.ask, []

    def counted(some: pd.DataFrame) -> Any:
        asked.append(len(some))
        return ask(some)

    slow = replace(exhibit, challenger=replace(exhibit.challenger, ask=counted, row_seconds=row_seconds))
    report = explanation_gates(slow, HARD).report
    assert (12 * rows in asked) == bool(rows)
    assert bool(report["dependence"]) == bool(rows)
    if rows:
        assert report["dependence_not_measured"] is None
    else:
        assert "too slow to be asked about 20 rows 60 times" in report["dependence_not_measured"]


def test_rows_go_back_from_a_frame_to_a_table_as_they_came() -> None:
    columns = (
        Column(name="n", kind=ColumnKind.NUMERIC),
        Column(name="ok", kind=ColumnKind.BOOLEAN),
        Column(name="city", kind=ColumnKind.CATEGORICAL),
        Column(name="when", kind=ColumnKind.DATETIME),
    )
    schema = Schema(columns=columns, target=TargetSpec(kind=TaskKind.REGRESSION, type="number"))
    rows = pd.DataFrame(
        {
            "n": [1.5, np.nan],
            "ok": [1.0, np.nan],
            "city": pd.Series(["Rome", None], dtype="str"),
            "when": pd.Series([pd.Timestamp("2026-01-01", tz="UTC"), pd.NaT]).dt.as_unit("us"),
        }
    )
    table = typed(rows, schema)
    assert table.to_pylist()[1] == {"n": None, "ok": None, "city": None, "when": None}
    assert table["ok"].to_pylist() == [True, None]
    pd.testing.assert_frame_equal(frame(table, schema), frame(typed(frame(table, schema), schema), schema))
