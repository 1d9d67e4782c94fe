"""The first step of every pipeline: the caller's frame in the dtypes that training saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from automl.coercion import coerce, explain, plain
from automl.columns import Column, ColumnKind, Schema
from automl.frames import TEXT_DTYPE, TIME_DTYPE, pinned
from automl.rows import raw_array

_LARGEST = 1e100
"""Numbers beyond are taken as this, so that a variance stays finite."""


class PinColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features in the pinned dtypes of :func:`automl.frames.frame`, constant ones left out.

    Values are read as an upload's are (:mod:`automl.coercion`), missing text is empty. Fitting learns only
    which columns vary. Raises ValueError naming the column that is missing, doubled or can't be read.
    """

    def __init__(self, schema: Schema, features: tuple[str, ...]) -> None:
        self.schema = schema
        self.features = features

    def fit(self, X: pd.DataFrame, y: object = None) -> PinColumns:
        columns = [self.schema.by_name[name] for name in self.features]
        frame = _pin(X, columns)
        self.columns_ = tuple(column for column in columns if _varies(frame[column.name]))
        if not self.columns_:
            raise ValueError("no column varies: every feature holds one value in all rows")
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self, "columns_")
        return _pin(X, self.columns_)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        return np.array([column.name for column in self.columns_], dtype=object)


def _varies(values: pd.Series[Any]) -> bool:
    if values.dtype != "float64":
        return int(values.nunique(dropna=False)) > 1
    seen = values.to_numpy()
    missing = np.isnan(seen)
    return not missing.all() if missing.any() else bool(seen.size and (seen != seen[0]).any())


def _pin(X: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    if not isinstance(X, pd.DataFrame):
        raise ValueError(f"rows must come as a DataFrame with named columns, not {type(X).__name__}")
    return pd.DataFrame({c.name: _column(X, c) for c in columns}, index=X.index, copy=False)


def _column(X: pd.DataFrame, column: Column) -> Any:
    if column.name not in X.columns:
        if not column.optional:
            raise ValueError(f"column {column.name!r} is missing")
        return _readable(pa.nulls(len(X)), column)
    series = X[column.name]
    if series.ndim != 1:
        raise ValueError(f"column {column.name!r} stands more than once")
    values = _pinned_already(series, column)
    return _readable(_raw(series), column) if values is None else values


def _pinned_already(series: pd.Series[Any], column: Column) -> Any:
    """The series' own values, where their dtype and range need nothing more. (A short cut: the long way
    gives the same.)"""
    if column.kind is ColumnKind.DATETIME:
        return series.array if series.dtype == TIME_DTYPE else None
    if column.kind is not ColumnKind.NUMERIC or series.dtype != "float64":
        return None
    values = series.to_numpy()
    with np.errstate(invalid="ignore"):
        return None if (np.abs(values) > _LARGEST).any() else values


def _readable(raw: pa.Array, column: Column) -> Any:
    coerced = coerce(raw, column)
    for code, positions in coerced.problems:
        if positions.size:
            value = plain(raw)[int(positions[0])].as_py()
            raise ValueError(f"column {column.name!r}: {explain(code, value)}")
    values = coerced.values
    if column.kind is ColumnKind.TEXT:
        return TEXT_DTYPE.__from_arrow__(values.fill_null(""))
    typed = pinned(values, column)
    return np.clip(typed, -_LARGEST, _LARGEST) if column.kind is ColumnKind.NUMERIC else typed


def _raw(series: pd.Series[Any]) -> pa.Array:
    if series.dtype == object:
        missing = series.isna().to_numpy()
        values = [None if gone else value for value, gone in zip(series, missing, strict=True)]
        return raw_array(values, str(series.name))
    if isinstance(series.dtype, pd.StringDtype):
        return pa.array(series.array)
    return pa.Array.from_pandas(series)
