"""The one preprocessing, for training and serving alike: the caller's rows in, a dense matrix out.

A row gets the same numbers alone and in any batch: every dtype is pinned first, and no step looks from one
row to another once fitted. The classes here are pickled inside models: their names and attributes stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils.validation import check_is_fitted

from automl.coercion import coerce, explain, plain, raw_array
from automl.columns import Column, ColumnKind, Schema, short
from automl.dates import DateParts
from automl.frames import TEXT_DTYPE, is_pinned, pinned
from automl.task import Task

ONE_HOT_UP_TO = 20
"""Distinct values (missing counted as one) up to which a category gets a column for each value."""
ONE_HOT_WIDTH = 200
"""One-hot columns in all; categories beyond it are encoded by their target mean."""
TARGET_MEANS_UP_TO = 8
"""Classes up to which a target mean for each is worth its columns; beyond, categories are numbered."""
RARE_BELOW = 5
TOPICS = 16
_WORDS = 2**13
_LARGEST_NUMBER = 1e100
_LARGEST_SCALED = 1e6
"""No training value is so many standard deviations off; it keeps what estimators cast to float32 finite."""


def preprocessor(schema: Schema, task: Task, *, seed: int) -> Pipeline:
    """An unfitted pipeline from the caller's frame to a float64 matrix.

    It takes raw or typed columns, in any order and with extra ones; a missing optional column is all
    missing. Raises ValueError, naming the column, for a missing required one, for a value that can't be
    read, and at fit when no column varies.
    """
    features = schema.feature_names(task)
    by_kind: dict[ColumnKind, list[str]] = {kind: [] for kind in ColumnKind}
    for name in features:
        by_kind[schema.by_name[name].kind].append(name)
    numbers = (*by_kind[ColumnKind.NUMERIC], *by_kind[ColumnKind.BOOLEAN], *by_kind[ColumnKind.DATETIME])
    texts = {f"text{number}": name for number, name in enumerate(by_kind[ColumnKind.TEXT])}
    categories = tuple(by_kind[ColumnKind.CATEGORICAL])
    encode = ColumnTransformer(
        [
            ("numbers", _numbers(task), Present(numbers)),
            ("one_hot", _one_hot(), Categories(categories, few=True)),
            ("many", _many(task, seed), Categories(categories, few=False)),
            *((key, _topics(seed), PresentText(name)) for key, name in texts.items()),
        ],
        sparse_threshold=0.0,
        verbose_feature_names_out=FeatureNames(texts),
    )
    return Pipeline([("columns", PinColumns(schema, features)), ("encode", encode)])


def _numbers(task: Task) -> Pipeline:
    clip = {"a_min": -_LARGEST_SCALED, "a_max": _LARGEST_SCALED}
    return Pipeline(
        [
            ("dates", DateParts(time_column=task.time_column)),
            ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("clip", FunctionTransformer(np.clip, kw_args=clip, feature_names_out="one-to-one")),
        ]
    )


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=RARE_BELOW,
        sparse_output=False,
        feature_name_combiner=one_hot_name,
    )


def _many(task: Task, seed: int) -> BaseEstimator:
    if len(task.classes) > TARGET_MEANS_UP_TO:
        return OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1, min_frequency=RARE_BELOW
        )
    # Positions 0 .. K-1 say themselves whether there are two classes or more; numbers that happen to be
    # whole would be taken for classes. Plain folds: stratified ones refuse a class with few members.
    target_type = "auto" if task.is_classification else "continuous"
    return TargetEncoder(target_type=target_type, cv=KFold(5, shuffle=True, random_state=seed))


def _topics(seed: int) -> Pipeline:
    return Pipeline(
        [
            ("words", HashingVectorizer(n_features=_WORDS, norm=None, alternate_sign=False)),
            ("weights", TfidfTransformer(sublinear_tf=True)),
            ("topics", TruncatedSVD(n_components=TOPICS, random_state=seed)),
        ]
    )


class PinColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The caller's frame in the pinned dtypes of :func:`automl.frames.frame`, constant columns left out.

    Fitting learns only which columns vary. Values are read as an upload's are (:mod:`automl.coercion`).
    """

    def __init__(self, schema: Schema, features: tuple[str, ...]) -> None:
        self.schema = schema
        self.features = features

    def fit(self, X: pd.DataFrame, y: object = None) -> PinColumns:
        columns = [self.schema.by_name[name] for name in self.features]
        frame = _pin(X, columns)
        self.columns_ = tuple(column for column in columns if _varies(frame[column.name]))
        if not self.columns_:
            raise ValueError("no column varies: every feature holds a single value in all rows")
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self, "columns_")
        return _pin(X, self.columns_)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        return np.array([column.name for column in self.columns_], dtype=object)


def _varies(values: pd.Series[Any]) -> bool:
    if values.dtype == "float64":
        seen = values.to_numpy()
        missing = np.isnan(seen)
        if missing.any():
            return not missing.all()
        return bool(seen.size and (seen != seen[0]).any())
    return int(values.nunique(dropna=False)) > 1


def _pin(X: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    if not isinstance(X, pd.DataFrame):
        raise ValueError(f"rows must come as a DataFrame with named columns, not {type(X).__name__}")
    present = frozenset(X.columns)
    return pd.DataFrame({c.name: _pinned(X, c, present) for c in columns}, index=X.index, copy=False)


def _pinned(X: pd.DataFrame, column: Column, present: frozenset[str]) -> Any:
    if column.name not in present:
        if not column.optional:
            raise ValueError(f"column {column.name!r} is missing")
        return pinned(pa.nulls(len(X), column.arrow_type), column)
    series = X[column.name]
    if isinstance(series, pd.DataFrame):
        raise ValueError(f"column {column.name!r} stands more than once")
    if is_pinned(series.dtype, column.kind):
        if column.kind in (ColumnKind.CATEGORICAL, ColumnKind.TEXT):
            return _filled(TEXT_DTYPE.__from_arrow__(plain(series.array.__arrow_array__())), column)
        if column.kind is not ColumnKind.NUMERIC or not np.isinf(series.to_numpy()).any():
            return _bounded(series.array, column)
    return _bounded(_read(series, column), column)


def _read(series: pd.Series[Any], column: Column) -> Any:
    raw = _raw(series)
    coerced = coerce(raw, column)
    for code, positions in coerced.problems:
        if positions.size:
            value = raw[int(positions[0])].as_py()
            raise ValueError(f"column {column.name!r}: {explain(code, value)}")
    return pinned(coerced.values, column)


def _raw(series: pd.Series[Any]) -> pa.Array:
    if series.dtype == object:
        missing = series.isna().to_numpy()
        values = [None if gone else value for value, gone in zip(series, missing, strict=True)]
        return raw_array(values, str(series.name))
    return pa.Array.from_pandas(series)
