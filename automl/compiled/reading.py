"""From rows to the matrix of features that the pipeline's own preprocessing gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.coercion import coerce
from automl.columns import Column, ColumnKind, Schema
from automl.compiled.category_block import CategoryTable, settled
from automl.compiled.moments import USUAL
from automl.compiled.number_block import NumberBlock, NumberRow
from automl.compiled.unknown import Unknown
from automl.task import Task

if TYPE_CHECKING:  # brings scikit-learn, which only models with texts need
    from automl.compiled.text_block import TextTopics

Floats = npt.NDArray[np.float64]
Row = tuple[Any, ...]

READING_ORDER = (
    ColumnKind.NUMERIC,
    ColumnKind.BOOLEAN,
    ColumnKind.DATETIME,
    ColumnKind.CATEGORICAL,
    ColumnKind.TEXT,
)
_COLUMN_WISE_FROM = 32
"""Rows from which numpy over columns is quicker than Python over cells."""


def reading_columns(schema: Schema, task: Task) -> tuple[Column, ...]:
    """All columns but the id, by kind: numeric, boolean, datetime, categorical, text, each in schema order."""
    columns = [column for column in schema.columns if column.name != task.id_column]
    return tuple(sorted(columns, key=lambda column: READING_ORDER.index(column.kind)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The parts of the matrix, from left to right, and the columns that they were fitted on."""

    fitted_on: tuple[tuple[str, ColumnKind], ...]
    numbers: NumberBlock
    categories: tuple[CategoryTable, ...]
    texts: tuple[TextTopics, ...]

    @property
    def width(self) -> int:
        widths = [table.width for table in self.categories] + [topics.width for topics in self.texts]
        return self.numbers.width + sum(widths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Rows as the blocks take them: column by column, by name. A slice is a part of the rows."""

    rows: int
    numbers: Mapping[str, Floats]
    """NaN where missing; a yes is 1."""
    times: Mapping[str, Any]
    codes: Mapping[str, npt.NDArray[np.intp]]
    texts: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, part: slice) -> Columns:
        return Columns(
            rows=len(range(*part.indices(self.rows))),
            numbers={name: values[part] for name, values in self.numbers.items()},
            times={name: values[part] for name, values in self.times.items()},
            codes={name: values[part] for name, values in self.codes.items()},
            texts={name: values[part] for name, values in self.texts.items()},
        )


class Reader:
    """Reads rows as the steps ``columns`` and ``encode`` of a fitted pipeline do, to the last bit."""

    def __init__(self, columns: tuple[Column, ...], blocks: Blocks) -> None:
        self.columns = columns
        self.width = blocks.width
        self.blocks = blocks
        named = {kind: [c.name for c in columns if c.kind is kind] for kind in ColumnKind}
        self._row = NumberRow(
            blocks.numbers,
            named[ColumnKind.NUMERIC],
            named[ColumnKind.BOOLEAN],
            named[ColumnKind.DATETIME],
        )
        self._first_boolean = len(named[ColumnKind.NUMERIC])
        self._first_time = self._first_boolean + len(named[ColumnKind.BOOLEAN])
        self._first_category = self._first_time + len(named[ColumnKind.DATETIME])
        self._first_text = self._first_category + len(named[ColumnKind.CATEGORICAL])
        self._tables = {table.name: table for table in blocks.categories}
        self._topics = {topics.name: topics for topics in blocks.texts}
        names = [*self._tables, *self._topics]
        places = {name: at for at, name in enumerate(names, start=1)}
        self._parts = [b""] * (1 + len(places))
        self._cells = [_category_cell(places, self._tables, name) for name in named[ColumnKind.CATEGORICAL]]
        self._text_cells = [(places.get(name), self._topics.get(name)) for name in named[ColumnKind.TEXT]]

    def __reduce__(self) -> tuple[Any, ...]:
        return Reader, (self.columns, self.blocks)

    def row(self, row: Row) -> bytes | None:
        """One row's features as the bytes of their float64; None when only the long way settles some value."""
        numbers = self._row(row)
        if numbers is None:
            return None
        parts = self._parts.copy()
        parts[0] = numbers
        try:
            for value, (place, found, unseen) in zip(row[self._first_category :], self._cells, strict=False):
                features = found.get(value)
                if features is None:
                    if value is not None and not settled(value):
                        return None
                    features = unseen
                if place:
                    parts[place] = features
        except TypeError:  # a value that can't be hashed
            return None
        if self._text_cells and not self._read_texts(row, parts):
            return None
        return b"".join(parts)

    def _read_texts(self, row: Row, parts: list[bytes]) -> bool:
        for value, (place, topics) in zip(row[self._first_text :], self._text_cells, strict=True):
            if value is not None and not settled(value):
                return False
            if place is not None and topics is not None:
                parts[place] = topics(["" if value is None else value]).tobytes()
        return True

    def matrix(self, rows: Sequence[Row]) -> Floats | None:
        """The features of some rows; None as a whole when only the long way settles some value."""
        if len(rows) < _COLUMN_WISE_FROM:
            lines = [self.row(row) for row in rows]
            if None in lines:
                return None
            return np.frombuffer(b"".join(lines)).reshape(len(rows), self.width)  # type: ignore[arg-type]
        columns = self.columns_of(rows)
        return None if columns is None else self.filled(columns)

    def table(self, table: pa.Table) -> Floats:
        """The features of a table that :func:`automl.schema.check` typed."""
        numbers: dict[str, Floats] = {}
        times: dict[str, Any] = {}
        codes: dict[str, npt.NDArray[np.intp]] = {}
        texts: dict[str, Sequence[str]] = {}
        for column in self.columns:
            if column.name in self._tables:
                lookup = self._tables[column.name]
                codes[column.name] = lookup.codes(_typed(table, column))
            elif column.name in self._topics:
                texts[column.name] = [
                    "" if text is None else text for text in _typed(table, column).to_pylist()
                ]
            elif column.kind in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):
                numbers[column.name] = _typed(table, column).cast(pa.float64()).to_numpy(zero_copy_only=False)
            elif column.kind is ColumnKind.DATETIME:
                times[column.name] = _times(_typed(table, column))
        return self.filled(
            Columns(rows=table.num_rows, numbers=numbers, times=times, codes=codes, texts=texts)
        )

    def columns_of(self, rows: Sequence[Row]) -> Columns | None:
        """Rows column by column; None as a whole when only the long way settles some value."""
        numeric = _numbers([row[: self._first_boolean] for row in rows], _NUMERIC)
        boolean = _numbers([row[self._first_boolean : self._first_time] for row in rows], _BOOLEAN)
        if numeric is None or boolean is None:
            return None
        read: dict[ColumnKind, dict[str, Any]] = {kind: {} for kind in ColumnKind}
        others = zip(*(row[self._first_time :] for row in rows), strict=True)
        for column, values in zip(self.columns[self._first_time :], others, strict=True):
            if column.kind is ColumnKind.DATETIME:
                found = _read_times(values, column)
            elif column.name in self._tables:
                found = self._tables[column.name].codes_of(values)
            else:
                found = _read_texts(values)
            if found is None:
                return None
            read[column.kind][column.name] = found
        names = [column.name for column in self.columns[: self._first_time]]
        return Columns(
            rows=len(rows),
            numbers=dict(zip(names, (*numeric.T, *boolean.T), strict=True)),
            times=read[ColumnKind.DATETIME],
            codes=read[ColumnKind.CATEGORICAL],
            texts=read[ColumnKind.TEXT],
        )

    def filled(self, columns: Columns) -> Floats:
        """Their features."""
        blocks = self.blocks
        out = np.empty((columns.rows, self.width))
        blocks.numbers.fill(columns.numbers, columns.times, out)
        start = blocks.numbers.width
        for table in blocks.categories:
            out[:, start : start + table.width] = table.features[columns.codes[table.name]]
            start += table.width
        for topics in blocks.texts:
            if columns.rows:
                out[:, start : start + topics.width] = topics(columns.texts[topics.name])
            start += topics.width
        return out


