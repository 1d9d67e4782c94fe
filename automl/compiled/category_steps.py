"""The fitted encoders of categories as look-ups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from automl.codes import Codes
from automl.compiled.category_block import CategoryTable
from automl.compiled.unknown import Unknown, name_of
from automl.frames import TEXT_DTYPE

Floats = npt.NDArray[np.float64]


def category_tables(step: Any, names: Sequence[str]) -> list[CategoryTable]:
    """One for each column, in the order of the fitted step's features. Raises Unknown for a step that is none of ours."""
    known, widths = _known(step, names)
    tables = []
    for at, name in enumerate(names):
        start = sum(widths[:at])
        answers = _answers(step, names, known, at)
        if answers.shape[1] != sum(widths):
            raise Unknown(f"{name_of(step)} has features that can't be told apart")
        tables.append(_table(name, known[at], answers[:, start : start + widths[at]]))
    return tables


def _known(step: Any, names: Sequence[str]) -> tuple[list[list[str]], list[int]]:
    """The values of each column that training had, and how many features each column has."""
    if isinstance(step, OneHotEncoder):
        if step.drop_idx_ is not None or step.sparse_output:
            raise Unknown("OneHotEncoder leaves categories out")
        rare = step.infrequent_categories_ if step.min_frequency is not None else [None] * len(names)
        widths = [
            len(values) - (0 if few is None else len(few) - 1)
            for values, few in zip(step.categories_, rare, strict=True)
        ]
        return [[value for value in values if isinstance(value, str)] for values in step.categories_], widths
    codes, each = (step, 1) if isinstance(step, Codes) else _means(step)
    if list(codes.codes_) != list(names):
        raise Unknown("the categories were coded in another order")
    values = [[value for value in known if value is not None] for known in codes.codes_.values()]
    return values, [each] * len(names)


def _means(step: Any) -> tuple[Codes, int]:
    parts = [part for _, part in step.steps] if isinstance(step, Pipeline) else []
    if [type(part) for part in parts] != [Codes, TargetEncoder]:
        raise Unknown(f"categories are encoded by {name_of(step)}")
    return parts[0], len(parts[1].classes_) if parts[1].target_type_ == "multiclass" else 1


def _answers(step: Any, names: Sequence[str], known: Sequence[Sequence[str]], at: int) -> Floats:
    """The fitted step itself is asked about each value, a missing and an unseen one, so that no rule of it is told a
    second time."""
    values = [*known[at], None, _other_than(known[at])]
    columns = {
        name: pd.array(values if here == at else [None] * len(values), dtype=TEXT_DTYPE)
        for here, name in enumerate(names)
    }
    return np.asarray(step.transform(pd.DataFrame(columns)), dtype=np.float64)


def _table(name: str, known: Sequence[str], features: Floats) -> CategoryTable:
    index: dict[str | None, int] = {value: line for line, value in enumerate(known)}
    index[None] = len(known)
    return CategoryTable(
        name=name, index=index, features=np.ascontiguousarray(features), known=pa.array(known, pa.string())
    )


def _other_than(known: Sequence[str]) -> str:
    text = "unseen"
    while text in known:
        text += "_"
    return text
