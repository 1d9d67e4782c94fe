"""Which column of the caller each encoded feature comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from automl.codes import Codes
from automl.dates import DateParts

Owners = tuple[str, ...]
"""For each feature, the name of the column it comes from."""

_ONE_TO_ONE = (
    StandardScaler,
    MinMaxScaler,
    MaxAbsScaler,
    RobustScaler,
    QuantileTransformer,
    PowerTransformer,
    Codes,
)


class Untraceable(Exception):
    """A feature comes from several columns, or a step is not known to keep them apart."""


def owners(steps: Sequence[Any]) -> Owners:
    """The owners of what a model gets from fitted ``steps``, of which the first pins columns and the second encodes.

    Raises Untraceable, naming the step, where features mix columns.
    """
    _, encode, *between = steps
    if not isinstance(encode, ColumnTransformer):
        raise Untraceable(_name(encode))
    found = _encoded(encode)
    for step in between:
        found = _through(step, found)
    return found


def _encoded(encode: ColumnTransformer) -> Owners:
    found: dict[int, str] = {}
    for name, transformer, columns in encode.transformers_:
        where = encode.output_indices_[name]
        if where.stop == where.start:
            continue
        names = (columns,) if isinstance(columns, str) else tuple(columns)
        block = names * (where.stop - where.start) if len(names) == 1 else _through(transformer, names)
        if len(block) != where.stop - where.start:
            raise Untraceable(
                f"the block {name!r}: {len(block)} features known of {where.stop - where.start}"
            )
        found.update(zip(range(where.start, where.stop), block, strict=True))
    return tuple(found[at] for at in range(len(found)))


def _through(step: Any, names: Owners) -> Owners:
    """The owners of what a fitted step makes of features with owners ``names``."""
    if step in (None, "passthrough") or isinstance(step, _ONE_TO_ONE):
        return names
    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            names = _through(inner, names)
        return names
    for kind, trace in _TRACES.items():
        if isinstance(step, kind):
            return trace(step, names)
    raise Untraceable(_name(step))


def _selected(step: Any, names: Owners) -> Owners:
    return tuple(name for name, kept in zip(names, step.get_support(), strict=True) if kept)


def _function(step: Any, names: Owners) -> Owners:
    if step.func is None or step.func is np.clip:
        return names
    raise Untraceable(f"{_name(step)} of {step.func!r}")


def _imputed(step: Any, names: Owners) -> Owners:
    if not step.keep_empty_features and np.isnan(np.asarray(step.statistics_, dtype=float)).any():
        raise Untraceable("SimpleImputer that drops features")
    indicators = step.indicator_.features_ if step.add_indicator else ()
    return (*names, *(names[at] for at in indicators))


def _one_hot(step: Any, names: Owners) -> Owners:
    if step.drop is not None:
        raise Untraceable("OneHotEncoder that drops categories")
    rare = getattr(step, "infrequent_categories_", [None] * len(names))
    widths = [
        len(values) - (0 if few is None else len(few) - 1)
        for values, few in zip(step.categories_, rare, strict=True)
    ]
    return tuple(name for name, width in zip(names, widths, strict=True) for _ in range(width))


def _means(step: Any, names: Owners) -> Owners:
    """One mean a feature, or one a feature and class, feature by feature."""
    each = len(step.classes_) if step.target_type_ == "multiclass" else 1
    return tuple(name for name in names for _ in range(each))


def _dates(step: Any, names: Owners) -> Owners:
    return (*step.numbers_, *(name for name, _, _ in step.parts_))


_TRACES: Mapping[type, Callable[[Any, Owners], Owners]] = {
    DateParts: _dates,
    SimpleImputer: _imputed,
    OneHotEncoder: _one_hot,
    TargetEncoder: _means,
    FunctionTransformer: _function,
    SelectorMixin: _selected,
}


def _name(step: Any) -> str:
    return type(step).__name__
