from __future__ import annotations

import hashlib
import math
import random
import struct
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.lineage import GENESIS, batch_hash, chain, row_digests

TIMES = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
TEXT = st.text(max_size=6)
KNOWN = "3bde898af04c95a1c4e969b33b44202f315c35d83fc8d7f95f811cde2b521d5c"
SCHEMA = pa.schema(
    [
        ("_row_id", pa.string()),
        ("_batch", pa.int32()),
        ("number", pa.float64()),
        ("whole", pa.int64()),
        ("flag", pa.bool_()),
        ("when", pa.timestamp("us", "UTC")),
        ("wörd", pa.string()),
    ]
)
ROW = st.fixed_dictionaries(
    {
        "_row_id": TEXT,
        "_batch": st.integers(1, 9),
        "number": st.none() | st.floats(),
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flag": st.none() | st.booleans(),
        "when": st.none() | TIMES,
        "wörd": st.none() | TEXT,
    }
)
ROWS = st.lists(ROW, max_size=12)


def table(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def hashed(data: pa.Table, chunk: int = 1000) -> str:
    return batch_hash([row_digests(piece) for piece in data.to_batches(chunk)], [])


def by_the_book(row: dict[str, object]) -> bytes:
    """The canonical form of a row, written cell by cell from its description."""
    out = b""
    for name in sorted(row):
        value = row[name]
        if value is None or name == "_batch":
            continue
        encoded = name.encode()
        out += struct.pack("<H", len(encoded)) + encoded
        if isinstance(value, bool):
            out += b"b" + bytes([value])
        elif isinstance(value, int):
            out += b"i" + struct.pack("<q", value)
        elif isinstance(value, float):
            out += b"f" + struct.pack("<d", math.nan if math.isnan(value) else value)
        elif isinstance(value, datetime):
            delta = value - datetime(1970, 1, 1, tzinfo=UTC)
            out += b"t" + struct.pack(
                "<q", (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds
            )
        else:
            text = str(value).encode()
            out += b"s" + struct.pack("<I", len(text)) + text
    return out


@given(rows=ROWS)
@settings(deadline=None)
def test_a_row_is_hashed_by_its_canonical_form(rows: list[dict[str, object]]) -> None:
    digests = np.concatenate([np.empty((0, 32), np.uint8), *map(row_digests, table(rows).to_batches())])
    assert [bytes(digest) for digest in digests] == [
        hashlib.sha256(by_the_book(row)).digest() for row in rows
    ]


@given(rows=ROWS, chunk=st.integers(1, 12), seed=st.integers(0, 999))
@settings(deadline=None)
def test_order_chunks_slices_and_columns_order_dont_matter(
    rows: list[dict[str, object]], chunk: int, seed: int
) -> None:
    expected = hashed(table(rows))
    mixed = random.Random(seed).sample(rows, len(rows))
    names = random.Random(seed).sample(SCHEMA.names, len(SCHEMA.names))
    padded = table([*mixed[:1], *mixed, *mixed[:1]])
    sliced = padded.slice(min(1, len(rows)), len(rows)).select(names)
    assert hashed(sliced, chunk) == expected
    moved = [{**row, "_batch": 77} for row in rows]
    assert hashed(table(moved)) == expected


@given(rows=ROWS.filter(bool), data=st.data())
@settings(deadline=None)
def test_a_changed_cell_changes_the_hash(rows: list[dict[str, object]], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    other = {**rows[position], "whole": data.draw(st.integers(0, 5)), "wörd": data.draw(TEXT)}
    changed = [*rows[:position], other, *rows[position + 1 :]]
    assert (hashed(table(changed)) == hashed(table(rows))) == (
        by_the_book(other) == by_the_book(rows[position])
    )


def test_a_column_added_later_leaves_earlier_rows_alone() -> None:
    before = pa.table({"_row_id": ["a", "b"], "x": [1.0, None]})
    after = before.append_column("new", pa.nulls(2, pa.string()))
    assert hashed(before) == hashed(after)


def test_text_that_runs_into_the_next_cell_is_told_apart() -> None:
    assert hashed(pa.table({"a": ["xy"], "b": ["z"]})) != hashed(pa.table({"a": ["x"], "b": ["yz"]}))
    assert hashed(pa.table({"a": [""], "b": ["z"]})) != hashed(pa.table({"a": [None], "b": ["z"]}))


def test_types_are_told_apart_and_encodings_are_not() -> None:
    assert hashed(pa.table({"a": [1]})) != hashed(pa.table({"a": [1.0]}))
    assert hashed(pa.table({"a": ["1"]})) != hashed(pa.table({"a": [1]}))
    plain = pa.array(["x", None, "y"])
    for same in (plain.dictionary_encode(), plain.cast(pa.large_string())):
        assert hashed(pa.table({"a": same})) == hashed(pa.table({"a": plain}))
    numbers = pa.array([1, 2], pa.int64())
    assert hashed(pa.table({"a": numbers.cast(pa.int32())})) == hashed(pa.table({"a": numbers}))


def test_rows_and_labels_are_told_apart_and_repeats_count() -> None:
    one = row_digests(pa.record_batch({"a": ["x"]}))
    assert (
        len({batch_hash([one], []), batch_hash([], [one]), batch_hash([one, one], []), batch_hash([], [])})
        == 4
    )


def test_the_hash_of_a_known_batch_never_changes() -> None:
    data = pa.table(
        {
            "_row_id": ["a", "b"],
            "_batch": pa.array([1, 1], pa.int32()),
            "x": [1.5, float("nan")],
            "when": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "word": ["ü", None],
            "flag": [True, False],
        }
    )
    assert hashed(data) == KNOWN
    assert chain(GENESIS, KNOWN) == hashlib.sha256(bytes(32) + bytes.fromhex(KNOWN)).hexdigest()
    assert chain(chain(GENESIS, KNOWN), KNOWN) != chain(GENESIS, KNOWN)


def test_a_type_without_canonical_form_is_refused() -> None:
    with pytest.raises(ValueError, match="canonical form"):
        row_digests(pa.record_batch({"a": [[1]]}))
