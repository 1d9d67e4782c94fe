"""Parts of the holdout that a gain on the whole must not be paid for by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import Column, ColumnKind, Schema, scalar_text
from automl.task import Task

MOST_VALUES = 20
"""A feature with more values than these is none to slice by; a sensitive column is, by its most frequent ones."""
_BINS = (0.25, 0.5, 0.75)
_MISSING = "(missing)"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The rows of the holdout (a mask) where ``column`` has the ``value``, which is a word or a range."""

    column: str
    value: str
    rows: Mask
    sensitive: bool = False

    @property
    def name(self) -> str:
        ranged = self.value.startswith(("at most", "above"))
        return f"{self.column} {self.value}" if ranged else f"{self.column} = {self.value}"


def slices(
    table: pa.Table, schema: Schema, task: Task, *, most: int = 20, min_rows: int = 100
) -> tuple[Slice, ...]:
    """The slices of typed rows that have at least ``min_rows``, never all of them, and at most ``most`` slices.

    Columns named sensitive come first, then categories and booleans with few values, then numbers (each value
    where they are few whole numbers, else quarters); in the order of the schema, the largest slice of a column
    first. Which rows are in a slice depends on the rows alone, never on a label or a prediction.
    """
    found: list[Slice] = []
    seen: set[bytes] = set()
    for column in _columns(schema, task):
        sensitive = column.name in task.sensitive
        parts = [(value, rows) for value, rows in _parts(table, column, sensitive) if _counts(rows, min_rows)]
        for value, rows in sorted(parts, key=lambda part: -int(part[1].sum())):
            if len(found) == most:
                return tuple(found)
            if (
                print_ := np.packbits(rows).tobytes()
            ) not in seen:  # two columns that say the same count once
                seen.add(print_)
                found.append(Slice(column=column.name, value=value, rows=rows, sensitive=sensitive))
    return tuple(found)


def _counts(rows: Mask, least: int) -> bool:
    return least <= int(rows.sum()) < len(rows)


def _columns(schema: Schema, task: Task) -> list[Column]:
    """Those to slice by, in turn."""
    by_kind = {ColumnKind.CATEGORICAL: 1, ColumnKind.BOOLEAN: 1, ColumnKind.NUMERIC: 2}
    left_out = (task.not_features | {task.time_column}) - set(task.sensitive)

    def turn(column: Column) -> int:
        return 0 if column.name in task.sensitive else by_kind[column.kind]

    usable = [one for one in schema.columns if one.kind in by_kind and one.name not in left_out]
    return sorted(usable, key=turn)


def _parts(table: pa.Table, column: Column, sensitive: bool) -> Iterator[tuple[str, Mask]]:
    values = table.column(column.name).combine_chunks()
    missing = np.asarray(values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False), dtype=bool)
    if missing.any():
        yield _MISSING, missing
    if missing.all():
        return
    if column.kind is ColumnKind.NUMERIC:
        numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        few = np.unique(numbers[~missing])[: MOST_VALUES + 1]
        if len(few) > MOST_VALUES or not np.all(few == np.round(few)):
            yield from _quarters(numbers, missing)
            return
        words = [
            None if gone else scalar_text(float(number))
            for number, gone in zip(numbers, missing, strict=True)
        ]
    else:
        words = [None if word is None else scalar_text(word) for word in values.to_pylist()]
    yield from _values(np.array(words, dtype=object), missing, sensitive)


def _values(words: npt.NDArray[Any], missing: Mask, sensitive: bool) -> Iterator[tuple[str, Mask]]:
    known, places, counts = np.unique(words[~missing].astype(str), return_inverse=True, return_counts=True)
    if len(known) > MOST_VALUES and not sensitive:
        return
    codes = np.full(len(words), -1, dtype=np.intp)
    codes[~missing] = places
    for code in np.argsort(-counts, kind="stable")[:MOST_VALUES]:
        yield str(known[code]), codes == code


def _quarters(numbers: npt.NDArray[np.float64], missing: Mask) -> Iterator[tuple[str, Mask]]:
    """Quarters of the rows by the number, fewer where many rows have the same one."""
    edges = np.unique(np.quantile(numbers[~missing], _BINS))
    bins = np.searchsorted(edges, numbers, side="left")
    bins[missing] = -1
    shown = [f"{edge:.6g}" for edge in edges]
    for place in range(len(edges) + 1):
        above = f"above {shown[place - 1]}" if place else ""
        upto = f"at most {shown[place]}" if place < len(edges) else ""
        yield " and ".join(part for part in (above, upto) if part), bins == place
