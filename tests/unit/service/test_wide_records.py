"""A large call's record, made of what the model has read, says what its rows say as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from automl.columns import Column, ColumnKind
from automl.compiled.column_reading import Columns, read_columns
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
    (None, False, "2026-01-02", "أزرق", "é"),
    (2**53 - 1, False, "2026-05-06 07:08:09.5", "red", "x" * 5_000),
]
IDS = ["a", "b", "c", "d"]
RAW = np.array([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9], [1.0, 0.0]])


def _read(rows: list[tuple[Any, ...]]) -> Columns:
    read = read_columns(COLUMNS, {}, rows)
    assert read is not None
    return read


def _wide(rows: list[tuple[Any, ...]], ids: list[str], raw: npt.NDArray[np.float64]) -> bytes | None:
    return wide_record(HEAD, _read(rows), pa.array(ids, pa.string()), raw, AT)


def _tables(record: bytes) -> tuple[pa.Table, pa.Table]:
    (logged,) = read_records([record])
    assert (logged.project, logged.fresh, logged.records) == (3, True, 1)
    return logged.rows, logged.predictions


def _same(rows: list[tuple[Any, ...]], ids: list[str], raw: npt.NDArray[np.float64]) -> None:
    wide = _wide(rows, ids, raw)
    assert wide is not None
    plain = plain_record(head_bytes(HEAD), AT, ids, rows, raw)
    for ours, theirs in zip(_tables(wide), _tables(plain), strict=True):
        assert ours.select(sorted(ours.column_names)).equals(theirs.select(sorted(theirs.column_names)))


def test_the_two_records_of_the_same_rows_become_the_same_tables() -> None:
    _same(ROWS, IDS, RAW)


@pytest.mark.parametrize("number", [2**53, -(2**53), 1e300, -0.0, 5e-324])
def test_a_number_that_is_a_float_is_the_same_in_both(number: float) -> None:
    _same([*ROWS, (number, None, None, None, None)], [*IDS, "e"], np.vstack([RAW, RAW[:1]]))


@pytest.mark.parametrize("number", [2**53 + 1, -(2**60), 2**64 + 1])
def test_numbers_that_a_float_may_not_hold_as_they_came_are_kept_as_they_came(number: int) -> None:
    rows = [*ROWS, (number, None, None, None, None)]
    assert _wide(rows, [*IDS, "e"], np.vstack([RAW, RAW[:1]])) is None


@pytest.mark.parametrize("number", [True, "1", float("inf"), 10**400])
def test_what_only_the_long_way_settles_is_not_read_as_a_number(number: object) -> None:
    assert read_columns(COLUMNS, {}, [*ROWS, (number, None, None, None, None)]) is None


def test_missing_as_another_protocol_writes_it_is_missing_in_the_log_too() -> None:
    read = _read([*ROWS, (float("nan"), None, None, None, None)])
    assert read.typed is not None
    assert read.typed["size"].to_pylist() == [1.0, -0.25, None, 2**53 - 1, None]
