"""A batch before it counts: Parquet files in a folder of its own, streamed there and streamed on."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from registry.durable import locked, try_lock
from registry.parts import Parts

_LOCK = "lock"


class Staging(Parts):
    """Takes a batch's parts in any number of pieces. Nothing counts until ``Datasets.commit``.

    A context manager: leaving it without a commit removes what was staged. One thread at a time.
    """

    def __init__(self, folder: Path, project_id: int, lock: int) -> None:
        super().__init__(folder)
        self.project_id = project_id
        self.uuid = folder.name
        self.content: str | None = None
        """The content hash, where it is known already."""
        self._lock: int | None = lock
        self._kept = False

    def filled(self, *, rows: int, predictions: int, content: str) -> None:
        """Another process wrote rows and predictions into the folder, sealed them and hashed them."""
        self.rows, self.predictions, self.content = rows, predictions, content

    def keep(self) -> None:
        """From now on the folder belongs to a batch in the database: closing leaves it for recovery."""
        self._kept = True

    def discard(self) -> None:
        """Remove everything that was staged, unless a commit took it over. Safe to call twice."""
        self.close()
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _write(self, name: str, table: pa.Table) -> None:
        if self._lock is None or self._kept:
            raise ValueError("this staging was committed or discarded")
        super()._write(name, table)


def create(root: Path, project_id: int) -> Staging:
    """A new, empty staging under ``root``, marked as somebody's own as long as its process lives."""
    root.mkdir(parents=True, exist_ok=True)
    folder = root / str(uuid.uuid4())
    with locked(root / _LOCK):  # or a sweep could take the folder before it is marked
        folder.mkdir(mode=0o700)
        lock = try_lock(folder / _LOCK)
    if lock is None:
        raise RuntimeError(f"a new folder is locked already: {folder}")
    return Staging(folder, project_id, lock)


def sweep(root: Path, is_staged: Callable[[str], bool]) -> int:
    """Remove the folders of processes that died before committing; ``is_staged`` ones await recovery."""
    gone = 0
    if not root.is_dir():
        return gone
    with locked(root / _LOCK):
        for folder in [path for path in root.iterdir() if path.is_dir()]:
            lock = try_lock(folder / _LOCK)
            if lock is None:
                continue
            if not is_staged(folder.name):  # asked while we hold the lock: nobody can stage it any more
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
            os.close(lock)
    return gone
