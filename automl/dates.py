"""Times as numbers a model can use."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from automl.date_parts import PARTS, Numbers, Times, useful_parts


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Numbers as they are, then the parts of each time that vary in training.

    Of ``time_column``, by which train and holdout are parted, only those parts are used whose cycle training
    has seen twice: what never came round again can't be learnt, it only tells old rows from new ones.
    A missing time is NaN in its first part alone; the others take their training median, so that one
    indicator of it is made later, not one for each part.
    """

    def __init__(self, time_column: str | None = None) -> None:
        self.time_column = time_column

    def fit(self, X: pd.DataFrame, y: object = None) -> DateParts:
        self.numbers_ = [str(name) for name in X.columns if X[name].dtype == "float64"]
        self.parts_: list[tuple[str, str, float]] = []
        for name in X.columns:
            if name not in self.numbers_:
                found = useful_parts(_times(X, name), is_order=name == self.time_column)
                self.parts_ += [(str(name), part, fill) for part, fill in found]
        if not self.numbers_ and not self.parts_:
            self.parts_ = [(str(name), "elapsed", np.nan) for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> Numbers:
        check_is_fitted(self, "parts_")
        numbers: Numbers = X[self.numbers_].to_numpy(dtype=np.float64)
        if not self.parts_:
            return numbers
        times = {name: _times(X, name) for name, _, _ in self.parts_}
        parts = [_filled(PARTS[part](times[name]), fill) for name, part, fill in self.parts_]
        return np.column_stack([numbers, *parts])

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        return np.array([*self.numbers_, *(f"{name}.{part}" for name, part, _ in self.parts_)], dtype=object)


def _times(X: pd.DataFrame, name: Any) -> Times:
    return np.asarray(X[name].to_numpy(dtype="datetime64[us]"))


def _filled(numbers: Numbers, fill: float) -> Numbers:
    return numbers if np.isnan(fill) else np.where(np.isnan(numbers), fill, numbers)
