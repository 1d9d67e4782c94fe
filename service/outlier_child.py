"""The process that looks for odd rows: ``python -m service.outlier_child PARENT``.

Reading rows and measuring them costs as much as answering several times as many, and the interpreter that answers is not
to be shared with that. It sees the tables, which it only reads, and not the database: the measure comes with the question.
It ends with its parent, or when nothing was asked for a while.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from automl.oddness import Odd, Oddness
from automl.tallies import Values
from registry.reading import Arrivals
from service.frames import read_frame, write_frame
from service.lineup import fall_in
from service.memory import keep_little
from service.outlier_messages import Found, Looked, Rows
from service.rests import Pauses

IDLE_SECONDS = 120
_PIECE = 128
"""Rows measured in one go, some milliseconds of work."""
_REST = 10.0
"""How long to rest after a piece, in lengths of the piece: even beside it, on another processor, work slows answering."""
_LONGEST_TEXT = 100


def looked(asked: Rows) -> Looked:
    """The odd rows among those asked about, the oddest first."""
    oddness = Oddness.from_bytes(asked.measure)
    held = tuple((number, count) for number, count in asked.held)
    came = Arrivals(folder=Path(asked.folder), upto=asked.upto, held=held, rows=asked.rows, most=asked.newest)
    rows = came.read()
    ids = rows["_row_id"].to_pylist()
    if not ids:
        return Looked()
    pause, parts = Pauses(_REST), []
    for start in range(0, rows.num_rows, _PIECE):
        parts.append(oddness.scores(rows.slice(start, _PIECE), ids[start : start + _PIECE]))
        pause()
    score = np.concatenate([part.score for part in parts])
    times = np.concatenate([part.times for part in parts])
    odd = np.flatnonzero(score >= asked.threshold)
    oddest = odd[np.lexsort((-times[odd], -score[odd]))][: asked.most]
    found = _described(oddness, rows.take(pa.array(oddest)), score[oddest], times[oddest])
    return Looked(rows=rows.num_rows, odd=len(odd), found=found)


def _described(oddness: Oddness, rows: pa.Table, score: Values, times: Values) -> list[Found]:
    if not rows.num_rows:
        return []
    whys = oddness.why(rows, rows["_row_id"].to_pylist())
    return [
        Found(
            row_id=row["_row_id"],
            batch=row["_batch"],
            source=row["_source"] or "upload",
            score=float(score[at]),
            times=float(times[at]),
            reasons=[_reason(odd, row) for odd in whys[at]],
            arrived_at=row["_arrived_at"],
        )
        for at, row in enumerate(rows.to_pylist())
    ]


def _reason(odd: Odd, row: Mapping[str, Any]) -> dict[str, Any]:
    """Why in a person's words: the column, its value, and between what nine of ten lie."""
    value = row.get(odd.column)
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        value = value[:_LONGEST_TEXT]
    usual = None if odd.usual is None else [float(edge) for edge in odd.usual]
    return {"column": odd.column, "share": round(odd.share, 4), "value": value, "usual": usual}


def answer(message: bytes) -> bytes:
    try:
        reply = looked(msgspec.msgpack.decode(message, type=Rows))
    except Exception as error:  # whatever it is, the server is told and the next look tries again
        reply = Looked(error=f"{type(error).__name__}: {error}")
    return msgspec.msgpack.encode(reply)


def main(arguments: list[str]) -> int:
    # What a library prints must not get among the messages.
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    fall_in(int(arguments[0]))
    keep_little()
    heard = sys.stdin.buffer
    while select.select([heard], [], [], IDLE_SECONDS)[0]:
        message = read_frame(heard)
        if message is None:
            break
        write_frame(told, answer(message))
        pa.default_memory_pool().release_unused()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
