"""The one preprocessing, for training and serving alike: the caller's rows in, a dense matrix out.

A row gets the same numbers alone and in any batch: every dtype is pinned first, and no step looks from one
row to another once fitted. The classes here are pickled inside models: their names and attributes stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    StandardScaler,
    TargetEncoder,
)

from automl.codes import Codes
from automl.columns import ColumnKind, Schema
from automl.dates import DateParts
from automl.pinning import PinColumns
from automl.task import Task

ONE_HOT_UP_TO = 20
"""Distinct values (missing counted as one) up to which a category gets a column for each value."""
ONE_HOT_WIDTH = 200
"""One-hot columns in all; categories beyond it are encoded by their target mean."""
TARGET_MEANS_UP_TO = 8
"""Classes up to which a target mean for each is worth its columns; beyond, categories are only numbered."""
RARE_BELOW = 5
TOPICS = 16
_WORDS = 2**13
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
        return Codes()
    # Positions 0 .. K-1 say themselves whether there are two classes or more; numbers that happen to be
    # whole would be taken for classes. Plain folds: stratified ones refuse a class with few members.
    target_type = "auto" if task.is_classification else "continuous"
    means = TargetEncoder(target_type=target_type, cv=KFold(5, shuffle=True, random_state=seed))
    return Pipeline([("codes", Codes()), ("means", means)])


def _topics(seed: int) -> Pipeline:
    return Topics(
        [
            ("words", HashingVectorizer(n_features=_WORDS, norm=None, alternate_sign=False)),
            ("weights", TfidfTransformer(sublinear_tf=True)),
            ("topics", TruncatedSVD(n_components=TOPICS, random_state=seed)),
        ]
    )


class Topics(Pipeline):  # type: ignore[misc]
    """Words to topics. Hashed words have no names, so a pipeline can't pass them on; topics have numbers."""

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        names: npt.NDArray[np.object_] = self.steps[-1][1].get_feature_names_out()
        return names


class Present:
    """Those of the named columns that a frame has; which vary is known only at fit."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __call__(self, X: pd.DataFrame) -> list[str]:
        return [name for name in self.names if name in X.columns]


class PresentText:
    """One text column by its bare name, as a vectoriser takes it, or nothing where it does not vary."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, X: pd.DataFrame) -> str | list[str]:
        return self.name if self.name in X.columns else []


class Categories:
    """The categories with few distinct values, or those with many.

    Few is at most ONE_HOT_UP_TO each, the smallest first, as long as they stay within ONE_HOT_WIDTH
    columns together.
    """

    def __init__(self, names: tuple[str, ...], *, few: bool) -> None:
        self.names = names
        self.few = few

    def __call__(self, X: pd.DataFrame) -> list[str]:
        present = [name for name in self.names if name in X.columns]
        sizes = {name: int(X[name].nunique(dropna=False)) for name in present}
        few: set[str] = set()
        width = 0
        for name in sorted(present, key=lambda name: sizes[name]):
            width += sizes[name]
            if sizes[name] > ONE_HOT_UP_TO or width > ONE_HOT_WIDTH:
                break
            few.add(name)
        return [name for name in present if (name in few) == self.few]


class FeatureNames:
    """Names that lead back to the columns: ``age``, ``when.hour``, ``city=Rome``, ``note topic 3``."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    def __call__(self, transformer: str, feature: str) -> str:
        if transformer in self.texts:
            return f"{self.texts[transformer]} topic {feature.removeprefix('truncatedsvd')}"
        if transformer == "many":
            return f"{feature} encoded"
        if feature.startswith("missingindicator_"):
            return f"{feature.removeprefix('missingindicator_')} missing"
        return feature


def one_hot_name(column: str, category: object) -> str:
    """``city=Rome``; a long category is cut, a missing one and the rare ones are named as such."""
    if not isinstance(category, str):
        return f"{column} missing"
    if category == "infrequent_sklearn":
        return f"{column}=(rare)"
    return f"{column}={category}" if len(category) <= 60 else f"{column}={category[:60]}…"
