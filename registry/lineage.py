"""The content hash: what a dataset version holds, whatever files it lies in.

*Row.* The concatenation of its cells, sorted by column name: name (u16 length, UTF-8), one byte for the type,
the value. Values are little-endian: float64 as bits (every NaN as one), int64, bool as one byte, time as
int64 microseconds since 1970 UTC, text as u32 length and UTF-8. A null cell is left out, so a column that is
added later doesn't change the rows before it. ``_batch`` is left out: it says where a row is, not what it is.

*Batch.* Each row's SHA-256; these digests sorted (so order, chunks and files don't matter), first those of
the rows, then those of the labels, each part preceded by its name and count; SHA-256 over all.

*Revocation.* A batch that holds no rows and labels, but says which labels count no longer: SHA-256 over its
criteria (source, origin, teacher, since) as cells of a row.

*Version.* SHA-256 over the version before (32 zero bytes at the start) and the batch's hash: a chain, so
equal hashes mean equal histories.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

GENESIS = "0" * 64
POSITION_COLUMNS = frozenset({"_batch"})
_DIGEST_BYTES = 32
Digests = NDArray[np.uint8]
"""One SHA-256 a row: an array of shape (n, 32)."""


def row_digests(batch: pa.RecordBatch) -> Digests:
    """The SHA-256 of each row. Raises ValueError for a column of a type that has no canonical form."""
    if batch.num_rows == 0:
        return np.empty((0, _DIGEST_BYTES), np.uint8)
    names = sorted(name for name in batch.schema.names if name not in POSITION_COLUMNS)
    cells = [part for name in names for part in _cells(name, batch.column(name))]
    if cells:
        joined = pc.binary_join_element_wise(*cells, pa.scalar(b"", pa.large_binary()), null_handling="skip")
    else:
        joined = pa.array([b""] * batch.num_rows, pa.large_binary())
    sha256 = hashlib.sha256
    offsets = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset :][: len(joined) + 1].tolist()
    data = memoryview(joined.buffers()[2] or b"")
    digests = b"".join([sha256(data[a:b]).digest() for a, b in pairwise(offsets)])
    return np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES)


def batch_hash(rows: Iterable[Digests], labels: Iterable[Digests]) -> str:
    """The hash of a batch from the digests of its rows and of its labels, in any order."""
    whole = hashlib.sha256(b"incumbent batch 1\n")
    for name, parts in ((b"rows", rows), (b"labels", labels)):
        digests = np.concatenate([np.empty((0, _DIGEST_BYTES), np.uint8), *parts])
        whole.update(struct.pack("<4sQ", name[:4], len(digests)))
        ordered = np.ascontiguousarray(digests).view(f"S{_DIGEST_BYTES}").ravel()
        whole.update(np.sort(ordered).tobytes())
    return whole.hexdigest()


def revocation_hash(
    source: str | None, origin: str | None, teacher: int | None, since: datetime | None
) -> str:
    """The hash of a batch that takes labels back."""
    cells = {
        "source": pa.array([source], pa.string()),
        "origin": pa.array([origin], pa.string()),
        "teacher": pa.array([teacher], pa.int64()),
        "since": pa.array([since], pa.timestamp("us", "UTC")),
    }
    digest = row_digests(pa.RecordBatch.from_pydict(cells))
    return hashlib.sha256(b"incumbent revocation 1\n" + digest.tobytes()).hexdigest()


def chain(previous: str, batch: str) -> str:
    """The hash of the version that a batch makes of the one before it (``GENESIS`` when there is none)."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(batch)).hexdigest()


def _cells(name: str, column: pa.Array) -> list[pa.Array]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(name, column.dictionary_decode())
    if pa.types.is_floating(kind):
        values = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        bits = np.where(np.isnan(values), np.nan, values).view(np.uint64)
        return [_fixed(name, b"f", bits.astype("<u8"), column)]
    if pa.types.is_integer(kind):
        return [_fixed(name, b"i", _whole(column.cast(pa.int64())), column)]
    if pa.types.is_boolean(kind):
        return [_fixed(name, b"b", _whole(column.cast(pa.uint8())).astype(np.uint8), column)]
    if pa.types.is_timestamp(kind):
        return [_fixed(name, b"t", _whole(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())), column)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = column.cast(pa.large_binary())
        lengths = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
        return [_fixed(name, b"s", lengths.astype("<u4"), column), text]
    if pa.types.is_null(kind):
        return []
    raise ValueError(f"column {name!r} of type {kind} has no canonical form")


def _whole(column: pa.Array) -> NDArray[np.int64]:
    values: NDArray[np.int64] = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    return values.astype("<i8") if values.dtype == np.int64 else values


def _fixed(name: str, tag: bytes, values: NDArray[np.generic], column: pa.Array) -> pa.Array:
    """Prefix and value as binary cells of one width; null where the column is."""
    encoded = name.encode()
    prefix = np.frombuffer(struct.pack("<H", len(encoded)) + encoded + tag, np.uint8)
    width = len(prefix) + values.dtype.itemsize
    cells = np.empty((len(values), width), np.uint8)
    cells[:, : len(prefix)] = prefix
    cells[:, len(prefix) :] = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    nothing = pc.is_null(column)
    mask = None if column.null_count == 0 else pc.invert(nothing).buffers()[1]
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [mask, pa.py_buffer(cells)])
    return binary.cast(pa.large_binary())
