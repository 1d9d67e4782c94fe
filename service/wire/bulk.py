"""Bulk scoring: a table of any length in, a table of answers out, a chunk at a time.

The answers are ``id``, ``value``, for classification ``probabilities`` (a list of fixed size; the classes are named
in the schema's metadata, as the model's version is), and where rows at fault get nulls ``error``.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import scalar_text
from automl.errors import SchemaError
from automl.schema import Checked, check
from service.admission import LONGEST_ID
from service.chunks import Limits, check_names, slices
from service.log_records import column_record
from service.parquet_reader import plain_table, read_parquet
from service.prediction import faulty, name_rows
from service.problems import Problem
from service.row_ids import ROW_IDS
from service.wire.forms import Form

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
CHUNK_ROWS = 16_384
LARGEST_BATCH = 256 * 1024 * 1024
"""Bytes of one record batch: so much has to be in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A chunk's answers, and its record for the prediction log."""

    answers: pa.RecordBatch
    record: bytes
    rows: int


def read_chunks(file: IO[bytes], media_type: str, limits: Limits, folder: Path) -> Iterator[pa.Table]:
    """The rows of a spooled body in chunks, raw. Raises a problem for what is not of its media type."""
    if media_type == PARQUET:
        for chunk in read_parquet(file, limits, folder, chunk_rows=CHUNK_ROWS):
            yield chunk.table
        return
    rows = 0
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(_Bounded(file), mode="r"))
        check_names(reader.schema.names, limits)
        for batch in reader:
            batch.validate(full=True)  # a stream can promise what its buffers don't hold
            rows += batch.num_rows
            limits.check_rows(rows)
            for piece in slices(pa.Table.from_batches([batch]), CHUNK_ROWS):
                if piece.num_rows:
                    yield plain_table(piece)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Problem(
            422,
            "unreadable_arrow",
            f"The body can't be read as an Arrow stream: {str(error).splitlines()[0][:200]}.",
            field="body",
            remedy="Send the IPC streaming format (pyarrow.ipc.new_stream), whole and with plain columns.",
        ) from None


class _Bounded(io.RawIOBase):
    """Reads a spool file from its start, and no piece that would not fit in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > self._size - self._file.tell():
            raise ValueError("it ends early, or is no Arrow stream")
        if size > LARGEST_BATCH:
            raise Problem(
                413,
                "batch_too_large",
                f"A record batch of the stream holds {size:,} bytes; the most is {LARGEST_BATCH:,}.",
                field="body",
                remedy="Write smaller batches: write_table(table, max_chunksize=65536).",
            )
        return self._file.read(size)


class Scorer:
    """Scores one call's chunks in order, all by one model version."""

    def __init__(self, form: Form, *, nulls: bool) -> None:
        self._form = form
        self._nulls = nulls
        self._row = 0
        deployment = form.deployment
        fields = [pa.field("id", pa.string()), pa.field("value", _value_type(form))]
        if deployment.task.is_classification:
            fields.append(pa.field("probabilities", pa.list_(pa.float64(), len(form.classes))))
        if nulls:
            fields.append(pa.field("error", pa.string()))
        meta = {"model_version": str(form.version), "classes": json.dumps(list(form.classes))}
        self.schema = pa.schema(fields, meta)

    def score(self, table: pa.Table, at: datetime) -> Scored:
        """Raises a problem that names row and column, where a fault is no null."""
        deployment = self._form.deployment
        named = deployment.task.id_column
        if named is not None and named not in table.column_names:
            table = table.append_column(named, pa.nulls(table.num_rows))
        try:
            checked = check(table, deployment.schema, deployment.unkeyed_task)
        except SchemaError as error:
            remedy = error.remedy or None
            raise Problem(422, error.code, str(error), field=error.column, remedy=remedy) from None
        if checked.faults and not self._nulls:
            raise faulty(checked, self._row)
        ids = self._ids(table, named)
        raw = (
            deployment.raw(checked.table)
            if checked.table.num_rows
            else np.empty((0, max(1, len(self._form.classes))))
        )
        answers = self._answers(table.num_rows, checked, ids, raw)
        kept = ids.take(pa.array(checked.positions)) if checked.faults else ids
        record = column_record(self._form.head, checked.table, kept, raw, at) if len(kept) else b""
        self._row += table.num_rows
        return Scored(answers=answers, record=record, rows=len(kept))

    def _ids(self, table: pa.Table, named: str | None) -> pa.Array:
        own = table[named].combine_chunks() if named is not None else pa.nulls(table.num_rows)
        if own.null_count == len(own):
            return new_ids(len(own))
        texts = [None if value is None else scalar_text(value) for value in own.to_pylist()]
        for place, text in enumerate(texts):
            if text is not None and (len(text) > LONGEST_ID or "\0" in text):
                raise Problem(
                    422,
                    "invalid_id",
                    f"A row id has at most {LONGEST_ID} characters and no NUL; that of row "
                    f"{self._row + place} has {len(text)}.",
                    field=f"rows[{self._row + place}].{named}",
                    remedy="Send a shorter id, or null to be given one.",
                )
        return pa.array(name_rows(texts), pa.string())

    def _answers(
        self, rows: int, checked: Checked, ids: pa.Array, raw: npt.NDArray[np.float64]
    ) -> pa.RecordBatch:
        form = self._form
        values: list[Any] = []
        if form.deployment.task.is_classification:
            labels = pa.array(form.labels, _value_type(form))
            values.append(labels.take(pa.array(raw.argmax(axis=1))))
            flat = pa.array(np.ascontiguousarray(raw).ravel())
            values.append(pa.FixedSizeListArray.from_arrays(flat, len(form.classes)))
        else:
            values.append(pa.array(raw.ravel()))
        if checked.faults:
            places = np.full(rows, -1, dtype=np.int64)
            places[checked.positions] = np.arange(len(checked.positions))
            spread = pa.array(places, mask=places < 0)
            values = [column.take(spread) for column in values]
        if self._nulls:
            told: dict[int, str] = {}
            for fault in checked.faults:
                told.setdefault(fault.row, f"{fault.column}: {fault.message}")
            errors = [told.get(row) for row in range(rows)] if told else None
            values.append(pa.nulls(rows, pa.string()) if errors is None else pa.array(errors, pa.string()))
        return pa.RecordBatch.from_arrays([ids, *values], schema=self.schema)


class StreamWriter:
    """Record batches as the bytes of an Arrow stream, piece by piece."""

    def __init__(self, schema: pa.Schema) -> None:
        self._buffer = io.BytesIO()
        self._writer = pa.ipc.new_stream(self._buffer, schema)

    def write(self, batch: pa.RecordBatch) -> bytes:
        self._writer.write_batch(batch)
        return self._taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        piece = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return piece


def new_ids(count: int) -> pa.Array:
    """New row ids as an array."""
    characters = ROW_IDS.table(count)
    offsets = np.arange(0, 36 * count + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(characters))


def _value_type(form: Form) -> pa.DataType:
    task, target = form.deployment.task, form.deployment.schema.target
    if not task.is_classification:
        return pa.float64()
    types = {"text": pa.string(), "boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    return types[target.type]
