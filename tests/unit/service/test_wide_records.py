"""A large call's record, made of what the model has read, says what its rows say as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from automl.columns import Column, ColumnKind
from automl.compiled.reading import Columns
from service.log_reading import read_records
from service.log_records import Head, head_bytes, plain_record
from service.wire.wide import wide_record

COLUMNS = (
    Column(name="size", kind=ColumnKind.NUMERIC),
    Column(name="ripe", kind=ColumnKind.BOOLEAN),
    Column(name="picked", kind=ColumnKind.DATETIME),
    Column(name="colour", kind=ColumnKind.CATEGORICAL),
    Column(name="note", kind=ColumnKind.TEXT),
)
HEAD = Head(
    project=3,
    version=7,
    columns=tuple((column.name, column.kind.value) for column in COLUMNS),
    order=("colour", "size", "ripe", "note", "picked"),
    own=False,
    classes=("no", "yes"),
)
AT = 1_700_000_000_123_456
ROWS: list[tuple[Any, ...]] = [
    (1, True, "2026-01-02T03:04:05Z", "red", "a </script> here"),
    (-0.25, None, None, None, None),
    (None, False, "2026-01-02", "أزرق", ""),
    (2**53 - 1, False, "2026-05-06 07:08:09.5", "red", "x" * 5_000),
]
IDS = ["a", "b", "c", "d"]
RAW = np.array([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9], [1.0, 0.0]])


def _read(rows: list[tuple[Any, ...]]) -> Columns:
    sizes = np.array([np.nan if row[0] is None else float(row[0]) for row in rows])
    return Columns(rows=len(rows), numbers={"size": sizes}, times={}, codes={}, texts={})


def _tables(record: bytes) -> tuple[pa.Table, pa.Table]:
    (logged,) = read_records([record])
    assert (logged.project, logged.fresh, logged.records) == (3, True, 1)
    return logged.rows, logged.predictions


def test_the_two_records_of_the_same_rows_become_the_same_tables() -> None:
    wide = wide_record(HEAD, COLUMNS, ROWS, _read(ROWS), IDS, RAW, AT)
    assert wide is not None
    plain = plain_record(head_bytes(HEAD), AT, IDS, ROWS, RAW)
    for ours, theirs in zip(_tables(wide), _tables(plain), strict=True):
        assert ours.select(sorted(ours.column_names)).equals(theirs.select(sorted(theirs.column_names)))


@pytest.mark.parametrize("number", [2**53 + 1, 2**53, -(2**60), 1e300])
def test_numbers_that_a_float_may_not_hold_as_they_came_are_kept_as_they_came(number: float) -> None:
    rows = [*ROWS, (number, None, None, None, None)]
    raw = np.vstack([RAW, RAW[:1]])
    assert wide_record(HEAD, COLUMNS, rows, _read(rows), [*IDS, "e"], raw, AT) is None
