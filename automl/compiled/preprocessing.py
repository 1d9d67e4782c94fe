"""The fitted steps of the preprocessing as the parts that a :class:`~automl.compiled.reading.Reader` reads by."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from automl.columns import Schema
from automl.compiled.category_steps import category_tables
from automl.compiled.number_block import NumberBlock, Scaling
from automl.compiled.reading import Blocks, Reader, reader_of
from automl.compiled.text_block import text_topics
from automl.compiled.unknown import Unknown, name_of
from automl.dates import DateParts
from automl.pinning import PinColumns
from automl.task import Task

_NO_NUMBERS = NumberBlock(numbers=(), parts=(), scalings=(), marked=(), marks=())


def reader(pin: Any, encode: Any, schema: Schema, task: Task) -> Reader:
    """From the fitted steps. Raises Unknown for steps that are none of :mod:`automl.features`."""
    if not isinstance(pin, PinColumns) or not isinstance(encode, ColumnTransformer):
        raise Unknown(f"the preprocessing is {name_of(pin)} and {name_of(encode)}")
    numbers, categories, texts = _NO_NUMBERS, [], []
    for name, step, names in encode.transformers_:
        if name == "remainder" and step == "drop":
            continue
        if isinstance(names, str):
            texts.append(text_topics(step, names))
        elif not names:
            continue
        elif name == "numbers":
            numbers = number_block(step)
        else:
            categories += category_tables(step, names)
    blocks = Blocks(
        fitted_on=tuple((column.name, column.kind) for column in pin.columns_),
        numbers=numbers,
        categories=tuple(categories),
        texts=tuple(texts),
    )
    return reader_of(blocks, schema, task)


def number_block(step: Any) -> NumberBlock:
    """From the fitted steps of the preprocessing. Raises Unknown for any other."""
    wanted = {
        "dates": DateParts,
        "impute": SimpleImputer,
        "scale": StandardScaler,
        "clip": FunctionTransformer,
    }
    if not isinstance(step, Pipeline) or {name: type(part) for name, part in step.steps} != wanted:
        raise Unknown(f"the block of numbers has other steps: {name_of(step)}")
    parts = step.named_steps
    dates, impute, scale, clip = parts["dates"], parts["impute"], parts["scale"], parts["clip"]
    limits = clip.kw_args or {}
    if clip.func is not np.clip or set(limits) != {"a_min", "a_max"}:
        raise Unknown("the block of numbers is not clipped as usual")
    if impute.strategy != "median" or not impute.keep_empty_features or np.isnan(impute.statistics_).any():
        raise Unknown("the block of numbers is not imputed as usual")
    marked = tuple(int(at) for at in impute.indicator_.features_) if impute.add_indicator else ()
    width = len(impute.statistics_)
    medians = [*impute.statistics_.tolist(), *([0.0] * len(marked))]
    scalings = tuple(
        Scaling(
            median=median, mean=mean, scale=over, least=float(limits["a_min"]), most=float(limits["a_max"])
        )
        for median, mean, over in zip(medians, scale.mean_.tolist(), scale.scale_.tolist(), strict=True)
    )
    return NumberBlock(
        numbers=tuple(dates.numbers_),
        parts=tuple(dates.parts_),
        scalings=scalings[:width],
        marked=marked,
        marks=scalings[width:],
    )
