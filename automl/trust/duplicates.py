"""Rows that are there twice: among those trained on, and, worse, on both sides of the split.

A row that judges and was trained on tells what was learnt by heart. Rows of few different values are equal by chance; they
are told apart from copies by how many equal pairs there would be if the columns had nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

BY_CHANCE = 0.01
"""The share of rows with an equal one by chance, from which equal rows say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """``repeated`` training rows are the same as an earlier one, label and all; ``conflicting`` ones are the same as another
    of another label; ``shared`` of the ``held`` rows that judge have the features of a training row. ``chance`` is the share
    of rows that would have an equal training row by chance."""

    rows: int
    repeated: int
    conflicting: int
    held: int
    shared: int
    chance: float

    @property
    def telling(self) -> bool:
        """Whether equal rows are more than chance."""
        return self.chance < BY_CHANCE

    @property
    def share(self) -> float:
        return self.shared / self.held if self.held else 0.0

    def to_json(self) -> dict[str, Any]:
        named = ("rows", "repeated", "conflicting", "held", "shared", "chance", "telling", "share")
        return {name: getattr(self, name) for name in named}


def duplicates(
    train: pd.DataFrame, train_y: npt.NDArray[Any], held: pd.DataFrame, columns: Sequence[str]
) -> Duplicates:
    """Of typed rows, by these columns. A missing value equals a missing one.

    >>> rows = pd.DataFrame({"a": [1.5, 2.5, 1.5, 4.5]})
    >>> found = duplicates(rows, np.array([0, 0, 1, 0]), rows.iloc[:1], ["a"])
    >>> found.repeated, found.conflicting, found.shared
    (0, 2, 1)
    """
    if not columns:
        return Duplicates(rows=len(train), repeated=0, conflicting=0, held=len(held), shared=0, chance=1.0)
    names = list(columns)
    seen = pd.Series(np.asarray(pd.util.hash_pandas_object(train[names], index=False)))
    asked = np.asarray(pd.util.hash_pandas_object(held[names], index=False))
    labels = pd.Series(train_y).groupby(seen.to_numpy()).transform("nunique")
    return Duplicates(
        rows=len(train),
        repeated=int(pd.DataFrame({"row": seen, "y": train_y}).duplicated().sum()),
        conflicting=int((labels > 1).sum()),
        held=len(held),
        shared=int(np.isin(asked, seen.to_numpy()).sum()),
        chance=_chance(train[names]),
    )


def _chance(rows: pd.DataFrame) -> float:
    """The chance that a row has an equal one among ``rows``, at most: rows times the product over columns of the chance that
    two values are equal."""
    equal = 1.0
    for name in rows.columns:
        shares = rows[name].value_counts(normalize=True, dropna=False).to_numpy(dtype=np.float64)
        equal *= float(np.square(shares).sum())
    return min(1.0, equal * len(rows))
