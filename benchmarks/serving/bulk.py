"""Bulk scoring: Arrow tables over HTTP against the model's own limit on one thread."""

from __future__ import annotations

import http.client
import io
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.serving import house, material
from benchmarks.serving.contestants import BY_NAME
from benchmarks.serving.servers import Server

ARROW = "application/vnd.apache.arrow.stream"
SIZES = (1_000_000, 200_000, 10_000)
"""Rows in one call; the first that is not refused is measured."""
BATCH = 65_536


def measure(folder: Path, *, seconds: float, most_rows: int = SIZES[0]) -> dict[str, Any]:
    """``rows_per_second`` of calls on one connection, and ``limit``; or ``refused`` with what the server said."""
    server = BY_NAME["incumbent"].start(folder)
    try:
        server.wait()
        server.hold()
        made = house.House(folder / "reference")
        limit = _own_limit(made, seconds)
        made.close()
        server.go()
        for rows in (size for size in SIZES if size <= most_rows):
            body = _table(rows)
            status, answer = _post(server, body)
            if status == 200:
                return {"limit": limit, "rows": rows, **_sustained(server, body, rows, seconds, answer)}
        return {"limit": limit, "refused": f"{status}: {answer[:300].decode(errors='replace')}"}
    finally:
        server.stop()


def _sustained(server: Server, body: bytes, rows: int, seconds: float, answer: bytes) -> dict[str, Any]:
    before, cpu = server.resident_mib(children=False), server.cpu_seconds()
    with _Peak(server) as peak:
        calls, started = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - started < seconds:
            status, _ = _post(server, body)
            if status != 200:
                raise RuntimeError(f"bulk call {calls} was answered with {status}")
            calls += 1
        taken = time.perf_counter() - started
    return {
        "rows_per_second": calls * rows / taken,
        "rows_per_cpu_second": calls * rows / max(1e-9, server.cpu_seconds() - cpu),
        "calls": calls,
        "body_mib": len(body) / 2**20,
        "resident_before_mib": before,
        "resident_peak_mib": peak.highest,
        "answer_rows": _rows_of(answer),
    }


def _own_limit(made: house.House, seconds: float) -> float:
    """Rows a second of the trees alone: rows encoded before, one thread, no HTTP."""
    pipeline = made.fit()
    matrix = np.tile(made.encoded(pipeline), (8, 1))
    booster = pipeline[-1].booster_
    done, started = 0, time.perf_counter()
    while not done or time.perf_counter() - started < min(seconds, 5):
        booster.predict(matrix, num_threads=1)
        done += len(matrix)
    return done / (time.perf_counter() - started)


def _table(rows: int) -> bytes:
    columns = material.columns(min(rows, 100_000), seed=3)
    table = pa.table({name: columns[name] for name in material.FEATURES})
    table = pa.concat_tables([table] * -(-rows // table.num_rows)).slice(0, rows).combine_chunks()
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH)
    return sink.getvalue()


def _post(server: Server, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    try:
        connection.request(
            "POST",
            f"/v1/projects/{house.COMPILED}/predict",
            body=body,
            headers={"Content-Type": ARROW, "Accept": ARROW},
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (BrokenPipeError, ConnectionResetError):  # refused before it was read
        return 413, b"the connection was closed while the body was sent"
    finally:
        connection.close()


def _rows_of(answer: bytes) -> int | None:
    try:
        return int(pa.ipc.open_stream(answer).read_all().num_rows)
    except pa.ArrowInvalid:  # another form of answer
        return None


class _Peak:
    """The highest resident memory of a server while it lasts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self.highest = 0.0

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.highest = max(self.highest, self._server.resident_mib(children=False))
