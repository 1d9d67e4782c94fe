"""Linear models: a product of matrices and, for classes, the model's own curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from automl.compiled.scorer import OnMatrix, Scorer, pairs
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]


class _Values(OnMatrix):
    """Numbers."""

    def __init__(self, model: Any) -> None:
        self.description = name_of(model)
        self._weights = np.ascontiguousarray(np.asarray(model.coef_, dtype=np.float64).ravel())
        self._constant = float(np.ravel(model.intercept_)[0])

    def many(self, features: Floats) -> Floats:
        values: Floats = features @ self._weights
        values += self._constant
        return values


class _TwoClasses(_Values):
    def many(self, features: Floats) -> Floats:
        return pairs(expit(super().many(features)))


class _Classes(OnMatrix):
    """Softmax, as scikit-learn computes it."""

    def __init__(self, model: Any) -> None:
        self.description = name_of(model)
        self._weights = np.asarray(model.coef_, dtype=np.float64).T
        self._constants = np.asarray(model.intercept_, dtype=np.float64)

    def many(self, features: Floats) -> Floats:
        values: Floats = features @ self._weights + self._constants
        values -= values.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(axis=1, keepdims=True)
        return values


def compile_regression(model: Any, features: int) -> Scorer:
    """From a fitted Ridge, ElasticNet or the like."""
    _check_width(model, features)
    if np.ndim(model.coef_) > 1 and np.shape(model.coef_)[0] != 1:
        raise Unknown(f"{name_of(model)} predicts several numbers")
    return _Values(model)


def compile_logistic(model: Any, features: int) -> Scorer:
    """From a fitted LogisticRegression."""
    _check_width(model, features)
    if len(model.classes_) == 2:
        return _TwoClasses(model)
    if model.solver == "liblinear" or getattr(model, "multi_class", "deprecated") == "ovr":
        raise Unknown(f"{name_of(model)} tells each class from the rest")
    return _Classes(model)


def _check_width(model: Any, features: int) -> None:
    if np.shape(model.coef_)[-1] != features:
        raise Unknown(f"{name_of(model)} takes {np.shape(model.coef_)[-1]} features, {features} are made")
