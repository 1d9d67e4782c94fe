"""How the rows of one deployment are read, asked about and written, without looking at each value twice.

A form is made from a deployment's columns when it begins to serve. It reads what is as it should be; whatever it does
not read (an unknown key, a number as text, a column left out …) is no error here: it goes the long way, which
words the errors and knows the conversions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.structs import astuple

from automl.columns import Column, ColumnKind
from automl.compiled.column_reading import Columns
from automl.compiled.reading import reading_columns
from automl.errors import SchemaError
from service.admission import LONGEST_ID
from service.deployment import Deployment
from service.log_reading import read_column, typed_table
from service.log_records import Head, head_bytes, plain_record
from service.wire.telling import UNNAMEABLE, teller
from service.wire.wide import wide_record

Values = tuple[Any, ...]
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_WHOLE_IN_FLOAT = 2**53
_WHOLE_BODY = 256 * 1024
"""A body up to this size is read in less than a millisecond: pauses would cost more than they give."""
_TYPES: Mapping[ColumnKind, Any] = {
    ColumnKind.NUMERIC: int | float | None,
    ColumnKind.BOOLEAN: bool | None,
    ColumnKind.DATETIME: str | None,
    ColumnKind.CATEGORICAL: str | None,
    ColumnKind.TEXT: str | None,
}
_ID_TYPES: Mapping[ColumnKind, Any] = {
    ColumnKind.NUMERIC: int | None,
    ColumnKind.CATEGORICAL: str | int | None,
    ColumnKind.TEXT: str | int | None,
}


class Form:
    """Reads and writes for one deployment.

    ``readable`` is False where every call has to go the long way for its rows can't be read here; ``long_way`` is True where
    the policy asks for something that only the long way tells. ``light`` says that the model is compiled to its
    end, so that one row takes microseconds and may be answered on the event loop; what is not light answers many
    calls at once for little more than one, in the thread.
    """

    __slots__ = (
        "_call",
        "_pieces",
        "_row",
        "_tell",
        "classes",
        "columns",
        "deployment",
        "head",
        "head_record",
        "labels",
        "light",
        "long_way",
        "named",
        "readable",
        "version",
    )

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.version = deployment.version
        self.labels = deployment.classes
        self.classes = tuple(deployment.schema.target.text(label) for label in deployment.classes)
        certainty = deployment.certainty
        self._tell = teller(
            self.version,
            self.classes if deployment.task.is_classification else None,
            None if certainty is None else certainty.told,
        )
        self.long_way = certainty is not None and certainty.needs_rows
        self.readable = False
        named = deployment.schema.by_name.get(deployment.task.id_column or "")
        self.named = named is not None
        compiled = deployment.compiled
        self.light = compiled is not None and compiled.own is None
        self.columns = reading_columns(deployment.schema, deployment.task)
        if named is not None:  # last, where the model does not see it
            self.columns += (named,)
        self.head = Head(
            project=deployment.project_id,
            version=deployment.version,
            columns=tuple((column.name, column.kind.value) for column in self.columns),
            order=deployment.schema.names,
            own=self.named,
            classes=self.classes if deployment.task.is_classification else None,
        )
        if any(UNNAMEABLE.search(column.name) for column in self.columns):
            return
        self.readable = True
        self._row = _struct(self.columns, self.named)
        call = msgspec.defstruct("Call", [("rows", list[self._row])], gc=False)  # type: ignore[name-defined]
        self._call: msgspec.json.Decoder[Any] = msgspec.json.Decoder(call)
        self._pieces = msgspec.json.Decoder(self._row)
        self.head_record = head_bytes(self.head)

    def read(self, body: bytes) -> list[Values] | None:
        """The rows of a JSON body as values in the order of ``columns``; None when it has to go the long way."""
        if not self.readable:
            return None
        try:
            rows = [astuple(row) for row in self._call.decode(body).rows]
        except UNREADABLE:
            return None
        return self._settled(rows)

    def read_in_pieces(self, body: bytes) -> list[Values] | None:
        """Like :meth:`read`, with pauses in which other threads get a word in: for large bodies, in a thread."""
        if len(body) <= _WHOLE_BODY:
            return self.read(body)
        if not self.readable:
            return None
        try:
            rows = [astuple(self._pieces.decode(row)) for row in _split.decode(body).rows]
        except UNREADABLE:
            return None
        return self._settled(rows)

    def convert(self, rows: Sequence[Any]) -> list[Values] | None:
        """The same for rows that were read as dictionaries."""
        if not self.readable:
            return None
        try:
            found = [astuple(row) for row in msgspec.convert(rows, list[self._row])]  # type: ignore[name-defined]
        except UNREADABLE:
            return None
        return self._settled(found)

    def _settled(self, rows: list[Values]) -> list[Values] | None:
        if not rows or (self.named and not all(_plain_id(row[-1]) for row in rows)):
            return None
        return rows

    def quick(self, rows: Sequence[Values]) -> npt.NDArray[np.float64] | None:
        """The model's answers; None when some value has to go the long way. Raises what the model raises."""
        compiled = self.deployment.compiled
        if compiled is not None:
            raw = compiled.quick(self._features(rows))
        else:
            table = self._checked(rows)
            raw = None if table is None else self.deployment.through_pipeline(table)
        if raw is not None and len(raw) != len(rows):
            raise ValueError(f"the model gave {len(raw)} answers to {len(rows)} rows")
        return raw

    @property
    def columnar(self) -> bool:
        """Whether many rows are read column by column."""
        return self.deployment.compiled is not None

    def columns_of(self, rows: Sequence[Values]) -> Columns | None:
        """Many rows column by column, for :meth:`answers` of what is ``columnar``; None when some value has to go the
        long way."""
        compiled = self.deployment.compiled
        assert compiled is not None
        read = compiled.columns_of(self._features(rows))
        if not self.named or read is None or read.typed is None:
            return read
        column = self.columns[-1]
        typed = {**read.typed, column.name: read_column([row[-1] for row in rows], column).values}
        return replace(read, typed=typed)

    def answers(self, columns: Columns) -> npt.NDArray[np.float64]:
        """The model's answers to rows that were read. Raises what the model raises."""
        compiled = self.deployment.compiled
        assert compiled is not None
        raw = compiled.answers(columns)
        if len(raw) != len(columns):
            raise ValueError(f"the model gave {len(raw)} answers to {len(columns)} rows")
        return raw

    def settles(self, rows: Sequence[Values]) -> bool:
        """Whether :meth:`quick` has an answer to these rows; costs no model time."""
        compiled = self.deployment.compiled
        if compiled is not None:
            return compiled.settled(self._features(rows))
        return self._checked(rows) is not None

    def _features(self, rows: Sequence[Values]) -> Sequence[Values]:
        return [row[:-1] for row in rows] if self.named else rows

    def _checked(self, rows: Sequence[Values]) -> pa.Table | None:
        """The table that the check of the schema makes of rows; None when it finds a fault."""
        found = {}
        for column, values in zip(self.columns, zip(*rows, strict=True), strict=True):
            try:
                read = read_column(values, column)
            except (SchemaError, UnicodeEncodeError):
                return None
            if any(positions.size for _, positions in read.problems):
                return None
            found[column.name] = read.values
        return pa.table([found[name] for name in self.head.order], names=list(self.head.order))

    def record(
        self,
        at: int,
        ids: Sequence[str],
        rows: Sequence[Values],
        raw: npt.NDArray[np.float64],
        read: Columns | None = None,
    ) -> bytes:
        """The rows and their answers for the prediction log; ``read`` is what :meth:`columns_of` made of them."""
        wide = None if read is None else wide_record(self.head, read, pa.array(ids, pa.string()), raw, at)
        return plain_record(self.head_record, at, ids, rows, raw) if wide is None else wide

    def typed(self, rows: Sequence[Values]) -> pa.Table:
        """The rows as :func:`automl.schema.check` types them."""
        return typed_table(self.head, rows)

    def values(self, raw: npt.NDArray[np.float64]) -> list[Any]:
        """One value a row, as the caller is told it."""
        if not self.labels:
            return list(raw.tolist())
        labels = self.labels
        if len(raw) == 1:
            shares = raw[0].tolist()
            return [labels[shares.index(max(shares))]]
        return [labels[position] for position in raw.argmax(axis=1).tolist()]

    def encode(
        self, ids: Sequence[str], values: Sequence[Any], shares: Sequence[Sequence[float]] | None
    ) -> bytes:
        """The answer to one call as JSON: what :func:`service.wire.telling.encode_answer` gives."""
        return self._tell(ids, values, shares)


class _Split(msgspec.Struct):
    rows: list[msgspec.Raw]


_split = msgspec.json.Decoder(_Split)


def _struct(columns: Sequence[Column], named: bool) -> type[msgspec.Struct]:
    fields: list[tuple[Any, ...]] = []
    for place, column in enumerate(columns):
        if named and place == len(columns) - 1:
            fields.append((f"f{place}", _ID_TYPES.get(column.kind), None))
        elif column.optional:
            fields.append((f"f{place}", _TYPES[column.kind], None))
        else:
            fields.append((f"f{place}", _TYPES[column.kind]))
    return msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{place}": column.name for place, column in enumerate(columns)},
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _plain_id(value: Any) -> bool:
    """Whether an id is a whole number that stays exact or a text that may stand as it is."""
    if value is None:
        return True
    if type(value) is int:
        return -_WHOLE_IN_FLOAT <= value <= _WHOLE_IN_FLOAT
    return len(value) <= LONGEST_ID and "\0" not in value
