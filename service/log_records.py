"""The prediction log's records: what is written for each batch of answers. :mod:`service.log_reading` reads them.

There are two forms. A *table* record is an Arrow IPC stream, written for rows that went through the long way. A
*plain* record is MessagePack, written for rows as they came (see :class:`Head`): it costs a microsecond where a
table costs a hundred, and a flush turns thousands of them into one table, by the same reading of values that
checks every upload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.scores import Scores, class_scores

if TYPE_CHECKING:
    from service.deployment import Deployment

PLAIN = b"INCROWS1"
TIME = pa.timestamp("us", tz="UTC")
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
    time = pa.repeat(pa.scalar(at, TIME), len(ids))
    answered = told(ids, head, raw.reshape(len(ids), -1), time)
    answers = {
        "_row_id": ids,
        "_value": answered["value"],
        "_score": answered["score"],
        "_probabilities": answered["probabilities"],
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


def told(ids: pa.Array, head: Head, raw: npt.NDArray[np.float64], at: pa.Array) -> pa.Table:
    """What callers were told, as the predictions table has it: ``raw`` (n, K) is the model's answers."""
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
