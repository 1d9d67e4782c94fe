"""Explanations: they add up to the model's raw score, in the caller's columns, whatever the model is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectPercentile
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer, RobustScaler
from xgboost import XGBClassifier, XGBRegressor

from automl.engines.plain import plain
from automl.explain import Explainer, Method, Scale
from automl.features import preprocessor
from automl.schema import Schema, check, frame, infer, table_from_rows
from automl.task import Task, TaskKind

ROWS = 400
CLOSE = 1e-4
SMALL: dict[str, Any] = {"n_estimators": 20, "n_jobs": 1, "random_state": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fitted pipeline with the rows it was trained on."""

    pipeline: Pipeline
    schema: Schema
    task: Task
    table: pa.Table

    def score(self, table: pa.Table) -> Any:
        rows = frame(table, self.schema)
        if self.task.is_classification:
            return np.asarray(self.pipeline.predict_proba(rows), dtype=np.float64)
        return np.asarray(self.pipeline.predict(rows), dtype=np.float64)

    def explainer(self) -> Explainer:
        return Explainer(self.pipeline, self.schema, self.task, self.table, self.score)


@cache
def data(kind: str) -> pd.DataFrame:
    """Every kind of column, with holes; a constant one; a target of two classes, of three, or a number."""
    random = np.random.default_rng(3)
    amount = random.normal(50, 20, ROWS)
    city = random.choice(["Rome", "Oslo", "Lima"], ROWS)
    holes = random.random(ROWS) < 0.15
    words = np.array(["late", "parcel", "broken", "thanks", "please", "call", "back", "never"])
    signal = (amount - 50) / 20 + (city == "Rome") + 0.3 * random.normal(size=ROWS)
    target = {
        "two": np.where(signal > 0.3, "yes", "no"),
        "three": np.select([signal < -0.3, signal < 0.8], ["low", "mid"], "top"),
        "number": 1_000 * signal,
    }[kind]
    return pd.DataFrame(
        {
            "amount": np.where(holes, np.nan, amount),
            "weight": random.normal(size=ROWS),
            "city": np.where(random.random(ROWS) < 0.1, None, city),
            "zip": [f"z{k}" for k in random.integers(0, 60, ROWS)],
            "member": np.where(random.random(ROWS) < 0.1, None, random.choice(["yes", "no"], ROWS)),
            "since": (np.datetime64("2020-01-01T08:00") + random.integers(0, 900_000, ROWS)).astype(str),
            "note": [
                f"the customer wrote {' '.join(random.choice(words, 6))} number {k}" for k in range(ROWS)
            ],
            "constant": "same",
            "y": target,
        }
    )


def fitted(kind: str, model: Any, *between: Any, frame_: pd.DataFrame | None = None) -> Case:
    rows = data(kind) if frame_ is None else frame_
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    of = TaskKind.REGRESSION if kind == "number" else TaskKind.CLASSIFICATION
    schema, task = infer(table_from_rows(records), Task(kind=of, target="y", metric="auto"))
    checked = check(table_from_rows(records), schema, task)
    labels = [schema.target.parse(text) for text in checked.labels.to_pylist()]
    y = np.array([task.encode(label) if task.is_classification else label for label in labels])
    steps = [(f"step{at}", step) for at, step in enumerate(between)]
    pipeline = Pipeline([*preprocessor(schema, task, seed=0).steps, *steps, ("model", model)])
    pipeline.fit(frame(checked.table, schema), y)
    return Case(pipeline=pipeline, schema=schema, task=task, table=checked.table)


def log_odds(case: Case, table: pa.Table) -> Any:
    share = case.score(table)[:, 1]
    return np.log(share / (1 - share))


def margin(case: Case, table: pa.Table) -> Any:
    """Of the predicted class, from the model itself."""
    model, matrix = case.pipeline[-1], case.pipeline[:-1].transform(frame(table, case.schema))
    if isinstance(model, LGBMClassifier):
        margins = model.predict(matrix, raw_score=True)
    elif isinstance(model, XGBClassifier):
        margins = model.predict(matrix, output_margin=True)
    else:
        margins = model.decision_function(matrix)
    return margins[np.arange(len(margins)), case.score(table).argmax(axis=1)]


def value(case: Case, table: pa.Table) -> Any:
    return case.score(table)


def probability(case: Case, table: pa.Table) -> Any:
    shares = case.score(table)
    return shares[:, 1] if shares.shape[1] == 2 else shares.max(axis=1)


