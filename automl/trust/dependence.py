"""What a model answers as one column moves and the others stay: partial dependence, and some rows' own curves.

Partial dependence: Friedman 2001; individual conditional expectation: Goldstein et al. 2015. The grid is one of values
that rows really have, so that it serves numbers, times and categories alike (scikit-learn's takes quantiles between values,
which a time or a category does not have; on the same grid both give the same curve).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import Column, ColumnKind
from automl.task import Task

Values = npt.NDArray[np.float64]
Ask = Callable[[pd.DataFrame], Values]

GRID = 12
ROWS = 200
CURVES = 20
"""Rows whose own curves are kept."""
_CATEGORIES = 8
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dependence:
    """Of one column: each model's answers (n, g) for n rows at the g values of ``grid``; of a classification the
    probability of the class at ``position``, the last of two, of more the one that moves most."""

    column: str
    grid: tuple[Any, ...]
    position: int | None
    answers: dict[str, Values]

    def to_json(self, classes: tuple[Any, ...]) -> dict[str, Any]:
        curves = {
            part: {
                "mean": _rounded(answers.mean(axis=0)),
                "rows": [_rounded(row) for row in answers[:CURVES]],
            }
            for part, answers in self.answers.items()
        }
        told = None if self.position is None else classes[self.position]
        return {"column": self.column, "grid": list(self.grid), "class": told, "models": curves}


def dependence(
    models: dict[str, Ask], rows: pd.DataFrame, column: Column, *, task: Task
) -> Dependence | None:
    """How each of ``models`` moves with ``column`` on these rows, which are asked about once for each value of the grid.
    None for a text, and for a column with fewer than two values."""
    places = _grid(rows[column.name], column.kind)
    if len(places) < 2:
        return None
    laid = _laid_out(rows, column.name, places)
    found = {part: ask(laid).reshape(len(places), len(rows), -1) for part, ask in models.items()}
    position = _position(found, task)
    chosen = {part: answers[:, :, position or 0].T for part, answers in found.items()}
    grid = tuple(_told(rows[column.name].iloc[place]) for place in places)
    return Dependence(column=column.name, grid=grid, position=position, answers=chosen)


def _grid(values: pd.Series[Any], kind: ColumnKind) -> list[int]:
    """The places of rows that hold the values to try: of numbers and times evenly many rows apart, else the commonest."""
    known = values.reset_index(drop=True).dropna()
    if kind is ColumnKind.TEXT or known.empty:
        return []
    if kind is ColumnKind.CATEGORICAL:
        common = known.value_counts(sort=False)
        wanted = sorted(sorted(common.index), key=lambda value: -common[value])[:_CATEGORIES]
        return [int(known.index[known == value][0]) for value in wanted]
    ordered = known.sort_values(kind="stable")
    picked = ordered.iloc[np.unique(np.linspace(0, len(ordered) - 1, GRID).round().astype(int))]
    return [int(place) for place in picked.drop_duplicates().index]


def _laid_out(rows: pd.DataFrame, column: str, places: list[int]) -> pd.DataFrame:
    """All rows with the first value of the grid, then all with the second, and so on."""
    own = np.tile(np.arange(len(rows)), len(places))
    taken = {
        name: rows[name].array.take(np.repeat(places, len(rows)) if name == column else own)
        for name in rows.columns
    }
    return pd.DataFrame(taken, index=pd.RangeIndex(len(own)), copy=False)


def _position(found: dict[str, Values], task: Task) -> int | None:
    if not task.is_classification:
        return None
    if task.is_binary:
        return 1
    means = np.stack([answers.mean(axis=1) for answers in found.values()])  # model, value, class
    return int(np.ptp(means, axis=1).max(axis=0).argmax())


def _told(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value[:_LONGEST] if isinstance(value, str) else float(value)


def _rounded(values: Values) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
