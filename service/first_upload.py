"""The schema of a project from its first upload: a sample of the rows, and every class there is."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from automl.schema import Schema, infer
from automl.task import Task
from service.problems import Problem
from service.readers import Chunk, Source, read

SAMPLE_ROWS = 50_000
SAMPLE_BYTES = 32 * 1024 * 1024
MOST_LABELS = 1_000
"""Once so many different labels are known, no more are looked for."""


def first_schema(source: Source, task: Task) -> tuple[Schema, Task]:
    """Schema and resolved task from the first rows, and from the labels of all rows.

    A class that appears only after the sample is still found: its label is added to the sample in a row of
    nothing else. Raises SchemaError when the table can't become a schema.
    """
    chunks = read(source, chunk_rows=SAMPLE_ROWS)
    sample = _sample(chunks)
    if task.target in sample.column_names and not task.declared:
        _refuse_nul(sample.column(task.target), task.target)
        more = _other_labels(chunks, sample.column(task.target), task.target)
        if more:
            sample = together([sample, pa.table({task.target: more})])
    return infer(sample, task)


def _sample(chunks: Iterator[Chunk]) -> pa.Table:
    tables: list[pa.Table] = []
    rows = size = 0
    broken: Chunk | None = None
    for chunk in chunks:
        if chunk.broken and broken is None:
            broken = chunk
        if chunk.table.num_rows:
            tables.append(chunk.table)
        rows += chunk.table.num_rows
        size += chunk.table.nbytes
        if rows >= SAMPLE_ROWS or size >= SAMPLE_BYTES:
            break
    if tables:
        return together(tables)
    if broken is None:
        raise Problem(
            422,
            "empty",
            "The upload holds no rows.",
            field="file",
            remedy="Send at least one row; in CSV below a header line.",
        )
    first = broken.broken[0]
    raise Problem(
        422,
        first.code,
        f"No row of the upload can be read; row {first.line}: {first.message}.",
        field="file",
        remedy="Check that the file is what its name says, its delimiter and its quotes.",
    )


def _other_labels(chunks: Iterator[Chunk], known: pa.ChunkedArray, target: str) -> list[str]:
    labels: list[str] = []
    seen = set(_texts(known))
    for chunk in chunks:
        if len(seen) > MOST_LABELS:
            break
        if target in chunk.table.column_names:
            fresh = [text for text in _texts(chunk.table.column(target)) if text not in seen]
            labels += fresh[: MOST_LABELS - len(labels)]
            seen.update(fresh)
    return labels


def _refuse_nul(labels: pa.ChunkedArray, target: str) -> None:
    if any("\0" in text for text in _texts(labels)):
        raise Problem(
            422,
            "nul_character",
            f"A label in {target!r} holds a NUL character.",
            field=target,
            remedy="Remove it; labels are plain text.",
        )


def _texts(column: pa.ChunkedArray) -> list[str]:
    return [text for text in pc.unique(_text(column)).to_pylist() if text is not None]


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def together(tables: list[pa.Table]) -> pa.Table:
    """One table of all rows; a column that the tables hold in different types becomes text."""
    if len(tables) == 1:
        return tables[0]
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            if not pa.types.is_null(field.type):
                kinds.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, found in kinds.items() if len(found) > 1}
    return pa.concat_tables([_as_text(table, mixed) for table in tables], promote_options="default")


def _as_text(table: pa.Table, names: set[str]) -> pa.Table:
    for at, name in enumerate(table.column_names):
        if name in names:
            table = table.set_column(at, name, _text(table.column(at)))
    return table
