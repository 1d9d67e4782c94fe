"""What would have had to be otherwise for another class: one or two columns of a row, at values that training rows have.

A search, not a proof: there may be smaller changes, and none of them says what would happen in the world if somebody made
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.columns import ColumnKind, Schema

Floats = npt.NDArray[np.float64]
Score = Callable[[pa.Table], Floats]

VALUES = 12
"""Values of a column that are tried: of numbers and times evenly many training rows apart, else the commonest."""
PAIRED = 5
"""Columns that are tried in pairs where none does alone: those by which the answer moves most towards another class."""
_PAIR_VALUES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """A row with these columns changed ``to`` other values is answered with the class at ``position``. ``distance`` adds up,
    for each column, the part of the training rows that lie between both values (1 for a category)."""

    columns: tuple[str, ...]
    to: tuple[Any, ...]
    position: int
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    column: str
    value: Any
    distance: float


class Counterfactuals:
    """Of a classification model. ``background`` holds typed rows like those it was trained on, ``columns`` are those that it
    looks at; of times and texts none is changed: they are no choice that anybody has."""

    def __init__(self, background: pa.Table, schema: Schema, columns: Sequence[str], score: Score) -> None:
        self._score = score
        self._columns = [
            name
            for name in columns
            if schema.by_name[name].kind not in (ColumnKind.TEXT, ColumnKind.DATETIME)
        ]
        self._kinds = {name: schema.by_name[name].kind for name in self._columns}
        self._background = {name: background[name].combine_chunks().drop_null() for name in self._columns}

    def of(self, row: pa.Table) -> Counterfactual | None:
        """The nearest of the changes that were tried, of one column where one is enough; None where none is. ``row`` is a
        table of one row."""
        plain = self._score(row)[0]
        own = int(plain.argmax())
        single = [(value,) for name in self._columns for value in self._values(row, name)]
        if not single:
            return None
        answers = self._asked(row, single)
        found = _nearest(single, answers, own)
        if found is not None:
            return found
        towards = answers.copy()
        towards[:, own] = -np.inf
        pairs = self._pairs(single, towards.max(axis=1) - answers[:, own])
        return _nearest(pairs, self._asked(row, pairs), own) if pairs else None

    def _values(self, row: pa.Table, name: str) -> list[_Value]:
        own, known = row[name][0].as_py(), self._background[name]
        if not len(known):
            return []
        if self._kinds[name] is ColumnKind.NUMERIC:
            return _numbers(name, own, np.sort(known.to_numpy(zero_copy_only=False)))
        counts = pc.value_counts(known).to_pylist()
        common = sorted(counts, key=lambda one: (-one["counts"], str(one["values"])))[:VALUES]
        return [
            _Value(column=name, value=one["values"], distance=1.0) for one in common if one["values"] != own
        ]

    def _pairs(self, single: list[tuple[_Value]], towards: Floats) -> list[tuple[_Value, ...]]:
        """The best values of the best columns, two by two."""
        best: dict[str, list[_Value]] = {}
        for at in np.argsort(-towards, kind="stable"):
            (value,) = single[at]
            if value.column in best or len(best) < PAIRED:
                values = best.setdefault(value.column, [])
                if len(values) < _PAIR_VALUES:
                    values.append(value)
        return [pair for one, other in combinations(best.values(), 2) for pair in product(one, other)]

    def _asked(self, row: pa.Table, changes: Sequence[tuple[_Value, ...]]) -> Floats:
        columns = {}
        for name in row.column_names:
            own = row[name][0].as_py()
            values = [next((one.value for one in change if one.column == name), own) for change in changes]
            columns[name] = pa.array(values, row.schema.field(name).type)
        return self._score(pa.table(columns))


def _numbers(name: str, own: float | None, ordered: Floats) -> list[_Value]:
    places = np.unique(np.linspace(0, len(ordered) - 1, VALUES).round().astype(int))
    here = 0.5 if own is None else np.searchsorted(ordered, own) / len(ordered)
    tried: dict[float, float] = {}
    for at in places:
        value = float(ordered[at])
        if value != own:
            there = np.searchsorted(ordered, value) / len(ordered)
            tried.setdefault(value, 1.0 if own is None else max(abs(float(there - here)), 1 / len(ordered)))
    return [_Value(column=name, value=value, distance=distance) for value, distance in tried.items()]


def _nearest(changes: Sequence[tuple[_Value, ...]], answers: Floats, own: int) -> Counterfactual | None:
    other = [int(place) for place in np.flatnonzero(answers.argmax(axis=1) != own)]
    if not other:
        return None
    at = min(other, key=lambda place: (sum(one.distance for one in changes[place]), place))
    return Counterfactual(
        columns=tuple(one.column for one in changes[at]),
        to=tuple(one.value for one in changes[at]),
        position=int(answers[at].argmax()),
        distance=float(sum(one.distance for one in changes[at])),
    )
