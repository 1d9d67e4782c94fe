"""A table's columns as numbers that a tree can ask about, each with the words for what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import ColumnKind
from automl.schema import Schema

MOST_CATEGORIES = 8
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One thing to ask about a row. Of a category ``word`` is the value that ``values`` say yes (1) or no (0) to; of a time
    they are days since 1970; missing numbers and times are NaN."""

    column: str
    kind: ColumnKind
    values: npt.NDArray[np.float64]
    word: str | None = None


def sides(schema: Schema, features: Sequence[str], rows: pd.DataFrame) -> list[Side]:
    """Numbers, truths and times as they are, each category's most frequent values as yes or no. Texts are left out."""
    found: list[Side] = []
    for name in features:
        kind = schema.by_name[name].kind
        if kind is ColumnKind.TEXT:
            continue
        if kind is ColumnKind.CATEGORICAL:
            found += _categories(name, rows[name])
        elif kind is ColumnKind.DATETIME:
            found.append(Side(column=name, kind=kind, values=_days(rows[name])))
        else:
            found.append(Side(column=name, kind=kind, values=rows[name].to_numpy(dtype=np.float64)))
    return [side for side in found if np.isfinite(side.values).any()]


def _categories(name: str, values: Any) -> list[Side]:
    present = values.notna().to_numpy(dtype=bool)
    found = [
        Side(
            column=name,
            kind=ColumnKind.CATEGORICAL,
            values=(present & (values == word).fillna(False).to_numpy(dtype=bool)).astype(np.float64),
            word=str(word),
        )
        for word in values.value_counts().index[:MOST_CATEGORIES]
    ]
    gone = Side(column=name, kind=ColumnKind.CATEGORICAL, values=(~present).astype(np.float64), word=None)
    return [*found, gone] if (~present).any() else found


def _days(values: Any) -> npt.NDArray[np.float64]:
    seconds = (values - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return np.asarray(seconds.to_numpy(dtype=np.float64) / _DAY, dtype=np.float64)
