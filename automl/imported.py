"""A model that was trained elsewhere, as a pipeline of ours. Imported again wherever such a model is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from automl.engines.plain import SERVED
from automl.pinning import PinColumns
from automl.schema import Schema
from automl.task import Task


class Unfit(Exception):
    """The model can't stand in this project; ``reasons`` say all that is wrong with it."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class _Imported(BaseEstimator):  # type: ignore[misc]
    """``estimator`` takes a frame of ``columns``. It is as it came: it is never trained again."""

    def __init__(self, estimator: Any = None, columns: Sequence[str] = ()) -> None:
        self.estimator = estimator
        self.columns = columns

    def fit(self, X: Any, y: Any) -> Self:
        raise TypeError("a model that was imported is not trained again")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _asked(self, X: pd.DataFrame) -> pd.DataFrame:
        return X[list(self.columns)]


class ImportedClassifier(ClassifierMixin, _Imported):  # type: ignore[misc]
    """``positions`` are where the estimator's classes stand among all ``n_classes``."""

    def __init__(
        self,
        estimator: Any = None,
        columns: Sequence[str] = (),
        positions: Sequence[int] = (),
        n_classes: int = 0,
    ) -> None:
        super().__init__(estimator, columns)
        self.positions = positions
        self.n_classes = n_classes

    @property
    def classes_(self) -> npt.NDArray[np.int64]:
        return np.arange(self.n_classes, dtype=np.int64)

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        answers = np.zeros((len(X), self.n_classes))
        answers[:, list(self.positions)] = self.estimator.predict_proba(self._asked(X))
        return answers

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.int64]:
        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int64)


class ImportedRegressor(RegressorMixin, _Imported):  # type: ignore[misc]
    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.asarray(self.estimator.predict(self._asked(X)), dtype=np.float64)


def adopted(estimator: Any, schema: Schema, task: Task, rows: pd.DataFrame) -> Pipeline:
    """The estimator as a pipeline that takes the project's rows; ``rows`` are some of them, to try it on.

    Raises Unfit: it is not fitted, needs a package that no server has, asks for columns that the project has not or no
    model may learn from, tells classes that the project does not know, or does not answer the rows.
    """
    foreign = sorted({name for name in map(_package, _parts(estimator)) if name not in SERVED})
    if foreign:
        raise Unfit(
            [f"it needs {', '.join(foreign)}, which no server has ({', '.join(sorted(SERVED))} it may need)"]
        )
    ask = "predict_proba" if task.is_classification else "predict"
    if not hasattr(estimator, ask):
        raise Unfit([f"a {type(estimator).__name__} has no {ask}, which a {task.kind.value} asks for"])
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise Unfit([f"it is not fitted: {error}"]) from error
    names, reasons = _columns(estimator, schema, task)
    positions = _positions(estimator, task, reasons)
    if reasons:
        raise Unfit(reasons)
    model = (
        ImportedClassifier(estimator, names, positions, len(task.classes))
        if task.is_classification
        else ImportedRegressor(estimator, names)
    )
    pins = PinColumns(schema, names)
    pins.columns_ = tuple(
        schema.by_name[name] for name in names
    )  # those that don't vary here, too: it knows them all
    pipeline = Pipeline([("columns", pins), ("model", model)])
    _tried(pipeline, ask, rows, task)
    return pipeline


def _columns(estimator: Any, schema: Schema, task: Task) -> tuple[tuple[str, ...], list[str]]:
    """The columns it wants, in its order, and what is wrong with them."""
    features = schema.feature_names(task)
    wanted = getattr(estimator, "feature_names_in_", None)
    if wanted is None:
        count = getattr(estimator, "n_features_in_", None)
        if count != len(features):
            told = f"it was trained on {count} columns without names, and the project has {len(features)}"
            return (), [f"{told} to learn from: train it on a frame with their names"]
        return features, []
    names = tuple(map(str, wanted))
    unknown = [name for name in names if name not in schema.by_name]
    barred = [name for name in names if name in schema.by_name and name not in features]
    reasons = [f"it asks for columns that the project does not have: {', '.join(unknown)}"] if unknown else []
    if barred:
        reasons.append(f"it asks for columns that no model may learn from: {', '.join(barred)}")
    return names, reasons


def _positions(estimator: Any, task: Task, reasons: list[str]) -> tuple[int, ...]:
    if not task.is_classification:
        return ()
    told = [one.item() if isinstance(one, np.generic) else one for one in getattr(estimator, "classes_", ())]
    known = {(type(label), label): place for place, label in enumerate(task.classes)}
    unknown = [one for one in told if (type(one), one) not in known]
    if unknown or not told:
        classes = ", ".join(map(repr, task.classes))
        reasons.append(
            f"it tells the classes {', '.join(map(repr, told)) or 'of no name'}, and the project's are {classes}"
        )
        return ()
    return tuple(known[(type(one), one)] for one in told)


def _tried(pipeline: Pipeline, ask: str, rows: pd.DataFrame, task: Task) -> None:
    try:
        answers = np.asarray(getattr(pipeline, ask)(rows), dtype=np.float64)
    except Exception as error:  # whatever a foreign model raises, it can't serve
        raise Unfit([f"it does not answer the project's rows: {type(error).__name__}: {error}"]) from error
    if answers.shape[0] != len(rows) or answers.ndim != (2 if task.is_classification else 1):
        raise Unfit([f"it answers {len(rows)} rows with an array of the shape {answers.shape}"])
    if not np.isfinite(answers).all():
        raise Unfit(["it answers some of the project's rows with numbers that are not finite"])
    if task.is_classification and np.abs(answers.sum(axis=1) - 1).max(initial=0.0) > 1e-6:
        raise Unfit(["its probabilities do not add up to 1"])


def _parts(estimator: Any) -> list[Any]:
    """The estimator and all that it is made of."""
    parameters = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    return [
        estimator,
        *(one for one in parameters.values() if hasattr(one, "get_params") and not isinstance(one, type)),
    ]


def _package(part: Any) -> str:
    return type(part).__module__.partition(".")[0]
