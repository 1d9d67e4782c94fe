"""A service with a real registry in a folder, and only the data and feedback endpoints."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from automl.task import Task, TaskKind
from registry.records import Batch, Project
from registry.store import Registry
from service.api import data, labels
from service.api.context import Context
from service.problems import install_problems
from service.settings import Settings


@dataclass
class Clock:
    """A clock that moves a second each time it is looked at."""

    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class Nudged:
    """Stands where the scheduler does and counts how often it is woken."""

    times: int = 0

    def nudge(self) -> None:
        self.times += 1


class IntakeHome:
    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.registry = Registry.open(home)
        self.clock = Clock()
        self.scheduler = Nudged()
        app = FastAPI()
        install_problems(app)
        app.include_router(data.router, prefix="/v1/projects")
        app.include_router(labels.router, prefix="/v1/projects")
        app.state.context = Context(
            settings=Settings(home=home, **settings),
            registry=self.registry,
            clock=self.clock,
            serving=cast(Any, None),
            observation=cast(Any, None),
            shadow=cast(Any, None),
            scheduler=cast(Any, self.scheduler),
            metrics=cast(Any, None),
            approving=cast(Any, None),
            keys_required=False,
        )
        self.app = app
        self.http = TestClient(app, raise_server_exceptions=False)

    def start_afresh(self) -> None:
        """Forget all projects, and make a new one."""
        for project in self.registry.projects.list():
            self.registry.projects.delete(project.name, at=self.clock())
        self.scheduler.times = 0
        self.project()

    def batches(self) -> tuple[Batch, ...]:
        return self.registry.datasets.batches(self.registry.projects.get("p").id)

    def project(
        self, name: str = "p", *, target: str = "y", regression: bool = False, **task: Any
    ) -> Project:
        kind = TaskKind.REGRESSION if regression else TaskKind.CLASSIFICATION
        made = Task(kind=kind, target=target, metric="auto", **task)
        return self.registry.projects.create(name, task=made.to_json(), policy={}, at=self.clock())

    def upload(
        self, body: bytes | str, filename: str = "data.csv", *, project: str = "p", key: str | None = None
    ) -> Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post(
            f"/v1/projects/{project}/data", files={"file": (filename, body)}, headers=headers
        )

    def rows(self, rows: Any, *, project: str = "p") -> Response:
        return self.http.post(f"/v1/projects/{project}/data", json={"rows": rows})

    def feedback(self, labels: Any, *, key: str | None = None, **more: Any) -> Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post("/v1/projects/p/feedback", json={"labels": labels, **more}, headers=headers)

    def ids(self) -> list[str]:
        project = self.registry.projects.get("p")
        found: list[str] = self.registry.datasets.recent(project.id, 1_000_000)["_row_id"].to_pylist()
        return found

    def stored(self, *, project: str = "p") -> pa.Table:
        found = self.registry.projects.get(project)
        version = self.registry.datasets.latest(found.id)
        assert version is not None
        return self.registry.datasets.read(found.id, version.number, labelled=False)

    def leftovers(self) -> list[Path]:
        """Files of uploads that are neither stored nor gone."""
        folders = [self.home / "staging", self.home / "spool"]
        return [
            path for folder in folders if folder.exists() for path in folder.iterdir() if path.name != "lock"
        ]

    def assert_untouched(self, *, project: str = "p", schema: bool = False) -> None:
        """Nothing was stored, and nothing lies about."""
        found = self.registry.projects.get(project)
        assert self.registry.datasets.batches(found.id) == ()
        assert (found.schema is not None) is schema
        assert self.leftovers() == []


def csv_rows(count: int, *, start: int = 0, ids: bool = False) -> str:
    """A valid CSV: a number, a category, and a label of two classes."""
    lines = ["id,a,b,y"] if ids else ["a,b,y"]
    for at in range(start, start + count):
        line = f"{at / 2},{'red' if at % 3 else 'blue'},{'yes' if at % 2 else 'no'}"
        lines.append(f"r{at},{line}" if ids else line)
    return "\n".join(lines) + "\n"


def jsonl(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(columns: dict[str, Any] | pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink)
    return sink.getvalue()


def bomb(piece: bytes, times: int, *, members: int = 1, head: bytes = b"") -> bytes:
    """A gzip file that expands to ``head`` and ``times * members`` pieces.

    The piece is compressed once: deflate blocks that end in a full flush can be repeated as they are. The
    trailer tells the true size, but no true checksum.
    """
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = press.compress(piece) + press.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.crc32(piece * times) if members > 1 else 0
    trailer = checksum.to_bytes(4, "little") + (len(piece) * times % 2**32).to_bytes(4, "little")
    start = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    member = start + block * times + press.flush() + trailer
    return (gzip.compress(head) if head else b"") + member * members
