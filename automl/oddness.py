"""How odd a row is: how far it lies from all rows a model was trained on, and which of its columns put it there.

The distance of a row is the mean over its nearest training rows, in coordinates of one scale; its score is the share
of the training rows that lie closer to their own nearest. (The k-th neighbour's distance: Ramaswamy, Rastogi & Shim
2000; the mean over k: Angiulli & Pizzuti 2002. On tables it is hard to beat: Han et al., ADBench 2022.)
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import Column, ColumnKind, Schema
from automl.oddness_columns import CategoryColumn, DateColumn, NumberColumn, OddColumn, TextColumn
from automl.tallies import Positions, Values
from automl.task import Task

NEAREST = 5
MOST_ROWS = 2_000
"""So many training rows are kept to measure against."""
LEAST_ROWS = 20
NAMED = 3
_LEAST_SHARE = 0.1
_INNER = 0.9
_FENCE = 2.0
_MOST_TRIMMED = 0.2
_BLOCK = 512
_KINDS: Mapping[ColumnKind, type[OddColumn]] = {
    ColumnKind.NUMERIC: NumberColumn,
    ColumnKind.BOOLEAN: NumberColumn,
    ColumnKind.CATEGORICAL: CategoryColumn,
    ColumnKind.DATETIME: DateColumn,
    ColumnKind.TEXT: TextColumn,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Of n rows: ``score`` from 0 to 1 (0.99: only one training row of a hundred lies as far from the others),
    ``times`` how often their distance is that of the median training row, which orders rows beyond all others."""

    score: Values
    times: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A column that makes a row odd, by its ``share`` of what is unusual about the row's distance."""

    column: str
    share: float
    usual: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Oddness:
    """A measure of one training set. ``rows`` (r, d) are training rows in coordinates, ``ids`` theirs where they are
    known, ``distances`` (r,) their own, ascending, ``usual`` what each column adds to the square of one.

    >>> table = pa.table({"size": [float(n % 10) for n in range(100)]})
    >>> measure = Oddness.fit(table, (Column(name="size", kind=ColumnKind.NUMERIC),), seed=0)
    >>> measure.scores(pa.table({"size": [4.0, 4000.0]})).score.tolist()
    [0.0, 1.0]
    >>> Oddness.from_bytes(measure.to_bytes()).why(pa.table({"size": [4000.0]}))[0][0].column
    'size'
    """

    columns: tuple[OddColumn, ...]
    rows: npt.NDArray[np.float32]
    ids: tuple[str, ...]
    distances: Values
    usual: Values

    @classmethod
    def fit(
        cls, table: pa.Table, columns: Sequence[Column], *, seed: int, ids: Sequence[str] = ()
    ) -> Oddness:
        """Of at most 2,000 rows of a typed table, drawn with ``seed``. Rows that are odd among them (far outside of
        what is usual) are left out: what is wrong in training must not make the same fault look usual.

        Raises ValueError where there are fewer than 20 rows, or no column to measure by.
        """
        if len(table) < LEAST_ROWS:
            raise ValueError(f"at least {LEAST_ROWS} rows are needed, not {len(table)}")
        if not columns:
            raise ValueError("there is no column to measure by")
        count = min(MOST_ROWS, len(table))
        picked = np.sort(np.random.default_rng(seed).choice(len(table), size=count, replace=False))
        sample = table.take(pa.array(picked))
        fitted = tuple(_fitted(column, _column(sample, column.name)) for column in columns)
        points = _points(fitted, sample)
        kept = _trimmed(points)
        points, named = points[kept], tuple(ids[place] for place in picked[kept]) if ids else ()
        distances, near = _nearest(points, points, itself=np.arange(len(points)))
        inner = distances <= np.quantile(distances, _INNER)
        usual = _by_column(fitted, points, points, near)[inner].mean(axis=0)
        return cls(
            columns=fitted,
            rows=points.astype(np.float32),
            ids=named,
            distances=np.sort(distances),
            usual=usual,
        )

    def points(self, table: pa.Table) -> Values:
        """The rows in coordinates, a matrix without gaps; columns that the table lacks are all missing."""
        return _points(self.columns, table)

    def scores(self, table: pa.Table, ids: Sequence[str] = ()) -> Scores:
        """Of all rows of a typed table. With ``ids`` a row that is one of the training rows is not measured
        against itself."""
        distances, _ = _nearest(self.points(table), self._rows, itself=self._itself(ids, len(table)))
        closer = np.searchsorted(self.distances, distances, side="left")
        middle = float(np.median(self.distances)) or float(self.distances.mean()) or 1.0
        return Scores(score=closer / len(self.distances), times=distances / middle)

    def why(self, table: pa.Table, ids: Sequence[str] = ()) -> list[tuple[Odd, ...]]:
        """For each row the columns that make it odd, at most three, most first; none for a row at the usual distance
        in all of them."""
        points = self.points(table)
        _, near = _nearest(points, self._rows, itself=self._itself(ids, len(table)))
        excess = np.maximum(_by_column(self.columns, points, self._rows, near) - self.usual, 0.0)
        total = excess.sum(axis=1, keepdims=True)
        shares = np.divide(excess, total, out=np.zeros_like(excess), where=total > 0)
        return [self._named(row) for row in shares]

    def _named(self, shares: Values) -> tuple[Odd, ...]:
        order = np.argsort(-shares, kind="stable")[:NAMED]
        return tuple(
            Odd(column=self.columns[at].name, share=float(shares[at]), usual=self.columns[at].usual)
            for at in order
            if shares[at] >= _LEAST_SHARE
        )

    @property
    def _rows(self) -> Values:
        return self.rows.astype(np.float64)

    def _itself(self, ids: Sequence[str], count: int) -> Positions:
        place = {row_id: at for at, row_id in enumerate(self.ids)}
        return np.array([place.get(row_id, -1) for row_id in ids] or [-1] * count, dtype=np.intp)

    def to_bytes(self) -> bytes:
        """Arrays and JSON: reading it back runs nothing."""
        head = {
            "columns": [[type(column).__name__, column.to_json()] for column in self.columns],
            "ids": self.ids,
        }
        file = io.BytesIO()
        np.savez_compressed(
            file,
            head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
            rows=self.rows,
            distances=self.distances,
            usual=self.usual,
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Oddness:
        """The inverse of :meth:`to_bytes`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            head: Mapping[str, Any] = json.loads(kept["head"].tobytes())
            kinds = {kind.__name__: kind for kind in _KINDS.values()}
            return cls(
                columns=tuple(kinds[kind].from_json(column) for kind, column in head["columns"]),
                rows=kept["rows"],
                ids=tuple(head["ids"]),
                distances=kept["distances"],
                usual=kept["usual"],
            )


def measured(schema: Schema, task: Task) -> tuple[Column, ...]:
    """The columns that an oddness is measured by: all features, without a time column, which always moves on."""
    names = (name for name in schema.feature_names(task))
    return tuple(
        schema.by_name[name]
        for name in names
        if not (name == task.time_column and schema.by_name[name].kind is ColumnKind.NUMERIC)
    )


def _fitted(column: Column, values: pa.Array) -> OddColumn:
    return _KINDS[column.kind].fit(column.name, values)


def _column(table: pa.Table, name: str) -> pa.Array:
    values = table.column(name)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _points(columns: Sequence[OddColumn], table: pa.Table) -> Values:
    present = frozenset(table.column_names)
    parts = [
        column.coordinates(_column(table, column.name) if column.name in present else _gone(column, table))
        for column in columns
    ]
    # As exact as the training rows are kept, so that an equal row lies at distance 0.
    return np.hstack(parts).astype(np.float32).astype(np.float64)


def _gone(column: OddColumn, table: pa.Table) -> pa.Array:
    kinds = {NumberColumn: pa.float64(), DateColumn: pa.timestamp("us", tz="UTC")}
    return pa.nulls(len(table), kinds.get(type(column), pa.string()))


def _trimmed(points: Values) -> Positions:
    """The rows whose distance is not far beyond the usual ones: above the upper quartile by more than twice the
    spread of the middle half, in logarithms; at most a fifth of the rows is left out."""
    distances, _ = _nearest(points, points, itself=np.arange(len(points)))
    logs = np.log(distances + 0.1 * float(np.median(distances)) + 1e-9)
    lower, upper = np.percentile(logs, (25, 75))
    fence = max(float(upper + _FENCE * (upper - lower)), float(np.quantile(logs, 1 - _MOST_TRIMMED)))
    return np.flatnonzero(logs <= fence)


def _nearest(points: Values, rows: Values, *, itself: Positions) -> tuple[Values, Positions]:
    """The mean distance to the nearest ``rows``, and which these are; ``itself`` is the place of a point among the
    rows, or -1."""
    k = min(NEAREST, len(rows) - 1)
    lengths = np.square(rows).sum(axis=1)
    distances, near = np.empty(len(points)), np.empty((len(points), k), dtype=np.intp)
    for start in range(0, len(points), _BLOCK):
        some, own = points[start : start + _BLOCK], itself[start : start + _BLOCK]
        squares = np.square(some).sum(axis=1)[:, None] + lengths - 2.0 * (some @ rows.T)
        mine = np.flatnonzero(own >= 0)
        squares[mine, own[mine]] = np.inf
        best = np.argpartition(squares, k - 1, axis=1)[:, :k]
        near[start : start + _BLOCK] = best
        # Anew from the differences: the short form leaves a distance to equal rows that isn't 0.
        apart = np.sqrt(np.square(some[:, None, :] - rows[best]).sum(axis=2))
        distances[start : start + _BLOCK] = apart.mean(axis=1)
    return distances, near


def _by_column(columns: Sequence[OddColumn], points: Values, rows: Values, near: Positions) -> Values:
    """What each column adds to the mean squared distance to the nearest rows: (n, columns)."""
    starts = np.cumsum([0, *(column.width for column in columns)])[:-1]
    apart = np.zeros_like(points)
    for at in near.T:
        apart += np.square(points - rows[at])
    return np.asarray(np.add.reduceat(apart, starts, axis=1) / near.shape[1], dtype=np.float64)
