"""The groups of people, or things, that a model is audited by: the values of sensitive columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import Column, ColumnKind, Schema, scalar_text

Codes = npt.NDArray[np.intp]
Edges = Mapping[str, tuple[float, ...] | None]
"""Of each sensitive column the bounds of its bins, None where its groups are its values."""

MOST_GROUPS = 20
"""Of one column; the rest go together as :data:`OTHERS`."""
MOST_CROSSED = 5
"""Columns of which each two make groups together: the first ones."""
MISSING, OTHERS = "(missing)", "(others)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Which group each row is in: a position in ``names``.

    ``columns`` are the sensitive columns that it is made of, two for an intersection. ``edges`` are the bounds of
    the bins of a number or a time (in microseconds since 1970), each bin including its upper bound; None of values.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    codes: Codes
    edges: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        return " × ".join(self.columns)

    @property
    def counts(self) -> Codes:
        return np.bincount(self.codes, minlength=len(self.names))


def groupings(
    rows: pd.DataFrame,
    schema: Schema,
    names: Sequence[str],
    *,
    bins: int = 4,
    crossed: bool = False,
    edges: Edges = MappingProxyType({}),
) -> tuple[Grouping, ...]:
    """One grouping for each named column, and with ``crossed`` one for each two of the first
    :data:`MOST_CROSSED`.

    ``rows`` are typed as :func:`automl.frames.frame` types them. Words and booleans are groups by value: the
    :data:`MOST_GROUPS` most frequent ones, the others together. So are whole numbers of at most ``bins`` values;
    other numbers and times are cut into ``bins`` parts of about the same number of rows. ``edges`` are those found
    before (see :func:`found_edges`): they are used again, so that groups stay the same while rows change. Missing
    values are a group of their own.
    """
    columns = [schema.by_name[name] for name in names]
    single = tuple(_grouping(rows[column.name], column, bins, edges) for column in columns)
    pairs = combinations(single[:MOST_CROSSED], 2) if crossed else ()
    return (*single, *(_crossed(one, other) for one, other in pairs))


def found_edges(groupings: Sequence[Grouping]) -> dict[str, tuple[float, ...] | None]:
    """What to group by again, by column."""
    return {one.columns[0]: one.edges for one in groupings if len(one.columns) == 1}


def _grouping(values: pd.Series[Any], column: Column, bins: int, edges: Edges) -> Grouping:
    missing = np.asarray(values.isna(), dtype=np.bool_)
    if column.kind in (ColumnKind.NUMERIC, ColumnKind.DATETIME):
        numbers = _numbers(values, column)
        cuts = edges[column.name] if column.name in edges else _edges(numbers[~missing], bins)
        if cuts is not None:
            return _binned(numbers, missing, column, cuts)
    return _by_value(_words(values, missing, column), missing, column.name)


def _edges(numbers: npt.NDArray[np.float64], bins: int) -> tuple[float, ...] | None:
    """Where to cut numbers into parts; None where they are few whole ones, each a group of its own."""
    known = np.unique(numbers)
    if len(known) <= bins and np.all(known == np.round(known)):
        return None
    cuts = np.unique(np.quantile(numbers, np.arange(1, bins) / bins, method="lower"))
    return tuple(float(cut) for cut in cuts if cut < known[-1])


def _numbers(values: pd.Series[Any], column: Column) -> npt.NDArray[np.float64]:
    if column.kind is ColumnKind.DATETIME:
        stamps = np.asarray(
            values.dt.as_unit("us").dt.tz_convert("UTC").dt.tz_localize(None), "datetime64[us]"
        )
        return stamps.astype(np.int64).astype(np.float64)
    return np.asarray(values, dtype=np.float64)


def _words(values: pd.Series[Any], missing: npt.NDArray[np.bool_], column: Column) -> npt.NDArray[Any]:
    known = values[~missing].tolist()
    boolean = column.kind is ColumnKind.BOOLEAN
    told = [scalar_text(bool(value) if boolean else value) for value in known]
    return np.array(told, dtype=object).astype(str)


def _by_value(words: npt.NDArray[Any], missing: npt.NDArray[np.bool_], column: str) -> Grouping:
    known, places, counts = np.unique(words, return_inverse=True, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_GROUPS])
    names = [str(known[place]) for place in kept]
    position = np.full(len(known), len(names), dtype=np.intp)  # of the others
    position[kept] = np.arange(len(kept))
    if len(known) > len(kept):
        names.append(OTHERS)
    codes = np.full(len(missing), len(names), dtype=np.intp)
    codes[~missing] = position[places]
    return Grouping(columns=(column,), names=(*names, *_gone(missing)), codes=codes)


def _binned(
    numbers: npt.NDArray[np.float64],
    missing: npt.NDArray[np.bool_],
    column: Column,
    edges: tuple[float, ...],
) -> Grouping:
    codes = np.searchsorted(np.array(edges), numbers, side="left").astype(np.intp)
    codes[missing] = len(edges) + 1
    names = (*_ranges([_shown(edge, column) for edge in edges]), *_gone(missing))
    return Grouping(columns=(column.name,), names=names, codes=codes, edges=edges)


def _shown(edge: float, column: Column) -> str:
    if column.kind is ColumnKind.DATETIME:
        return str(np.datetime64(int(edge), "us").astype("datetime64[s]"))
    return f"{edge:.6g}"


def _ranges(edges: Sequence[str]) -> Iterator[str]:
    for place in range(len(edges) + 1):
        above = f"above {edges[place - 1]}" if place else ""
        upto = f"at most {edges[place]}" if place < len(edges) else ""
        yield " and ".join(part for part in (above, upto) if part) or "any"


def _gone(missing: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return (MISSING,) if missing.any() else ()


def _crossed(one: Grouping, other: Grouping) -> Grouping:
    """The groups that two columns make together, those that have rows; the most frequent ones, like one column's."""
    both = one.codes * len(other.names) + other.codes
    known, codes, counts = np.unique(both, return_inverse=True, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_GROUPS])
    named = [divmod(int(known[place]), len(other.names)) for place in kept]
    names = [f"{one.names[first]}, {other.names[second]}" for first, second in named]
    position = np.full(len(known), len(names), dtype=np.intp)
    position[kept] = np.arange(len(kept))
    if len(known) > len(kept):
        names.append(OTHERS)
    return Grouping(columns=(*one.columns, *other.columns), names=tuple(names), codes=position[codes])
