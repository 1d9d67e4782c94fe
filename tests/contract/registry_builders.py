"""What the registry's contract tests begin with, and their own time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TypeVar

from registry import tables as t
from registry.database import Database
from registry.errors import RegistryError
from registry.records import BlobRef, Run
from registry.runs import Runs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
T = TypeVar("T")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def at_once(act: Callable[[int], T], threads: int = 8) -> list[T | RegistryError]:
    """``act(0)``, ``act(1)``, … started together, a thread each; their results, or how they were refused."""
    barrier = Barrier(threads)

    def one(number: int) -> T | RegistryError:
        barrier.wait(timeout=30)
        try:
            return act(number)
        except RegistryError as refusal:
            return refusal

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def stored_blob(db: Database, letter: str) -> BlobRef:
    ref = BlobRef(digest=letter * 64, size=3, signature="b" * 64)
    row = {"digest": ref.digest, "size": ref.size, "signature": ref.signature, "created_at": NOW}
    with db.write() as connection:
        connection.execute(t.blobs.insert().values(row))
    return ref


def enqueue(runs: Runs, project_id: int, *, seconds: float = 0) -> Run:
    return runs.enqueue(
        project_id,
        trigger={"kind": "manual"},
        reason="asked for",
        plan={"budget_seconds": 10},
        dataset_version=1,
        seed=7,
        at=after(seconds),
    )


def start(runs: Runs, project_id: int, *, lease_seconds: float = 30) -> Run:
    """A run that is running."""
    enqueue(runs, project_id)
    run = runs.claim("worker", lease_seconds=lease_seconds, at=NOW)
    assert run is not None
    return run
