"""What may be staged: ids, texts and types that every table and database can hold."""

from __future__ import annotations

from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from registry.records import LabelSource
from registry.table_schemas import ROWS, TIME

Arrow: TypeAlias = pa.Table | pa.RecordBatch
TRUTHS = tuple(source.value for source in LabelSource if source is not LabelSource.PSEUDO)
MAX_ID_CHARACTERS = 255


def is_truth(source: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which label sources are truth, not a model's word."""
    return pc.is_in(source, pa.array(TRUTHS))


def as_table(data: Arrow) -> pa.Table:
    """A table of either."""
    return pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema`` except ``_batch``, nulls where the table lacks one."""
    strange = set(table.column_names) - set(schema.names)
    if strange:
        raise ValueError(f"unknown column {sorted(strange)[0]!r}; the columns are {', '.join(schema.names)}")
    fields = [field for field in schema if field.name != "_batch"]
    return pa.table(
        [
            table[field.name].cast(field.type)
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in fields
        ],
        schema=pa.schema(fields),
    )


def storable_rows(table: pa.Table) -> pa.Table:
    """Rows with each column in the one type that its kind is stored in. Raises ValueError."""
    names = table.column_names
    if "_row_id" not in names:
        raise ValueError("rows need the column '_row_id'")
    strange = [name for name in names if name.startswith("_") and name not in ROWS.names]
    if strange or "_batch" in names:
        raise ValueError(f"{strange[0] if strange else '_batch'!r} is no column that rows can be staged with")
    if any(not name or "\0" in name for name in names):
        raise ValueError("a column's name is neither empty nor has a NUL character")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("two columns of the rows have the same name, upper and lower case apart")
    columns = [
        column.cast(_storable(name, column.type)) for name, column in zip(names, table.columns, strict=True)
    ]
    return pa.table(dict(zip(names, columns, strict=True)))


def _storable(name: str, kind: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_signed_integer(kind):
        return pa.int64()
    if pa.types.is_boolean(kind):
        return kind
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return TIME
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(text) or pa.types.is_large_string(text):
        return pa.string()
    raise ValueError(f"column {name!r} of type {kind} can't be stored")


def check_ids(ids: pa.ChunkedArray) -> None:
    """Raise ValueError unless every id is a text of 1 to MAX_ID_CHARACTERS characters."""
    length = pc.utf8_length(ids)
    sizes = pc.min_max(length).as_py()
    if ids.null_count or (
        sizes["min"] is not None and not 1 <= sizes["min"] <= sizes["max"] <= MAX_ID_CHARACTERS
    ):
        raise ValueError(f"a row id has 1 to {MAX_ID_CHARACTERS} characters")
    check_text(ids, "row id")


def check_text(texts: pa.ChunkedArray, what: str) -> None:
    """Raise ValueError for a NUL character, which PostgreSQL has no place for."""
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        raise ValueError(f"a {what} with a NUL character can't be stored")
