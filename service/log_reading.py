"""How the prediction log's records (:mod:`service.log_records`) become tables: thousands of records at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from automl.coercion import Coerced, coerce
from automl.columns import Column, ColumnKind
from automl.rows import raw_array
from service.log_records import PLAIN, TIME, Head, told

AT_ONCE = 8_192
"""Rows that become a table together: so many are in memory."""


class _Plain(msgspec.Struct, array_like=True, gc=False):
    head: msgspec.Raw
    at: int
    """Microseconds since 1970."""
    ids: list[str]
    rows: list[list[Any]]
    raw: bytes
    """The model's answers, float64, row by row."""


_plain_decoder = msgspec.msgpack.Decoder(_Plain)
_head_decoder = msgspec.msgpack.Decoder(Head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Answered rows of one project as the tables take them. ``fresh`` says that no id can be known already."""

    project: int
    rows: pa.Table
    predictions: pa.Table
    fresh: bool
    records: int


def read_records(payloads: Iterable[bytes], *, most: int = AT_ONCE) -> Iterator[Logged]:
    """The rows of a segment's records, those of one form together, about ``most`` rows at once: so much is in memory,
    however long the segment is. Raises ValueError for what is no record."""
    plain: dict[bytes, _Gathered] = {}
    tables: list[Logged] = []
    for payload in payloads:
        if not payload.startswith(PLAIN):
            tables.append(_logged_table(payload))
            if sum(one.rows.num_rows for one in tables) >= most:
                yield from _joined(tables)
                tables = []
            continue
        record = _plain_decoder.decode(memoryview(payload)[len(PLAIN) :])
        head = bytes(record.head)
        gathered = plain.get(head)
        if gathered is None:
            gathered = plain[head] = _Gathered()
        gathered.add(record)
        if len(gathered.ids) >= most:
            yield _logged_plain(head, plain.pop(head))
    for head, gathered in plain.items():
        yield _logged_plain(head, gathered)
    yield from _joined(tables)


class _Gathered:
    """Plain records of one head, not yet a table."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.rows: list[list[Any]] = []
        self.raw: list[bytes] = []
        self.times: list[int] = []
        self.counts: list[int] = []

    def add(self, record: _Plain) -> None:
        self.ids += record.ids
        self.rows += record.rows
        self.raw.append(record.raw)
        self.times.append(record.at)
        self.counts.append(len(record.ids))


def _logged_plain(encoded: bytes, gathered: _Gathered) -> Logged:
    head = _head_decoder.decode(encoded)
    count = len(gathered.ids)
    raw = np.frombuffer(b"".join(gathered.raw), np.float64).reshape(count, -1)
    times = np.repeat(np.asarray(gathered.times, dtype="datetime64[us]"), gathered.counts)
    ids, at = pa.array(gathered.ids, pa.string()), pa.array(times).cast(TIME)
    typed = typed_table(head, gathered.rows)
    # A caller's feature may be named like a column of the log; system names start with "_", theirs can't.
    features = [name for name in typed.column_names if not name.startswith("_")]
    rows = pa.table([ids, *typed.select(features).columns, at], names=["_row_id", *features, "_arrived_at"])
    return Logged(
        project=head.project,
        rows=rows,
        predictions=told(ids, head, raw, at),
        fresh=not head.own,
        records=len(gathered.counts),
    )


def typed_table(head: Head, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Rows as they came, as the table that the check of a schema makes of them."""
    found = {}
    for (name, kind), values in zip(head.columns, zip(*rows, strict=True), strict=True):
        found[name] = read_column(values, Column(name=name, kind=ColumnKind(kind))).values
    return pa.table([found[name] for name in head.order], names=list(head.order))


def read_column(values: Sequence[Any], column: Column) -> Coerced:
    """One column as the check reads it. What a form has read is mostly of the column's own type already."""
    try:
        if column.kind in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):  # JSON has neither NaN nor infinity
            return Coerced(pa.array(values, column.arrow_type))
        return coerce(pa.array(values, pa.string()), column)
    except (pa.ArrowException, TypeError, OverflowError):  # a huge number, a number as id
        return coerce(raw_array(values, column.name), column)


def _logged_table(payload: bytes) -> Logged:
    with pa.ipc.open_stream(payload) as reader:
        table = reader.read_all()
    meta = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    table = table.replace_schema_metadata(None)
    count = table.num_rows
    at = pa.repeat(pa.scalar(datetime.fromisoformat(meta["at"]).astimezone(UTC), TIME), count)
    features = [name for name in table.column_names if not name.startswith("_")]
    predictions = {
        "_row_id": table["_row_id"],
        "model_version": pa.repeat(pa.scalar(int(meta["version"]), pa.int32()), count),
        "value": table["_value"],
        "score": table["_score"],
        "probabilities": table["_probabilities"],
        "at": at,
    }
    return Logged(
        project=int(meta["project"]),
        rows=table.select(["_row_id", *features]).append_column("_arrived_at", at),
        predictions=pa.table(predictions),
        fresh=meta.get("fresh") == "1",
        records=1,
    )


def _joined(tables: Sequence[Logged]) -> Iterator[Logged]:
    """Table records of one project and one set of columns as one."""
    alike: dict[tuple[int, bool, pa.Schema], list[Logged]] = {}
    for one in tables:
        alike.setdefault((one.project, one.fresh, one.rows.schema), []).append(one)
    for (project, fresh, _), group in alike.items():
        yield Logged(
            project=project,
            rows=pa.concat_tables([one.rows for one in group]).combine_chunks(),
            predictions=pa.concat_tables([one.predictions for one in group]).combine_chunks(),
            fresh=fresh,
            records=len(group),
        )