MODELS: list[tuple[str, Any, tuple[Any, ...], Method, Scale, Callable[[Case, pa.Table], Any]]] = [
    ("two", LGBMClassifier(**SMALL, verbose=-1), (), Method.TREES, Scale.LOG_ODDS, log_odds),
    ("three", LGBMClassifier(**SMALL, verbose=-1), (), Method.TREES, Scale.MARGIN, margin),
    ("number", LGBMRegressor(**SMALL, verbose=-1), (), Method.TREES, Scale.VALUE, value),
    ("two", XGBClassifier(**SMALL), (), Method.TREES, Scale.LOG_ODDS, log_odds),
    ("three", XGBClassifier(**SMALL), (), Method.TREES, Scale.MARGIN, margin),
    ("number", XGBRegressor(**SMALL), (), Method.TREES, Scale.VALUE, value),
    ("two", LogisticRegression(), (), Method.LINEAR, Scale.LOG_ODDS, log_odds),
    ("three", LogisticRegression(), (), Method.LINEAR, Scale.MARGIN, margin),
    ("number", Ridge(), (), Method.LINEAR, Scale.VALUE, value),
    ("number", ElasticNet(), (RobustScaler(),), Method.LINEAR, Scale.VALUE, value),
    (
        "two",
        LGBMClassifier(**SMALL, verbose=-1),
        (QuantileTransformer(n_quantiles=50), SelectPercentile(percentile=40)),
        Method.TREES,
        Scale.LOG_ODDS,
        log_odds,
    ),
    ("two", LogisticRegression(), (PCA(n_components=5),), Method.SAMPLED, Scale.PROBABILITY, probability),
    ("two", RandomForestClassifier(**SMALL), (), Method.SAMPLED, Scale.PROBABILITY, probability),
    ("three", RandomForestClassifier(**SMALL), (), Method.SAMPLED, Scale.PROBABILITY, probability),
    ("number", RandomForestRegressor(**SMALL), (), Method.SAMPLED, Scale.VALUE, value),
    ("two", HistGradientBoostingClassifier(max_iter=20), (), Method.SAMPLED, Scale.PROBABILITY, probability),
    ("three", KNeighborsClassifier(), (), Method.SAMPLED, Scale.PROBABILITY, probability),
]


@pytest.mark.parametrize(
    ("kind", "model", "between", "method", "scale", "raw"),
    MODELS,
    ids=[f"{type(model).__name__}-{kind}-{len(between)}" for kind, model, between, *_ in MODELS],
)
def test_contributions_add_up_to_the_models_raw_score(
    kind: str, model: Any, between: tuple[Any, ...], method: Method, scale: Scale, raw: Any
) -> None:
    case = fitted(kind, model, *between)
    explainer = case.explainer()
    assert explainer.method is method, explainer.why_sampled
    rows = case.table.slice(0, 40)
    told = explainer.explain(rows)
    assert told.scale is scale
    assert told.columns == case.schema.feature_names(case.task)
    expected = raw(case, rows)
    assert told.base + told.contributions.sum(axis=1) == pytest.approx(expected, rel=CLOSE, abs=CLOSE)
    assert told.raw == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("kind", ["two", "three", "number"])
def test_encoded_features_are_summed_up_by_the_column_they_come_from(kind: str) -> None:
    """Against the booster's own contributions, added up by the features' names."""
    model = LGBMRegressor(**SMALL, verbose=-1) if kind == "number" else LGBMClassifier(**SMALL, verbose=-1)
    case = fitted(kind, model)
    rows = case.table.slice(0, 25)
    told = case.explainer().explain(rows)
    encode = case.pipeline[:-1]
    features = [re.split("[=. _]", name)[0] for name in encode.get_feature_names_out()]
    assert set(features) == {"amount", "weight", "city", "zip", "member", "since", "note"}
    parts = case.pipeline[-1].predict(encode.transform(frame(rows, case.schema)), pred_contrib=True)
    parts = parts.reshape(len(parts), -1, len(features) + 1)
    picked = told.positions if parts.shape[1] > 1 else np.zeros(len(parts), dtype=int)
    parts = parts[np.arange(len(parts)), picked]
    for at, column in enumerate(told.columns):
        own = [feature == column for feature in features]
        assert told.contributions[:, at] == pytest.approx(parts[:, :-1][:, own].sum(axis=1), abs=1e-6)
    assert (told.contributions[:, told.columns.index("constant")] == 0).all()
    assert told.base == pytest.approx(parts[:, -1], abs=1e-9)


