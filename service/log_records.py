"""The prediction log's records: what is written for each batch of answers, and how a flush reads many of them.

There are two forms. A *table* record is an Arrow IPC stream, written for rows that went through the long way. A
*plain* record is MessagePack, written for rows as they came (see :class:`Head`): it costs a microsecond where a
table costs a hundred, and a flush turns thousands of them into one table, by the same reading of values that
checks every upload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.coercion import Coerced, coerce
from automl.columns import Column, ColumnKind
from automl.rows import raw_array
from service.deployment import Deployment, Scores, class_scores

PLAIN = b"INCROWS1"
AT_ONCE = 2_048
"""Rows that become a table together: few enough that no step of it keeps the interpreter to itself for long."""
_TIME = pa.timestamp("us", tz="UTC")
_SHARES = pa.list_(pa.float64())
_encoder = msgspec.msgpack.Encoder()


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What all plain records of one deployment have in common: how to read their rows and their answers.

    ``columns`` are name and kind, in the order in which the rows' values stand; ``order`` is the schema's. ``own``
    says that the callers named their rows themselves. ``classes`` are label texts, None for a number.
    """

    project: int
    version: int
    columns: tuple[tuple[str, str], ...]
    order: tuple[str, ...]
    own: bool
    classes: tuple[str, ...] | None


class _Plain(msgspec.Struct, array_like=True, gc=False):
    head: msgspec.Raw
    at: int
    """Microseconds since 1970."""
    ids: list[str]
    rows: list[list[Any]]
    raw: bytes
    """The model's answers, float64, row by row."""


class _Begin(msgspec.Struct, array_like=True):
    """As much of a plain record as says whose it is: what comes after is skipped."""

    head: msgspec.Raw


_begin_decoder = msgspec.msgpack.Decoder(_Begin)
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


def head_bytes(head: Head) -> bytes:
    return _encoder.encode(head)


def plain_record(
    head: bytes, at: int, ids: Sequence[str], rows: Sequence[Sequence[Any]], raw: npt.NDArray[np.float64]
) -> bytes:
    """A record of rows as they came; ``at`` in microseconds since 1970."""
    buffer = bytearray(PLAIN)
    _encoder.encode_into((msgspec.Raw(head), at, ids, rows, raw.tobytes()), buffer, len(PLAIN))
    return bytes(buffer)


def table_record(
    deployment: Deployment, table: pa.Table, ids: Sequence[str], scores: Scores, at: datetime
) -> bytes:
    """A record of a typed table."""
    text = deployment.schema.target.text
    answers = {
        "_row_id": pa.array(list(ids), pa.string()),
        "_value": pa.array([text(value) for value in scores.values], pa.string()),
        "_score": pa.array(np.asarray(scores.scores, dtype=np.float64)),
        "_probabilities": _shares(scores.probabilities, len(ids)),
    }
    return _as_stream(table, answers, deployment.project_id, deployment.version, at, fresh=False)


def column_record(
    head: Head, table: pa.Table, ids: pa.Array, raw: npt.NDArray[np.float64], at: datetime
) -> bytes:
    """The same, column by column: for thousands of rows."""
    time = pa.repeat(pa.scalar(at, _TIME), len(ids))
    told = _predictions(ids, head, raw.reshape(len(ids), -1), time)
    answers = {
        "_row_id": ids,
        "_value": told["value"],
        "_score": told["score"],
        "_probabilities": told["probabilities"],
    }
    return _as_stream(table, answers, head.project, head.version, at, fresh=not head.own)


def _as_stream(
    table: pa.Table, answers: Mapping[str, Any], project: int, version: int, at: datetime, *, fresh: bool
) -> bytes:
    # A caller's feature may be named like a column of the log; system names start with "_", theirs can't.
    features = {name: table[name] for name in table.column_names if not name.startswith("_")}
    meta = {"project": str(project), "version": str(version), "at": at.isoformat(), "fresh": str(int(fresh))}
    full = pa.table({**features, **answers}).combine_chunks().replace_schema_metadata(meta)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, full.schema) as writer:
        writer.write_table(full)
    return bytes(sink.getvalue().to_pybytes())


def records_by_project(payloads: Iterable[bytes]) -> Counter[int]:
    """How many records there are of each project."""
    return Counter(map(_Owners(), payloads))


