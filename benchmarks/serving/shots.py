"""One measurement: a generator process of its own against one server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving import load
from benchmarks.serving.servers import ROOT, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How a server is asked."""

    name: str
    told: str
    connections: int
    rows: int
    bodies: int


CASES = (
    Case(name="one", told="1 client, 1 row a call", connections=1, rows=1, bodies=512),
    Case(name="many", told="64 clients, 1 row a call", connections=64, rows=1, bodies=512),
    Case(name="wide", told="8 clients, 1,000 rows a call", connections=8, rows=1_000, bodies=8),
)


class Gun:
    """Holds prepared requests in a file and fires them at a server's port."""

    def __init__(self, folder: Path, name: str, requests: Sequence[bytes]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{name}.requests"
        load.write_requests(self._file, list(requests))

    def begin(self, server: Server, *, connections: int, seconds: float, **order: Any) -> Shot:
        """Starts the load and returns at once."""
        told = {"file": str(self._file), "port": server.port, "connections": connections, "seconds": seconds}
        return Shot(server, {**told, **order})

    def fire(self, server: Server, *, connections: int, seconds: float, **order: Any) -> dict[str, Any]:
        """What the generator saw, and ``cpu_ms``: the server's processor time for each answer."""
        return self.begin(server, connections=connections, seconds=seconds, **order).end()


class Shot:
    """Load under way."""

    def __init__(self, server: Server, order: dict[str, Any]) -> None:
        self._server = server
        self._cpu = server.cpu_seconds()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order))
        self._process.stdin.close()

    @property
    def under_way(self) -> bool:
        return self._process.poll() is None

    def end(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        if self._process.wait():
            raise RuntimeError(f"the load generator failed against {self._server.name}")
        found: dict[str, Any] = json.loads(said)
        answers = max(1, found["answered_in_all"])
        found["cpu_ms"] = (self._server.cpu_seconds() - self._cpu) * 1000 / answers
        return found