def test_sampled_values_of_a_sum_are_its_terms() -> None:
    """Where columns do not work together, every order gives the same: the sample has nothing to err about."""
    random = np.random.default_rng(1)
    rows = pd.DataFrame({name: random.normal(size=200) for name in "abc"})
    rows["y"] = 3 * rows["a"] - 2 * rows["b"] + 0.01 * random.normal(size=200)
    case = fitted("number", Ridge(alpha=1e-6), PCA(), frame_=rows)  # the rotation hides the columns
    explainer = case.explainer()
    assert explainer.method is Method.SAMPLED
    assert "PCA mixes columns" in explainer.why_sampled
    some = case.table.slice(0, 20)
    told = explainer.explain(some)
    a, b, c = (some[name].to_numpy() for name in "abc")
    slopes = [np.polyfit(x, told.contributions[:, at], 1)[0] for at, x in enumerate((a, b, c))]
    assert slopes == pytest.approx([3, -2, 0], abs=0.02)
    straight = [abs(np.corrcoef(x, told.contributions[:, at])[0, 1]) for at, x in enumerate((a, b))]
    assert straight == pytest.approx([1, 1], abs=1e-6)


def test_sampled_values_come_near_the_exact_ones() -> None:
    case = fitted("number", Ridge())
    exact, rows = case.explainer(), case.table.slice(0, 30)
    mixed = Case(
        pipeline=Pipeline([*case.pipeline.steps[:-1], ("model", _Unknown(case.pipeline[-1]))]),
        schema=case.schema,
        task=case.task,
        table=case.table,
    )
    sample = mixed.explainer()
    assert sample.method is Method.SAMPLED
    one, other = exact.explain(rows).contributions, sample.explain(rows).contributions
    # Each is counted from another mean: what is compared is how a column's contribution moves from row to row.
    for at, name in enumerate(exact.columns):
        if one[:, at].std() > 50:
            assert np.corrcoef(one[:, at], other[:, at])[0, 1] > 0.99, name


class _Unknown(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A model that says only what it answers."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> _Unknown:
        return self

    def predict(self, X: Any) -> Any:
        return self.model.predict(X)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def test_the_same_row_has_the_same_explanation_alone_and_among_others() -> None:
    for model in (RandomForestClassifier(**SMALL), LGBMClassifier(**SMALL, verbose=-1)):
        case = fitted("two", model)
        explainer = case.explainer()
        together = explainer.explain(case.table.slice(0, 8))
        alone = explainer.explain(case.table.slice(5, 1))
        assert alone.contributions[0] == pytest.approx(together.contributions[5], abs=1e-9)


def test_a_model_trained_without_one_class_explains_those_it_knows() -> None:
    rows = data("three")
    case = fitted("two", LGBMClassifier(**SMALL, verbose=-1), frame_=rows[rows["y"] != "mid"])
    three = fitted("three", LogisticRegression())  # for a task with all three
    pipeline = plain(case.pipeline[:2], case.pipeline[-1], present=np.array([0, 2]), n_classes=3)
    spread = Case(pipeline=pipeline, schema=three.schema, task=three.task, table=case.table)
    told = spread.explainer().explain(case.table)
    assert told.method is Method.TREES
    assert told.scale is Scale.LOG_ODDS
    assert told.positions is not None
    assert set(told.positions) == {0, 2}
    shares = spread.score(case.table)[np.arange(case.table.num_rows), told.positions]
    found = told.base + told.contributions.sum(axis=1)
    assert found == pytest.approx(np.log(shares / (1 - shares)), rel=CLOSE, abs=CLOSE)


def test_a_score_that_does_not_lead_to_the_answers_is_not_explained_by() -> None:
    """A Poisson regression adds up on the scale of logarithms: its answers are no sum, so they are sampled."""
    rows = data("number").assign(y=lambda found: np.round(np.exp(found["y"] / 1_000)))
    case = fitted("number", LGBMRegressor(**SMALL, verbose=-1, objective="poisson"), frame_=rows)
    explainer = case.explainer()
    assert explainer.method is Method.SAMPLED
    assert explainer.why_sampled == "its raw score does not lead to its answers"
    told = explainer.explain(case.table.slice(0, 5))
    found = told.base + told.contributions.sum(axis=1)
    assert found == pytest.approx(value(case, case.table.slice(0, 5)), rel=CLOSE)


def test_the_largest_contribution_is_told_first() -> None:
    case = fitted("two", LGBMClassifier(**SMALL, verbose=-1))
    told = case.explainer().explain(case.table.slice(0, 1))
    row = [case.table.slice(0, 1).to_pylist()[0][name] for name in told.columns]
    said = told.to_json(0, row, case.task.classes)
    sizes = [abs(one["contribution"]) for one in said["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    assert said["class"] == "yes"
    assert {one["column"]: one["value"] for one in said["contributions"]}["amount"] == row[0]


def test_importing_it_brings_no_booster() -> None:
    code = "import automl.explain, sys; sys.exit(bool({'lightgbm', 'xgboost', 'shap'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
