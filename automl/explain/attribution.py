"""Exact contributions of encoded features, by the models that can tell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.explain.explanation import Floats, Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """Of n rows and K scores: ``base + parts.sum(axis=2) == raw`` up to the model's own rounding. K is 1 for two classes
    and for numbers."""

    raw: Floats
    base: Floats
    parts: Floats


Attribute = Callable[[Floats], Attributed]


def attribution(model: Any, matrix: Floats) -> tuple[Method, Attribute] | None:
    """How to explain a fitted model, or None where it has no exact way. ``matrix`` holds encoded training rows, from
    which linear terms are counted."""
    package, name = type(model).__module__.partition(".")[0], type(model).__name__
    if package == "lightgbm" and hasattr(model, "booster_"):
        return Method.TREES, lambda X: _lightgbm(model, X)
    if package == "xgboost" and hasattr(model, "get_booster"):
        return Method.TREES, lambda X: _xgboost(model, X)
    if name in _LINEAR and package == "sklearn":
        return Method.LINEAR, _linear(model, matrix)
    return None


_LINEAR = frozenset(
    (
        "LogisticRegression",
        "LogisticRegressionCV",
        "LinearRegression",
        "Ridge",
        "RidgeCV",
        "Lasso",
        "LassoCV",
        "ElasticNet",
        "ElasticNetCV",
        "HuberRegressor",
        "SGDRegressor",
    )
)


def _lightgbm(model: Any, X: Floats) -> Attributed:
    booster = model.booster_
    rows, features = X.shape
    told = np.asarray(booster.predict(X, pred_contrib=True, num_threads=1), dtype=np.float64)
    raw = np.asarray(booster.predict(X, raw_score=True, num_threads=1), dtype=np.float64)
    split = told.reshape(rows, -1, features + 1)
    return Attributed(raw=raw.reshape(rows, -1), base=split[:, :, -1], parts=split[:, :, :-1])


def _xgboost(model: Any, X: Floats) -> Attributed:
    from xgboost import DMatrix

    booster = model.get_booster()
    trees = (0, model.best_iteration + 1) if getattr(model, "early_stopping_rounds", None) else (0, 0)
    asked = {"iteration_range": trees, "strict_shape": True}
    data = DMatrix(X, missing=model.missing, nthread=1)
    told = np.asarray(booster.predict(data, pred_contribs=True, **asked), dtype=np.float64)
    raw = np.asarray(booster.predict(data, output_margin=True, **asked), dtype=np.float64)
    split = told.reshape(len(X), -1, X.shape[1] + 1)
    return Attributed(raw=raw.reshape(len(X), -1), base=split[:, :, -1], parts=split[:, :, :-1])


def _linear(model: Any, matrix: Floats) -> Attribute:
    """Terms are counted from the mean training row: ``coefficient × (value - mean)``."""
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    means = matrix.mean(axis=0)
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    base = intercept + weights @ means

    def attribute(X: Floats) -> Attributed:
        parts = (X - means)[:, None, :] * weights[None, :, :]
        return Attributed(
            raw=X @ weights.T + intercept, base=np.broadcast_to(base, (len(X), len(base))), parts=parts
        )

    return attribute
