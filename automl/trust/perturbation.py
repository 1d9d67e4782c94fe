"""Rows as they would come on a bad day: noise, gaps, words never seen, wrong units, another time.

Every function gives a changed copy; what is drawn comes from the generator that it is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from automl.columns import ColumnKind
from automl.frames import TEXT_DTYPE
from automl.schema import Schema

UNIT = 1_000.0
"""The factor between a unit and the one it is taken for: grams and kilograms, metres and millimetres."""
UNSEEN = "\u241fnever seen"
"""A word that no category is."""
DAY = pd.Timedelta(days=1)


class Bad(StrEnum):
    """What can be wrong with rows."""

    NOISE = "noise"
    MISSING = "missing"
    UNSEEN = "unseen"
    UNITS = "units"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Features by what can be done to them. ``spread`` is the interquartile range of each number in the training rows; where
    that is 0, what a normal distribution of the same standard deviation would have."""

    every: tuple[str, ...]
    numbers: tuple[str, ...]
    whole: frozenset[str]
    words: tuple[str, ...]
    times: tuple[str, ...]
    spread: dict[str, float]

    @classmethod
    def of(cls, schema: Schema, features: Sequence[str], train: pd.DataFrame) -> Columns:
        """The features of a schema. Numbers that never vary are no numbers here."""
        kinds = {name: schema.by_name[name].kind for name in features}
        spread = {name: _spread(train[name]) for name, kind in kinds.items() if kind is ColumnKind.NUMERIC}
        numbers = tuple(name for name, width in spread.items() if width > 0)
        worded = (ColumnKind.CATEGORICAL, ColumnKind.TEXT)
        return cls(
            every=tuple(features),
            numbers=numbers,
            whole=frozenset(name for name in numbers if schema.by_name[name].integer),
            words=tuple(name for name, kind in kinds.items() if kind in worded),
            times=tuple(name for name, kind in kinds.items() if kind is ColumnKind.DATETIME),
            spread={name: spread[name] for name in numbers},
        )


def spoiled(
    kind: Bad, rows: pd.DataFrame, columns: Columns, level: float, random: np.random.Generator
) -> pd.DataFrame:
    """The rows with one kind of fault; ``level`` is its size or share, as :data:`SAID` words it."""
    return _KINDS[kind](rows, columns, level, random)


def applies(kind: Bad, columns: Columns) -> bool:
    """Whether there is a column that this can happen to."""
    found = {
        Bad.NOISE: columns.numbers,
        Bad.MISSING: columns.every,
        Bad.UNSEEN: columns.words,
        Bad.UNITS: columns.numbers,
        Bad.TIME: columns.times,
    }
    return bool(found[kind])


def without(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows with nothing in one column."""
    return _with(rows, column, _gone(rows[column], np.ones(len(rows), dtype=bool)))


def in_other_units(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows with one number a thousand times as large."""
    return _with(rows, column, rows[column] * UNIT)


def _noise(rows: pd.DataFrame, columns: Columns, level: float, random: np.random.Generator) -> pd.DataFrame:
    """Normal noise whose standard deviation is ``level`` interquartile ranges; whole numbers stay whole."""
    changed = rows.copy(deep=False)
    for name in columns.numbers:
        noisy = rows[name] + random.normal(0.0, level * columns.spread[name], len(rows))
        changed[name] = noisy.round() if name in columns.whole else noisy
    return changed


def _missing(rows: pd.DataFrame, columns: Columns, level: float, random: np.random.Generator) -> pd.DataFrame:
    """Each value is missing with the chance ``level``, whatever the others are."""
    changed = rows.copy(deep=False)
    for name in columns.every:
        changed[name] = _gone(rows[name], random.random(len(rows)) < level)
    return changed


def _unseen(rows: pd.DataFrame, columns: Columns, level: float, random: np.random.Generator) -> pd.DataFrame:
    """Each category or text is one that was never there with the chance ``level``."""
    changed = rows.copy(deep=False)
    for name in columns.words:
        hit = random.random(len(rows)) < level
        values = rows[name].astype(object).to_numpy(copy=True)
        values[hit] = UNSEEN
        changed[name] = pd.array(values, dtype=TEXT_DTYPE)
    return changed


def _units(rows: pd.DataFrame, columns: Columns, level: float, random: np.random.Generator) -> pd.DataFrame:
    """Of a share ``level`` of the rows one number, any, is a thousand times as large."""
    changed = rows.copy(deep=False)
    hit = random.random(len(rows)) < level
    which = random.integers(len(columns.numbers), size=len(rows))
    for place, name in enumerate(columns.numbers):
        changed[name] = rows[name].where(~(hit & (which == place)), rows[name] * UNIT)
    return changed


def _later(rows: pd.DataFrame, columns: Columns, level: float, random: np.random.Generator) -> pd.DataFrame:
    """Every time is ``level`` days later, as if the same rows came then."""
    changed = rows.copy(deep=False)
    for name in columns.times:
        changed[name] = rows[name] + level * DAY
    return changed


_KINDS: dict[Bad, Callable[[pd.DataFrame, Columns, float, np.random.Generator], pd.DataFrame]] = {
    Bad.NOISE: _noise,
    Bad.MISSING: _missing,
    Bad.UNSEEN: _unseen,
    Bad.UNITS: _units,
    Bad.TIME: _later,
}
SAID = {
    Bad.NOISE: "noise of {level:g} interquartile ranges in every number",
    Bad.MISSING: "{level:.0%} of all values missing",
    Bad.UNSEEN: "{level:.0%} of the categories never seen before",
    Bad.UNITS: "one number a thousand times too large in {level:.0%} of the rows",
    Bad.TIME: "the same rows {level:g} days later",
}
"""Each kind in words, with its level."""


def _with(rows: pd.DataFrame, column: str, values: Any) -> pd.DataFrame:
    changed = rows.copy(deep=False)
    changed[column] = values
    return changed


def _gone(values: Any, hit: Any) -> Any:
    """Missing is what the column's type says is missing: NaN or NaT."""
    return values.mask(hit)


def _spread(values: Any) -> float:
    """The interquartile range, or what stands for it."""
    present = values.to_numpy(dtype=np.float64)
    present = present[np.isfinite(present)]
    if not len(present):
        return 0.0
    lower, upper = np.percentile(present, (25, 75))
    return float(upper - lower) or 1.349 * float(present.std())
