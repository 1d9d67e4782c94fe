"""Times as numbers a model can use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]

_DAY = np.timedelta64(1, "D")


def _elapsed(times: Times) -> Numbers:
    return np.asarray((times - np.datetime64(0, "us")) / _DAY, dtype=np.float64)


def _hour(times: Times) -> Numbers:
    return np.asarray((times - times.astype("datetime64[D]")) / np.timedelta64(1, "h"), dtype=np.float64)


def _weekday(times: Times) -> Numbers:
    return _with_gaps(times, (times.astype("datetime64[D]").astype(np.int64) + 3) % 7)  # day 0 was a Thursday


def _day(times: Times) -> Numbers:
    first = times.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray((times.astype("datetime64[D]") - first) / _DAY, dtype=np.float64) + 1


def _month(times: Times) -> Numbers:
    return _with_gaps(times, times.astype("datetime64[M]").astype(np.int64) % 12 + 1)


def _with_gaps(times: Times, numbers: npt.NDArray[np.int64]) -> Numbers:
    return np.where(np.isnat(times), np.nan, numbers.astype(np.float64))


PARTS: Mapping[str, Callable[[Times], Numbers]] = {
    "elapsed": _elapsed,
    "hour": _hour,
    "weekday": _weekday,
    "day": _day,
    "month": _month,
}
"""In UTC: days since 1970 and hour of the day with their fractions, weekday (Monday is 0), day, month."""

_CYCLE_DAYS: Mapping[str, float] = {"elapsed": np.inf, "hour": 1, "weekday": 7, "day": 31, "month": 366}


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
                self.parts_ += _useful(str(name), _times(X, name), is_order=name == self.time_column)
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


def _useful(name: str, times: Times, *, is_order: bool) -> list[tuple[str, str, float]]:
    known = times[~np.isnat(times)]
    if known.size == 0:
        return []
    span = float((known.max() - known.min()) / _DAY)
    kept: list[tuple[str, str, float]] = []
    for part, read in PARTS.items():
        values = read(known)
        recurs = span >= 2 * _CYCLE_DAYS[part] or not is_order
        if recurs and values.min() < values.max():
            kept.append((name, part, float(np.median(values)) if kept else np.nan))
    if not kept and not is_order:
        kept.append((name, "elapsed", np.nan))  # one day only, but sometimes missing
    return kept


def _filled(numbers: Numbers, fill: float) -> Numbers:
    return numbers if np.isnan(fill) else np.where(np.isnan(numbers), fill, numbers)
