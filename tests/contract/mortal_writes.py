"""Every durable write of a registry as a moment at which its process may die.

A write is an SQL statement that changes something, a commit, or a step by which a blob's file comes to be.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

import registry.blobs
from registry.blobs import BlobStore
from registry.store import Registry

Strike = Callable[[str], None]
"""Told of a write right before it is made."""


class Crash(BaseException):
    """The process is gone: nothing in the code under test may catch this."""


class Doom:
    """Raises :class:`Crash` right before the write that :meth:`after` names, and at every later one: who is dead
    tidies nothing up."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._waits = False
        self.dead = False

    def waits(self) -> Callable[[], None]:
        """Let the next :meth:`after` count only from the call of what is returned."""
        self._waits = True

        def begin() -> None:
            self._waits = False

        return begin

    @contextmanager
    def after(self, writes: int | None) -> Iterator[None]:
        """Let so many writes pass (None: all) within the block."""
        self._left = writes
        try:
            yield
        finally:
            self._left, self._waits = None, False

    def __call__(self, write: str) -> None:
        if self.dead:
            raise Crash(write)
        if self._left is None or self._waits:
            return
        if self._left == 0:
            self.dead = True
            raise Crash(write)
        self._left -= 1

    def tidying(self, what: str) -> None:
        """Files are removed here, which a dead process doesn't do; that is no write of its own."""
        if self.dead:
            raise Crash(what)


@contextmanager
def told(opened: Registry, strike: Strike, tidying: Strike = lambda what: None) -> Iterator[None]:
    """Tell ``strike`` of each write, of this registry's database and of all blob files."""
    engine = opened.db._writer

    def statement(_c: Any, _cursor: Any, text: str, *_: Any) -> None:
        if not text.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            strike(text.split("(")[0][:60])

    def commit(_connection: Any) -> None:
        strike("COMMIT")

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    try:
        with ExitStack() as stack:
            for owner, name, teller in (
                (BlobStore, "_write", strike),
                (Path, "rename", strike),
                (registry.blobs, "fsync", strike),
                (Path, "unlink", tidying),
                (shutil, "rmtree", tidying),
            ):
                stack.enter_context(patch.object(owner, name, _after(teller, getattr(owner, name))))
            yield
    finally:
        if event.contains(engine, "commit", commit):
            event.remove(engine, "before_cursor_execute", statement)
            event.remove(engine, "commit", commit)


def _after(teller: Strike, real: Callable[..., Any]) -> Callable[..., Any]:
    def mortal(*arguments: Any, **options: Any) -> Any:
        teller(real.__qualname__)
        return real(*arguments, **options)

    return mortal
