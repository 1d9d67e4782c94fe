"""Every compiled model answers as its pipeline does, for one row and for many."""

from __future__ import annotations

import gc
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from compiled_cases import case
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectPercentile
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from automl.compiled import NotCompiled, tree_text
from automl.compiled.compiling import compile_pipeline
from automl.compiled.forest_form import compile_forest
from automl.compiled.parity import json_rows, parity
from automl.engines.plain import AllClasses
from automl.schema import frame
from automl.scoring import encoded, predictions

QUIET = {"n_jobs": 1, "verbose": -1}
ONE = {"n_jobs": 1, "random_state": 0}

CLASSIFIERS: dict[str, Any] = {
    "lightgbm": lambda: [LGBMClassifier(n_estimators=30, **QUIET)],
    "xgboost": lambda: [XGBClassifier(n_estimators=30, n_jobs=1)],
    "forest": lambda: [RandomForestClassifier(20, **ONE)],
    "extra trees": lambda: [ExtraTreesClassifier(20, max_leaf_nodes=50, **ONE)],
    "histogram": lambda: [HistGradientBoostingClassifier(max_iter=20)],
    "logistic": lambda: [LogisticRegression(max_iter=1000)],
    "bayes": lambda: [GaussianNB()],
    "neighbours": lambda: [KNeighborsClassifier(7, weights="distance")],
    "scaled": lambda: [StandardScaler(), SelectPercentile(percentile=60), LogisticRegression(max_iter=1000)],
    "robust": lambda: [RobustScaler(), RandomForestClassifier(10, **ONE)],
    "quantiles": lambda: [
        QuantileTransformer(n_quantiles=50, output_distribution="normal"),
        LogisticRegression(max_iter=1000),
    ],
    "shares": lambda: [
        QuantileTransformer(n_quantiles=50, output_distribution="uniform"),
        LogisticRegression(max_iter=1000),
    ],
    "components": lambda: [
        PCA(0.9, whiten=True, svd_solver="full"),
        LGBMClassifier(n_estimators=10, **QUIET),
    ],
    "voting": lambda: [
        VotingClassifier(
            [
                ("a", RandomForestClassifier(5, **ONE)),
                ("b", make_pipeline(RobustScaler(), LogisticRegression(max_iter=1000))),
            ],
            voting="soft",
            weights=[1, 3],
        )
    ],
    "stack": lambda: [
        StackingClassifier(
            [("a", ExtraTreesClassifier(5, **ONE)), ("b", LogisticRegression(max_iter=1000))],
            passthrough=True,
            cv=2,
        )
    ],
    "stack of boosters": lambda: [
        StackingClassifier(
            [("a", XGBClassifier(n_estimators=5, n_jobs=1)), ("b", LGBMClassifier(n_estimators=5, **QUIET))],
            final_estimator=RandomForestClassifier(5, **ONE),
            cv=2,
        )
    ],
}
REGRESSORS: dict[str, Any] = {
    "lightgbm": lambda: [LGBMRegressor(n_estimators=30, **QUIET)],
    "xgboost": lambda: [XGBRegressor(n_estimators=30, n_jobs=1)],
    "forest": lambda: [RandomForestRegressor(20, **ONE)],
    "extra trees": lambda: [ExtraTreesRegressor(20, max_leaf_nodes=50, **ONE)],
    "histogram": lambda: [HistGradientBoostingRegressor(max_iter=20)],
    "histogram of counts": lambda: [HistGradientBoostingRegressor(max_iter=5, loss="absolute_error")],
    "ridge": lambda: [Ridge()],
    "elastic net": lambda: [ElasticNet(alpha=0.01)],
    "neighbours": lambda: [KNeighborsRegressor(7)],
    "components": lambda: [PCA(0.9, svd_solver="full"), Ridge()],
    "voting": lambda: [
        VotingRegressor([("a", RandomForestRegressor(5, **ONE)), ("b", Ridge())], weights=[1, 3])
    ],
    "stack": lambda: [StackingRegressor([("a", RandomForestRegressor(5, **ONE)), ("b", Ridge())], cv=2)],
}
CASES = [
    *(("two", name, make) for name, make in CLASSIFIERS.items()),
    *(("four", name, make) for name, make in CLASSIFIERS.items()),
    *(("score", name, make) for name, make in REGRESSORS.items()),
]
BITWISE = ("lightgbm", "forest", "extra trees", "histogram", "robust", "bayes", "neighbours")


