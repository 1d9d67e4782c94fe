"""A whole pipeline as JSON, built and trained again from that: the same answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from automl.calibration import chosen
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.construction import constructed, construction
from automl.engines.plain import AllClasses, plain
from automl.engines.skewed import LogTarget
from automl.features import preprocessor
from automl.refit import trained_anew
from automl.schema import check, frame, infer
from automl.scoring import predictions
from automl.task import Task, TaskKind

RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=300).round(3)
TABLE = {"size": SIZE, "colour": RNG.choice(["red", "green", "blue"], 300).tolist()}
SEED = 11


def problem(kind: TaskKind) -> Any:
    """Schema, task, rows and encoded labels."""
    y: Any = np.abs(SIZE * 3 + 1) if kind is TaskKind.REGRESSION else np.where(SIZE > 0, "yes", "no")
    table = pa.table({**TABLE, "target": y})
    schema, task = infer(table, Task(kind=kind, target="target", metric="auto"))
    checked = check(table, schema, task)
    labels = y if kind is TaskKind.REGRESSION else (SIZE > 0).astype(np.int64)
    return schema, task, frame(checked.table, schema), labels


def fitted(kind: TaskKind, *steps: Any, weights: Any = None) -> Pipeline:
    """As an engine does it: the preprocessing first, then the model on its matrix."""
    schema, task, rows, y = problem(kind)
    before = preprocessor(schema, task, seed=SEED)
    X = np.asarray(before.fit_transform(rows, y), dtype=np.float64)
    for step in steps[:-1]:
        X = step.fit_transform(X, y)
    steps[-1].fit(X, y, **({} if weights is None else {"sample_weight": weights}))
    model = steps[-1] if len(steps) == 1 else Pipeline([(f"s{at}", step) for at, step in enumerate(steps)])
    classes = len(task.classes) if task.is_classification else 0
    return plain(before, model, present=np.arange(classes), n_classes=classes)


def again(kind: TaskKind, pipeline: Pipeline, *, rounds: bool = True, weights: Any = None) -> tuple[Any, Any]:
    """Answers of the pipeline, and of the one made from its construction."""
    schema, task, rows, y = problem(kind)
    told = json.loads(json.dumps(construction(pipeline)))
    made = constructed(told, schema=schema, task=task, seed=SEED, rounds=rounds)
    new = trained_anew(made, rows, y, n_classes=len(task.classes), weights=weights)
    return predictions(pipeline, rows, task), predictions(new, rows, task)


BOOSTED = {
    "n_estimators": 20,
    "num_leaves": 7,
    "subsample": 0.7,
    "subsample_freq": 1,
    "n_jobs": 1,
    "verbose": -1,
}


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        (TaskKind.CLASSIFICATION, (LGBMClassifier(**BOOSTED, random_state=3),)),
        (TaskKind.CLASSIFICATION, (ExtraTreesClassifier(20, random_state=4, n_jobs=1),)),
        (TaskKind.CLASSIFICATION, (StandardScaler(), LogisticRegression(C=0.3))),
        (TaskKind.REGRESSION, (XGBRegressor(n_estimators=15, n_jobs=1, random_state=3),)),
        (TaskKind.REGRESSION, (LogTarget(LGBMRegressor(**BOOSTED)),)),
        (
            TaskKind.CLASSIFICATION,
            (
                BlendClassifier(
                    members=[LGBMClassifier(**BOOSTED), LogisticRegression()], weights=[0.25, 0.75]
                ),
            ),
        ),
        (
            TaskKind.REGRESSION,
            (BlendRegressor(members=[LGBMRegressor(**BOOSTED), Ridge()], weights=[0.5, 0.5]),),
        ),
    ],
    ids=lambda value: type(value[-1]).__name__ if isinstance(value, tuple) else str(value),
)
@pytest.mark.parametrize("weigh", [False, True])
def test_a_pipeline_made_again_from_its_construction_answers_to_the_last_bit(
    kind: TaskKind, steps: Any, weigh: bool
) -> None:
    weights = np.linspace(0.5, 1.5, 300) if weigh else None
    before, after = again(kind, fitted(kind, *steps, weights=weights), weights=weights)
    np.testing.assert_array_equal(after, before)


def test_a_blends_calibration_comes_again() -> None:
    y = (SIZE > 0).astype(np.int64)
    given = np.column_stack([1 - 1 / (1 + np.exp(-SIZE)), 1 / (1 + np.exp(-SIZE))])
    calibration, _, _ = chosen(y, given, seed=0)
    assert calibration.way != "none"
    members = [LGBMClassifier(**BOOSTED), LogisticRegression()]
    blend = BlendClassifier(members=members, weights=[0.5, 0.5], calibration=calibration.to_json())
    before, after = again(TaskKind.CLASSIFICATION, fitted(TaskKind.CLASSIFICATION, blend))
    np.testing.assert_array_equal(after, before)


def test_boosting_that_was_ended_early_gets_as_many_rounds_as_it_had() -> None:
    def ended(env: Any) -> None:
        if env.iteration == 4:
            from lightgbm.callback import EarlyStopException

            raise EarlyStopException(env.iteration, [])

    model = LGBMClassifier(**BOOSTED)
    fit = model.fit
    model.fit = lambda X, y, **more: fit(X, y, callbacks=[ended], **more)
    pipeline = fitted(TaskKind.CLASSIFICATION, model)
    del model.fit
    assert model.booster_.current_iteration() == 5
    before, after = again(TaskKind.CLASSIFICATION, pipeline)
    np.testing.assert_array_equal(after, before)
    _, longer = again(TaskKind.CLASSIFICATION, pipeline, rounds=False)
    assert np.abs(longer - before).max() > 0.01


def test_a_classifier_that_lacks_classes_is_told_without_its_shell() -> None:
    inside = LogisticRegression(C=0.2)
    _, _, rows, y = problem(TaskKind.CLASSIFICATION)
    before = fitted(TaskKind.CLASSIFICATION, inside)
    shell = Pipeline([*before.steps[:-1], ("model", AllClasses(inside, (0, 1), 3))])
    assert construction(shell) == construction(before)
    assert len(rows) == len(y)


def test_what_json_can_not_say_has_no_construction() -> None:
    class Own(BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Own:
            return self

    made = fitted(TaskKind.CLASSIFICATION, LogisticRegression())
    assert construction(Pipeline([*made.steps[:-1], ("model", Own())])) is None
    assert construction(Pipeline([("model", LogisticRegression())])) is None
    blend = BlendClassifier(members=[Own(), LogisticRegression()], weights=[0.5, 0.5])
    assert construction(Pipeline([*made.steps[:-1], ("model", blend)])) is None


def test_a_construction_that_is_none_is_refused_with_what_it_says() -> None:
    schema, task, _, _ = problem(TaskKind.CLASSIFICATION)
    for wrong in (
        {},
        {"steps": [], "model": {"described": {"class": "os.system", "params": {}}, "rounds": None}},
    ):
        with pytest.raises(ValueError, match=r"no (pipeline|model) can be built|no package"):
            constructed(wrong, schema=schema, task=task, seed=0, rounds=True)
