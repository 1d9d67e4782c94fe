"""The load generator, a process of its own: HTTP/1.1 keep-alive over raw sockets, prepared bodies, checked answers.

Reads one order as JSON on standard input and writes what happened as JSON on standard output. An order names the
port, a file of complete requests (each behind its length in eight bytes), the connections, the seconds, and
perhaps a rate. Without a rate every connection sends its next request as soon as it has an answer. With one, requests
are due at even intervals and a request's latency runs from when it could have been sent, so that a server that
stands still is charged for all who wait. It needs no package; uvloop is used where there is one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    from uvloop import run
except ImportError:
    from asyncio import run

TICK = 0.001
CLOSE_ENOUGH = 1e-6


class Tally:
    """Latencies of what ended within the window, and everything that went wrong at any time."""

    def __init__(self, expected: list[dict[str, list[float]]] | None) -> None:
        self.latencies: list[float] = []
        self.counting = False
        self.answered = 0
        self.bytes = 0
        self.faults: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.first_fault = ""
        self._expected = expected
        self._asked: list[int] = []
        self._bodies: list[bytes] = []

    def answer(self, number: int, status: bytes, body: bytes, seconds: float) -> None:
        self.answered += 1
        if self.counting:
            self.latencies.append(seconds)
            self.bytes += len(body)
        if status != b"200":
            self.fault(f"status {status.decode()}", body)
        elif self._expected is not None:
            self._asked.append(number)
            self._bodies.append(body)

    def check(self) -> None:
        """Looks at the answers that were kept: not while more come, as the generator shares the machine with the server."""
        for number, body in zip(self._asked, self._bodies, strict=True):
            self._check(number, body)

    def fault(self, kind: str, told: bytes = b"") -> None:
        self.faults[kind] += 1
        self.first_fault = self.first_fault or f"{kind}: {told[:300].decode(errors='replace')}"

    def _check(self, number: int, body: bytes) -> None:
        """Every row of an answer must be what the version that the answer names says of it."""
        said = json.loads(body)
        version = str(said["model_version"])
        self.versions[version] += 1
        expected = (self._expected or [])[number].get(version)
        if expected is None:
            return self.fault(f"unknown version {version}", body)
        found = [list(one["probabilities"].values())[-1] for one in said["predictions"]]
        right = len(found) == len(expected) and all(
            abs(one - other) < CLOSE_ENOUGH for one, other in zip(found, expected, strict=True)
        )
        return None if right else self.fault("mixed or wrong answer", body)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, tally: Tally, on_free: Callable[[Connection], None]) -> None:
        self._tally = tally
        self._on_free = on_free
        self._buffer = bytearray()
        self._need = 0
        self.number = -1
        self.since = 0.0
        self.open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.open = True
        self._on_free(self)

    def send(self, number: int, request: bytes, since: float) -> None:
        self.number, self.since = number, since
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:  # a large answer is not looked at again before it is whole
                return
            buffer = bytes(self._buffer)
        else:
            buffer = data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._keep(buffer)
            return
        head = buffer[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            if not buffer.endswith(b"0\r\n\r\n"):  # chunked
                self._keep(buffer)
                return
            body = _unchunked(buffer[end + 4 :])
        else:
            stop = head.find(b"\r\n", at)
            self._need = end + 4 + int(head[at + 15 : stop if stop > 0 else None])
            if len(buffer) < self._need:
                self._keep(buffer)
                return
            body = buffer[end + 4 : self._need]
        self._buffer, self._need = bytearray(), 0
        number, self.number = self.number, -1
        self._tally.answer(number, buffer[9:12], body, time.perf_counter() - self.since)
        self._on_free(self)

    def _keep(self, buffer: bytes) -> None:
        if not self._buffer:
            self._buffer = bytearray(buffer)

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self.number >= 0:
            self._tally.fault("connection lost", str(error or "").encode())


def _unchunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)


class Generator:
    """Keeps a server busy for the ordered time, or until so many requests were answered."""

    def __init__(self, order: dict[str, Any], requests: list[bytes]) -> None:
        self._order = order
        self._requests = requests
        self._tally = Tally(order.get("expected"))
        self._rate: float = order.get("rate") or 0.0
        self._most: int = order.get("requests") or sys.maxsize
        self._sent = 0
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._sending = False

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(
                lambda: Connection(self._tally, self._freed),
                self._order.get("host", "127.0.0.1"),
                self._order["port"],
            )
            for _ in range(self._order["connections"])
        ]
        connections = [one for _, one in made]
        self._sending = True
        if self._rate:
            pacing = asyncio.ensure_future(self._pace())
        else:
            for connection in list(self._free):
                self._freed(connection)
        await asyncio.sleep(self._order.get("warm", 0.5))
        started, processor = time.perf_counter(), time.process_time()
        self._tally.counting = True
        await self._until(started + self._order["seconds"], connections)
        self._tally.counting = False
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        self._sending = False
        if self._rate:
            await pacing
        await self._drain(connections)
        self._tally.check()
        return self._report(seconds, processor)

    def _freed(self, connection: Connection) -> None:
        if not self._sending:
            self._free.append(connection)
        elif not self._rate:
            if self._sent < self._most:
                self._send(connection, time.perf_counter())
        elif self._due:
            self._send(connection, self._due.popleft())
        else:
            self._free.append(connection)

    def _send(self, connection: Connection, since: float) -> None:
        number = self._sent % len(self._requests)
        self._sent += 1
        connection.send(number, self._requests[number], since)

    async def _pace(self) -> None:
        """Sends what has come due since the last tick; what finds no free connection waits, and its wait counts."""
        origin = time.perf_counter()
        due = 0
        while self._sending:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            wanted = int((now - origin) * self._rate)
            for _ in range(wanted - due):
                if self._free:
                    self._send(self._free.popleft(), time.perf_counter())
                else:
                    self._due.append(now)
            due = wanted

    async def _until(self, end: float, connections: list[Connection]) -> None:
        while time.perf_counter() < end and self._tally.answered < self._most:
            await asyncio.sleep(min(0.01, max(0.0, end - time.perf_counter())))
            if not any(one.open for one in connections):
                break

    async def _drain(self, connections: list[Connection]) -> None:
        """Waits for the answers under way, so that none is called lost."""
        end = time.perf_counter() + 30
        while any(one.open and one.number >= 0 for one in connections) and time.perf_counter() < end:
            await asyncio.sleep(0.01)
        for one in connections:
            if one.open and one.number >= 0:
                self._tally.fault("no answer within 30 s")
                one.number = -1
            one.transport.close()

    def _report(self, seconds: float, processor: float) -> dict[str, Any]:
        ordered = sorted(self._tally.latencies)
        count = len(ordered)

        def share(part: float) -> float:
            return ordered[min(count - 1, int(part * count))] * 1000 if count else float("nan")

        return {
            "answers": count,
            "seconds": seconds,
            "per_second": count / seconds,
            "p50_ms": share(0.5),
            "p90_ms": share(0.9),
            "p99_ms": share(0.99),
            "p999_ms": share(0.999),
            "max_ms": share(1.0),
            "answered_in_all": self._tally.answered,
            "bytes": self._tally.bytes,
            "failed": sum(self._tally.faults.values()),
            "faults": dict(self._tally.faults),
            "first_fault": self._tally.first_fault,
            "versions": dict(self._tally.versions),
            "generator_cpu_ms": processor / count * 1000 if count else float("nan"),
        }


def read_requests(path: Path) -> list[bytes]:
    data, requests, at = path.read_bytes(), [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "big")
        requests.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return requests


def write_requests(path: Path, requests: list[bytes]) -> None:
    path.write_bytes(b"".join(len(one).to_bytes(8, "big") + one for one in requests))


def main() -> None:
    order = json.load(sys.stdin)
    generator = Generator(order, read_requests(Path(order["file"])))
    gc.disable()  # there are no cycles to find, and a pause here would be taken for the server's
    json.dump(run(generator.run()), sys.stdout)


if __name__ == "__main__":
    main()