@pytest.mark.parametrize(
    ("target", "name", "make"), CASES, ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_compiled_model_answers_as_its_pipeline_does(target: str, name: str, make: Any) -> None:
    problem = case(target)
    pipeline = problem.pipeline(*make())
    found = parity(problem.compiled(pipeline), pipeline, problem.table, problem.schema, problem.task)

    assert found.equal, found
    assert found.rows == problem.table.num_rows
    assert found.unsettled == 0
    if name in BITWISE:
        assert found.bitwise


@pytest.mark.parametrize("target", ["two", "four", "score"])
def test_the_matrix_is_the_preprocessings_to_the_last_bit(target: str) -> None:
    problem = case(target)
    model = Ridge() if target == "score" else LogisticRegression(max_iter=1000)
    pipeline = problem.pipeline(model)
    compiled = problem.compiled(pipeline)
    wanted = encoded(pipeline, frame(problem.table, problem.schema))
    rows = json_rows(compiled.columns, problem.table)

    assert np.array_equal(compiled.matrix(problem.table), wanted)
    assert np.array_equal(compiled.reader.matrix(rows), wanted)
    assert np.array_equal(np.vstack([compiled.reader.matrix([row]) for row in rows]), wanted)


def test_columns_stand_in_reading_order_without_the_id() -> None:
    problem = case("two")
    columns = problem.compiled(problem.pipeline(LogisticRegression(max_iter=1000))).columns
    kinds = [column.kind.value for column in columns]
    assert kinds == sorted(kinds, key=["numeric", "boolean", "datetime", "categorical", "text"].index)
    assert {column.name for column in columns} == set(problem.schema.names) - {"key"}


def test_a_class_without_rows_keeps_its_column() -> None:
    problem = case("four")
    known = problem.y != 2
    inner = LGBMClassifier(n_estimators=5, **QUIET)
    model = AllClasses(inner, (), 4).fit(problem.X[known], problem.y[known])
    pipeline = problem.pipeline(LogisticRegression(max_iter=1000))
    pipeline.steps[-1] = ("model", model)
    compiled = problem.compiled(pipeline)
    answers = compiled.table(problem.table)
    assert parity(compiled, pipeline, problem.table, problem.schema, problem.task).bitwise
    assert (answers[:, 2] == 0).all()


def test_a_forest_too_large_to_write_down_answers_by_its_own_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_text, "MOST_LEAVES", 10)
    problem = case("four")
    model = RandomForestClassifier(10, **ONE).fit(problem.X, problem.y)
    scorer = compile_forest(model, problem.X.shape[1])
    assert np.array_equal(scorer.many(problem.X), model.predict_proba(problem.X))
    assert np.array_equal(scorer.one(problem.X[0].tobytes()), model.predict_proba(problem.X[:1]))


@pytest.mark.parametrize(
    ("target", "steps", "named"),
    [
        ("two", [AdaBoostClassifier()], "AdaBoostClassifier"),
        ("four", [FastICA(3), LogisticRegression(max_iter=1000)], "FastICA"),
        ("score", [AdaBoostRegressor()], "AdaBoostRegressor"),
    ],
)
def test_steps_that_are_not_known_answer_for_themselves_behind_compiled_preprocessing(
    target: str, steps: list[Any], named: str
) -> None:
    problem = case(target)
    pipeline = problem.pipeline(*steps)
    compiled = problem.compiled(pipeline)
    assert named in (compiled.own or "")
    assert compiled.description.startswith("compiled up to its own")
    found = parity(compiled, pipeline, problem.table, problem.schema, problem.task)
    assert found.equal, found
    assert found.bitwise
    assert found.unsettled == 0


def test_what_counts_votes_and_what_reads_rows_in_its_own_way_is_not_compiled_and_named() -> None:
    problem = case("two")
    voting = problem.pipeline(VotingClassifier([("a", LogisticRegression(max_iter=1000))]))
    plain = problem.pipeline(LogisticRegression(max_iter=1000))
    other = Pipeline([plain.steps[0], ("more", plain.steps[1][1]), *plain.steps[1:]])
    for pipeline, named in ((voting, "VotingClassifier"), (other, "columns, more")):
        found = compile_pipeline(pipeline, problem.schema, problem.task)
        assert isinstance(found, NotCompiled)
        assert named in found.reason


def test_a_stored_model_compiles_to_the_same_answers() -> None:
    problem = case("two")
    pipeline = problem.pipeline(XGBClassifier(n_estimators=10, n_jobs=1))
    before = problem.compiled(pipeline).table(problem.table)
    again = problem.compiled(pickle.loads(pickle.dumps(pipeline)))
    assert np.array_equal(again.table(problem.table), before)


@pytest.mark.parametrize(
    "model", [LGBMClassifier(n_estimators=30, **QUIET), XGBClassifier(n_estimators=30, n_jobs=1)]
)
def test_threads_get_their_own_answers(model: Any) -> None:
    problem = case("two")
    compiled = problem.compiled(problem.pipeline(model))
    rows = json_rows(compiled.columns, problem.table)[:40]
    wanted = [compiled.quick([row]) for row in rows]
    wrong: list[int] = []

    def ask() -> None:
        for _ in range(5):
            wrong.extend(
                at for at, row in enumerate(rows) if not np.array_equal(compiled.quick([row]), wanted[at])
            )

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_compiled_form_outlives_the_pipeline_it_came_from() -> None:
    problem = case("two")
    pipeline = problem.pipeline(LGBMClassifier(n_estimators=5, **QUIET))
    wanted = predictions(pipeline, frame(problem.table, problem.schema), problem.task)
    compiled = problem.compiled(pipeline)
    del pipeline
    gc.collect()
    assert np.array_equal(compiled.table(problem.table), wanted)


def test_a_table_without_rows_has_no_answers() -> None:
    for target, model in (("two", LGBMClassifier(n_estimators=5, **QUIET)), ("score", Ridge())):
        problem = case(target)
        compiled = problem.compiled(problem.pipeline(model))
        assert len(compiled.table(problem.table.slice(0, 0))) == 0
