"""Staged files that were written as their table keeps them, so that it takes them over and writes nothing again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from registry.table_schemas import SCHEMAS

_FILLED: Mapping[str, tuple[str, ...]] = {"rows": ("_arrived_at", "_source"), "predictions": ("at",)}
"""Columns of a part whose nulls are filled in while it is stored."""
_TOLD = 32
"""Columns of a table, from the first on, whose extent is told: as Delta has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalFile:
    path: Path
    schema: pa.Schema
    columns: Mapping[str, _Extent]
    """By name, those of simple types."""
    rows: int

    def stats(self, columns: list[str]) -> str | None:
        """What Delta's log says of the file, whose table has these columns; None where that is not known. A column of which
        nothing is said would be taken for empty by who looks for its values."""
        told = {name: self.columns[name] for name in columns[:_TOLD] if name in self.columns}
        if not all(extent.known for extent in told.values()):
            return None
        return json.dumps(
            {
                "numRecords": self.rows,
                "minValues": {
                    name: _json(each.least) for name, each in told.items() if each.least is not None
                },
                "maxValues": {name: _json(each.most) for name, each in told.items() if each.most is not None},
                "nullCount": {name: each.nulls for name, each in told.items()},
            },
            allow_nan=False,
        )


@dataclass(slots=True)
class _Extent:
    nulls: int = 0
    least: Any = None
    most: Any = None
    known: bool = True

    def widen(self, found: pq.Statistics | None, rows: int) -> None:
        if found is None or not found.has_null_count:
            self.known = False
            return
        self.nulls += found.null_count
        if found.has_min_max and _can_be_told(found.min) and _can_be_told(found.max):
            self.least = found.min if self.least is None else min(self.least, found.min)
            self.most = found.max if self.most is None else max(self.most, found.max)
        elif found.null_count < rows:  # texts that are too long, numbers without end
            self.known = False


def final_file(path: Path, name: str, batch: int) -> FinalFile | None:
    """What is known of a staged file of the part ``name``; None when it is not as the table keeps that batch."""
    if name not in _FILLED:
        return None
    footer = pq.read_metadata(path)
    schema = footer.schema.to_arrow_schema().remove_metadata()
    if not set(SCHEMAS[name].names) <= set(schema.names):
        return None
    extents = _extents(footer, schema)
    number = extents["_batch"]
    if (number.least, number.most, number.nulls) != (batch, batch, 0):
        return None
    if any(extents[column].nulls for column in _FILLED[name]):
        return None
    return FinalFile(path=path, schema=schema, columns=extents, rows=footer.num_rows)


def _extents(footer: pq.FileMetaData, schema: pa.Schema) -> dict[str, _Extent]:
    simple = {field.name: _Extent() for field in schema if not pa.types.is_nested(field.type)}
    for at in range(footer.num_row_groups):
        group = footer.row_group(at)
        for place in range(group.num_columns):
            column = group.column(place)
            if column.path_in_schema in simple:
                simple[column.path_in_schema].widen(column.statistics, group.num_rows)
    return simple


def _can_be_told(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _json(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value
