"""Regression on a target brought into shape. Imported again wherever such a model is read."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin, clone

Values = npt.NDArray[np.float64]

SKEWED_FROM = 1.5


def is_skewed(y: Values) -> bool:
    """Whether the targets have a long tail upwards that a logarithm would shorten: none negative, skewness > 1.5."""
    spread = float(np.std(y))
    if len(y) < 3 or spread <= 0 or float(np.min(y)) < 0:
        return False
    return float(np.mean(((y - np.mean(y)) / spread) ** 3)) > SKEWED_FROM


class LogTarget(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor of ``log(1 + y)`` (``way`` "log", for y ≥ 0), or of y in standard deviations ("standard").

    Answers are numbers of y again, for "log" never beyond ten times what was seen.
    """

    def __init__(self, regressor: Any = None, way: str = "log") -> None:
        self.regressor = regressor
        self.way = way

    def fit(self, X: Values, y: Values, sample_weight: Values | None = None, **more: Any) -> Self:
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.center_ = 0.0 if self.way == "log" else float(np.mean(y))
        self.scale_ = 1.0 if self.way == "log" else float(np.std(y)) or 1.0
        self.most_ = float(np.log1p(10.0 * max(float(np.max(y)), 0.0)))
        self.regressor_ = clone(self.regressor).fit(X, self.shaped(y), **given, **more)
        self.n_features_in_ = X.shape[1]
        return self

    def shaped(self, y: Values) -> Values:
        """The targets as the regressor learns them."""
        if self.way == "log":
            return np.asarray(np.log1p(np.maximum(y, 0.0)))
        return np.asarray((y - self.center_) / self.scale_)

    def unshaped(self, answers: Values) -> Values:
        """The regressor's answers as numbers of y."""
        if self.way == "log":
            return np.asarray(np.expm1(np.clip(answers, 0.0, self.most_)))
        return np.asarray(answers * self.scale_ + self.center_)

    def predict(self, X: Values) -> Values:
        return self.unshaped(np.asarray(self.regressor_.predict(X), dtype=np.float64))
