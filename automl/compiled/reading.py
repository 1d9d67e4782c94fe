"""From rows to the matrix of features that the pipeline's own preprocessing gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import Column, ColumnKind, Schema
from automl.compiled.category_block import CategoryTable, settled
from automl.compiled.column_reading import Columns, Row, datetimes, read_columns
from automl.compiled.number_block import NumberBlock, NumberRow
from automl.compiled.unknown import Unknown
from automl.task import Task

if TYPE_CHECKING:  # brings scikit-learn, which only models with texts need
    from automl.compiled.text_block import TextTopics

Floats = npt.NDArray[np.float64]

READING_ORDER = (
    ColumnKind.NUMERIC,
    ColumnKind.BOOLEAN,
    ColumnKind.DATETIME,
    ColumnKind.CATEGORICAL,
    ColumnKind.TEXT,
)
COLUMN_WISE_FROM = 32
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
        return self._first_text + sum(topics.width for topics in self.texts)

    @property
    def starts(self) -> list[int]:
        """The first feature of each category."""
        widths = [self.numbers.width, *(table.width for table in self.categories)]
        return list(accumulate(widths))[:-1]

    @property
    def plain(self) -> list[int]:
        """The features that are no category's."""
        return [*range(self.numbers.width), *range(self._first_text, self.width)]

    @property
    def _first_text(self) -> int:
        return self.numbers.width + sum(table.width for table in self.categories)


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
        if len(rows) < COLUMN_WISE_FROM:
            lines = [self.row(row) for row in rows]
            if None in lines:
                return None
            return np.frombuffer(b"".join(lines)).reshape(len(rows), self.width)  # type: ignore[arg-type]
        columns = self.columns_of(rows)
        return None if columns is None else self.filled(columns)

    def table(self, table: pa.Table) -> Floats:
        """The features of a table that :func:`automl.schema.check` typed."""
        return self.filled(self.typed(table))

    def typed(self, table: pa.Table) -> Columns:
        """Such a table column by column."""
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
                times[column.name] = datetimes(_typed(table, column))
        return Columns(
            rows=table.num_rows, numbers=numbers, times=times, codes=codes, texts=texts, typed=None
        )

    def columns_of(self, rows: Sequence[Row]) -> Columns | None:
        """Rows column by column; None as a whole when only the long way settles some value."""
        return read_columns(self.columns, self._tables, rows)

    def filled(self, columns: Columns) -> Floats:
        """Their features."""
        blocks = self.blocks
        out = np.empty((columns.rows, self.width))
        blocks.numbers.fill(columns.numbers, columns.times, out)
        start = blocks.numbers.width
        for table in blocks.categories:
            out[:, start : start + table.width] = table.features[columns.codes[table.name]]
            start += table.width
        self._fill_texts(columns, out[:, start:])
        return out

    def plain(self, columns: Columns) -> Floats:
        """Those of their features that are no category's, (features, rows)."""
        blocks = self.blocks
        out = np.empty((len(blocks.plain), columns.rows))
        blocks.numbers.fill(columns.numbers, columns.times, out.T)
        self._fill_texts(columns, out.T[:, blocks.numbers.width :])
        return out

    def _fill_texts(self, columns: Columns, out: Floats) -> None:
        start = 0
        for topics in self.blocks.texts:
            if columns.rows:
                out[:, start : start + topics.width] = topics(columns.texts[topics.name])
            start += topics.width


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