def reader_of(blocks: Blocks, schema: Schema, task: Task) -> Reader:
    """For rows of this schema. Raises Unknown where a column is no longer what the blocks were fitted on."""
    for name, kind in blocks.fitted_on:
        current = schema.by_name.get(name)
        if current is None or current.kind is not kind or name == task.id_column:
            raise Unknown(f"the column {name!r} is no longer the one that the model was trained on")
    return Reader(reading_columns(schema, task), blocks)


def _category_cell(
    places: Mapping[str, int], tables: Mapping[str, CategoryTable], name: str
) -> tuple[int, Mapping[str | None, bytes], bytes]:
    """Where a category's features go (0: nowhere), what each value's are, and what those of an unseen one are."""
    if name not in tables:
        return 0, {None: b""}, b""
    table = tables[name]
    found = {value: table.features[line].tobytes() for value, line in table.index.items()}
    return places[name], found, table.features[-1].tobytes()


def _typed(table: pa.Table, column: Column) -> Any:
    if column.name in table.column_names:
        return table.column(column.name).combine_chunks()
    return pa.nulls(table.num_rows, column.arrow_type)


def _times(values: Any) -> Any:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype="datetime64[us]")


_NUMERIC: frozenset[type] = frozenset({float, int, type(None)})
_BOOLEAN: frozenset[type] = frozenset({bool, type(None)})
_TEXTS = frozenset({str, type(None)})


def _numbers(rows: Sequence[Row], types: frozenset[type]) -> Floats | None:
    """A matrix of numbers, NaN where missing; None when some value is one that only the long way settles."""
    flat = list(chain.from_iterable(rows))
    if not types.issuperset(map(type, flat)):
        return None
    try:
        read = np.array(flat, dtype=np.float64)  # None becomes NaN
    except OverflowError:  # a whole number beyond any float
        return None
    return None if np.isinf(read).any() else read.reshape(len(rows), -1)


def _read_times(values: Sequence[Any], column: Column) -> Any:
    """As an upload's are: reading a column of texts that way is quick."""
    if not _TEXTS.issuperset(map(type, values)):
        return None
    try:
        texts = pa.array(values, pa.string())
    except UnicodeEncodeError:
        return None
    if not pc.all(pc.match_substring_regex(texts, f"^{USUAL}$")).as_py():
        return None
    read = coerce(texts, column)
    return None if any(positions.size for _, positions in read.problems) else _times(read.values)


def _read_texts(values: Sequence[Any]) -> list[str] | None:
    """Missing text is empty; None when some value is one that only the long way settles."""
    if not all(value is None or settled(value) for value in values):
        return None
    return ["" if value is None else value for value in values]
