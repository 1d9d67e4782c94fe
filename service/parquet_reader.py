"""Parquet in batches, refused by what its footer says before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.byte_streams import expanded_copy, is_gzip
from service.chunks import CHUNK_BYTES, Chunk, Limits, check_names, rows_at_once, slices
from service.problems import Problem


def read_parquet(file: IO[bytes], limits: Limits, folder: Path, *, chunk_rows: int) -> Iterator[Chunk]:
    """The rows in chunks, typed.

    Texts stay in their dictionaries until their true size is counted, since a few repeated megabytes can
    stand for terabytes. A gzipped file is first decompressed into a nameless file in ``folder``.
    """
    copy = expanded_copy(file, limits, folder) if is_gzip(file) else None
    try:
        yield from _read(copy or file, limits, chunk_rows)
    finally:
        if copy is not None:
            copy.close()


def _read(file: IO[bytes], limits: Limits, chunk_rows: int) -> Iterator[Chunk]:
    file.seek(0)
    try:
        schema = _check_footer(pq.ParquetFile(file), limits)
        texts = [field.name for field in schema if _is_text(field.type)]
        file.seek(0)
        # A ParquetFile that is garbage must not close the spool file under the next pass.
        parquet = pq.ParquetFile(pa.PythonFile(file, mode="r"), read_dictionary=texts)
        size = rows_at_once(chunk_rows, len(schema.names))
        yield from _chunks(parquet, limits, size)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(error) from None


def _chunks(parquet: pq.ParquetFile, limits: Limits, size: int) -> Iterator[Chunk]:
    line = 1
    expanded = 0
    for batch in parquet.iter_batches(batch_size=size, use_threads=False):
        table = pa.Table.from_batches([batch])
        true_size = _true_size(table)
        expanded += true_size
        limits.check_expanded(expanded)
        limits.check_rows(line - 1 + table.num_rows)
        pieces = max(1, -(-true_size // CHUNK_BYTES))
        for piece in slices(table, max(1, table.num_rows // pieces)):
            if not piece.num_rows:
                continue
            lines = np.arange(line, line + piece.num_rows, dtype=np.int64)
            line += piece.num_rows
            yield Chunk(table=plain_table(piece), lines=lines)


def _check_footer(parquet: pq.ParquetFile, limits: Limits) -> pa.Schema:
    footer = parquet.metadata
    schema = parquet.schema_arrow
    limits.check_rows(footer.num_rows)
    check_names(schema.names, limits)
    limits.check_expanded(sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups)))
    for field in schema:
        if pa.types.is_nested(field.type):
            raise Problem(
                422,
                "nested_value",
                f"The column {field.name!r} holds lists or structures ({field.type}).",
                field=field.name,
                remedy="Send one plain value a column: flatten the column or leave it out.",
            )
    return schema


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _true_size(table: pa.Table) -> int:
    """Bytes of the table with its dictionaries written out."""
    size = 0
    for column in table.columns:
        if not pa.types.is_dictionary(column.type):
            size += column.nbytes
            continue
        for part in column.chunks:
            lengths = pc.binary_length(part.dictionary.cast(pa.large_binary()))
            size += (pc.sum(lengths.take(part.indices)).as_py() or 0) + 4 * len(part)
    return size


def plain_table(table: pa.Table) -> pa.Table:
    """Every column as one of the few types that the schema knows: text, number, boolean, time."""
    columns = [_plain_column(name, table.column(name)) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def _plain_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    types = pa.types
    if types.is_dictionary(kind):
        return _plain_column(name, column.cast(kind.value_type))
    if types.is_decimal(kind) or types.is_float16(kind):
        return column.cast(pa.float64())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_string(kind):
        return column
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_null(kind):
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        raise Problem(
            422,
            "unknown_type",
            f"The column {name!r} is of type {kind}, which is not text, number, boolean or time.",
            field=name,
            remedy="Convert the column before writing the file, or leave it out.",
        ) from None


def _unreadable(error: Exception) -> Problem:
    return Problem(
        422,
        "unreadable_parquet",
        "The file can't be read as Parquet: " + str(error).split("\n")[0][:200],
        field="file",
        remedy="Write the file again; it may have been cut off on its way.",
    )
