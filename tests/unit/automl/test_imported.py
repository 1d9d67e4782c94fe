"""A model from elsewhere as a pipeline of ours, or all that is wrong with it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from automl.engines.plain import requirements
from automl.imported import Unfit, adopted
from automl.schema import check, frame, infer
from automl.scoring import predictions
from automl.task import Task, TaskKind

RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=200).round(3)
RAW = pd.DataFrame(
    {"id": [f"r{at}" for at in range(200)], "size": SIZE, "colour": RNG.choice(["red", "blue"], 200)}
)
FEATURES = ["size", "colour"]


def problem(kind: TaskKind) -> Any:
    y: Any = SIZE * 2 if kind is TaskKind.REGRESSION else np.where(SIZE > 0, "yes", "no")
    table = pa.Table.from_pandas(RAW.assign(target=y), preserve_index=False)
    schema, task = infer(table, Task(kind=kind, target="target", metric="auto", id_column="id"))
    return schema, task, frame(check(table, schema, task).table, schema), y


def foreign(model: Any) -> Any:
    """Somebody else's pipeline, trained on a frame of theirs."""
    encode = make_column_transformer(
        (SimpleImputer(), ["size"]), (OneHotEncoder(handle_unknown="ignore"), ["colour"])
    )
    return make_pipeline(encode, model)


@pytest.mark.parametrize("kind", [TaskKind.CLASSIFICATION, TaskKind.REGRESSION])
def test_a_foreign_pipeline_answers_as_it_did_at_home_and_outlives_a_pickle(kind: TaskKind) -> None:
    schema, task, rows, y = problem(kind)
    model = foreign(LogisticRegression() if task.is_classification else Ridge()).fit(RAW[FEATURES], y)
    pipeline = pickle.loads(pickle.dumps(adopted(model, schema, task, rows)))
    ask = "predict_proba" if task.is_classification else "predict"
    np.testing.assert_array_equal(predictions(pipeline, rows, task), getattr(model, ask)(RAW[FEATURES]))
    assert {"scikit-learn", "numpy", "pandas"} <= set(requirements(pipeline))


def test_classes_in_another_order_or_fewer_of_them_find_their_places() -> None:
    schema, task, rows, _ = problem(TaskKind.CLASSIFICATION)
    three = Task(
        kind=task.kind, target="target", metric="log_loss", classes=("maybe", "no", "yes"), id_column="id"
    )
    y = np.where(SIZE > 0, "yes", "no")
    answers = predictions(
        adopted(foreign(LogisticRegression()).fit(RAW[FEATURES], y), schema, three, rows), rows, three
    )
    assert answers.shape == (200, 3)
    assert np.all(answers[:, 0] == 0)
    np.testing.assert_allclose(answers.sum(axis=1), 1)


class OfNowhere(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    pass


class Broken(LogisticRegression):  # type: ignore[misc]
    __module__ = "sklearn.made_up"

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), np.nan)


@pytest.mark.parametrize(
    ("model", "columns", "why"),
    [
        (foreign(LogisticRegression()), None, "is not fitted"),
        (foreign(LinearSVC()), FEATURES, "has no predict_proba, which a classification asks for"),
        (OfNowhere(), None, "it needs test_imported, which no server has"),
        (LogisticRegression(), ["weight"], "columns that the project does not have: weight"),
        (LogisticRegression(), ["size", "id"], "columns that no model may learn from: id"),
        (
            LogisticRegression(),
            np.zeros((200, 5)),
            "trained on 5 columns without names, and the project has 2",
        ),
        (LogisticRegression(), "numbers", r"tells the classes 0, 1, and the project's are 'no', 'yes'"),
        (LogisticRegression(), ["size", "colour_as_number"], "does not have: colour_as_number"),
        (Broken(), ["size"], "numbers that are not finite"),
    ],
)
def test_a_model_that_can_not_stand_here_is_refused_with_the_reason(
    model: Any, columns: Any, why: str
) -> None:
    schema, task, rows, y = problem(TaskKind.CLASSIFICATION)
    if isinstance(columns, np.ndarray):
        model.fit(columns, y)
    elif columns == "numbers":
        model.fit(RAW[["size"]], SIZE > 0.0)
        model.classes_ = np.array([0, 1])
    elif columns is not None:
        wide = RAW.assign(weight=SIZE, id=SIZE, colour_as_number=SIZE)
        model.fit(wide[columns], y)
    with pytest.raises(Unfit, match=why):
        adopted(model, schema, task, rows)


def test_a_model_that_raises_on_the_projects_rows_is_refused_with_what_it_said() -> None:
    schema, task, rows, y = problem(TaskKind.CLASSIFICATION)
    encode = make_column_transformer((OneHotEncoder(handle_unknown="error"), ["colour"]))
    model = make_pipeline(encode, LogisticRegression()).fit(
        RAW.assign(colour=["green", "grey"] * 100)[FEATURES], y
    )
    with pytest.raises(
        Unfit, match="does not answer the project's rows: ValueError: Found unknown categories"
    ):
        adopted(model, schema, task, rows)