def read_records(
    payloads: Iterable[bytes],
    *,
    only: int | None = None,
    most: int = AT_ONCE,
    pace: Callable[[], None] = lambda: None,
) -> Iterator[Logged]:
    """The rows of a segment's records (``only`` one project's), those of one form together, about ``most`` rows at once:
    so much is in memory, however long the segment is. ``pace`` is called often, to rest in."""
    plain: dict[bytes, _Gathered] = {}
    tables: list[Logged] = []
    owner = _Owners()
    for payload in payloads:
        pace()
        if only is not None and owner(payload) != only:
            continue
        if not payload.startswith(PLAIN):
            tables.append(_logged_table(payload))
            if sum(one.rows.num_rows for one in tables) >= most:
                yield from _joined(tables)
                tables = []
            continue
        record = _plain_decoder.decode(memoryview(payload)[len(PLAIN) :])
        head = bytes(record.head)
        gathered = plain.setdefault(head, _Gathered())
        gathered.add(record)
        if len(gathered.ids) >= most:
            yield _logged_plain(head, plain.pop(head), pace)
    for head, gathered in plain.items():
        yield _logged_plain(head, gathered, pace)
    yield from _joined(tables)


class _Owners:
    """Whose record is it? Records of one deployment begin alike, so a look at the last one's beginning mostly tells."""

    def __init__(self) -> None:
        self._beginning = b"\0"
        self._project = 0

    def __call__(self, payload: bytes) -> int:
        if payload.startswith(self._beginning):
            return self._project
        if not payload.startswith(PLAIN):
            with pa.ipc.open_stream(payload) as reader:
                return int(reader.schema.metadata[b"project"])
        begin = _begin_decoder.decode(memoryview(payload)[len(PLAIN) :])
        head = bytes(begin.head)
        self._beginning = payload[: len(PLAIN) + 1] + head  # behind the mark of an array of five
        self._project = _head_decoder.decode(head).project
        return self._project


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


def _logged_plain(encoded: bytes, gathered: _Gathered, pace: Callable[[], None]) -> Logged:
    head = _head_decoder.decode(encoded)
    count = len(gathered.ids)
    raw = np.frombuffer(b"".join(gathered.raw), np.float64).reshape(count, -1)
    times = np.repeat(np.asarray(gathered.times, dtype="datetime64[us]"), gathered.counts)
    ids, at = pa.array(gathered.ids, pa.string()), pa.array(times).cast(_TIME)
    typed = typed_table(head, gathered.rows, pace)
    # A caller's feature may be named like a column of the log; system names start with "_", theirs can't.
    features = [name for name in typed.column_names if not name.startswith("_")]
    rows = pa.table([ids, *typed.select(features).columns, at], names=["_row_id", *features, "_arrived_at"])
    return Logged(
        project=head.project,
        rows=rows,
        predictions=_predictions(ids, head, raw, at),
        fresh=not head.own,
        records=len(gathered.counts),
    )


def typed_table(
    head: Head, rows: Sequence[Sequence[Any]], pace: Callable[[], None] = lambda: None
) -> pa.Table:
    """Rows as they came, as the table that the check of a schema makes of them."""
    found = {}
    for (name, kind), values in zip(head.columns, zip(*rows, strict=True), strict=True):
        found[name] = read_column(values, Column(name=name, kind=ColumnKind(kind))).values
        pace()
    return pa.table([found[name] for name in head.order], names=list(head.order))


def read_column(values: Sequence[Any], column: Column) -> Coerced:
    """One column as the check reads it. What a form has read is mostly of the column's own type already."""
    try:
        if column.kind in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):  # JSON has neither NaN nor infinity
            return Coerced(pa.array(values, column.arrow_type))
        return coerce(pa.array(values, pa.string()), column)
    except (pa.ArrowException, TypeError, OverflowError):  # a huge number, a number as id
        return coerce(raw_array(values, column.name), column)


def _predictions(ids: pa.Array, head: Head, raw: npt.NDArray[np.float64], at: pa.Array) -> pa.Table:
    if head.classes is None:
        scores, probabilities = raw[:, 0], None
        values = pa.array([repr(value) for value in scores.tolist()], pa.string())
    else:
        top = raw.argmax(axis=1)
        values = pa.array(head.classes, pa.string()).take(pa.array(top))
        scores = class_scores(raw, top)
        probabilities = raw
    return pa.table(
        {
            "_row_id": ids,
            "model_version": pa.repeat(pa.scalar(head.version, pa.int32()), len(ids)),
            "value": values,
            "score": pa.array(np.ascontiguousarray(scores)),
            "probabilities": _shares(probabilities, len(ids)),
            "at": at,
        }
    )


def _shares(probabilities: npt.NDArray[np.float64] | None, count: int) -> pa.Array:
    if probabilities is None:
        return pa.nulls(count, _SHARES)
    offsets = np.arange(0, probabilities.size + 1, probabilities.shape[1], dtype=np.int32)
    flat = pa.array(np.ascontiguousarray(probabilities, dtype=np.float64).ravel())
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _logged_table(payload: bytes) -> Logged:
    with pa.ipc.open_stream(payload) as reader:
        table = reader.read_all()
    meta = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    table = table.replace_schema_metadata(None)
    count = table.num_rows
    at = pa.repeat(pa.scalar(datetime.fromisoformat(meta["at"]).astimezone(UTC), _TIME), count)
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
