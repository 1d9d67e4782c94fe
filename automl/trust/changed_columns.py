"""What the newest rows have in their columns that those before them had not: gaps, categories, numbers never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

from automl.columns import ColumnKind, Schema

ALPHA = 0.01
"""The chance with which any column's rise in missing values may be taken for one."""
_MOST_CATEGORIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One column: the share of missing values among the training rows (``missing_before``) and the newest (``missing``),
    ``risen`` where that is no chance; ``unseen_values`` of the ``values`` that the newest rows have no training row had:
    another category, a number beyond all of them (None where that can't be told)."""

    column: str
    missing_before: float
    missing: float
    risen: bool
    unseen_values: int | None
    values: int

    @property
    def unseen(self) -> float | None:
        """The share of the values that are unseen."""
        return None if self.unseen_values is None else self.unseen_values / max(self.values, 1)

    @property
    def rise(self) -> float:
        return max(self.missing - self.missing_before, 0.0)

    def to_json(self) -> dict[str, Any]:
        named = ("column", "missing_before", "missing", "risen", "unseen", "unseen_values", "values")
        return {name: getattr(self, name) for name in named}


def changed_columns(
    train: pd.DataFrame,
    rows: pd.DataFrame,
    schema: Schema,
    columns: Sequence[str],
    *,
    time_column: str | None,
) -> tuple[Changed, ...]:
    """Each of these columns, those with the most missing values and the most unseen ones first. The time column always
    moves on, so nothing of it is unseen."""
    level = ALPHA / max(len(columns), 1)
    found = []
    for name in columns:
        before, now = train[name], rows[name]
        counts = [[int(now.isna().sum()), int(now.notna().sum())]]
        counts.append([int(before.isna().sum()), int(before.notna().sum())])
        rose = counts[0][0] > 0 and float(fisher_exact(counts, alternative="greater").pvalue) < level
        found.append(
            Changed(
                column=name,
                missing_before=float(before.isna().mean()),
                missing=float(now.isna().mean()),
                risen=bool(rose),
                unseen_values=None
                if name == time_column
                else _unseen(before, now, schema.by_name[name].kind),
                values=int(now.notna().sum()),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.rise, -(one.unseen or 0.0), one.column)))


def _unseen(before: pd.Series[Any], now: pd.Series[Any], kind: ColumnKind) -> int | None:
    known, asked = before.dropna(), now.dropna()
    if kind in (ColumnKind.TEXT, ColumnKind.DATETIME) or known.empty:
        return None
    if asked.empty:
        return 0
    if kind is ColumnKind.CATEGORICAL:
        values = known.unique()
        return None if len(values) > _MOST_CATEGORIES else int(np.sum(~asked.isin(values)))
    return int(np.sum((asked < known.min()) | (asked > known.max())))
