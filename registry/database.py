"""One way to read and one way to write the SQL database, the same on SQLite and PostgreSQL.

SQLite: WAL, ``synchronous=FULL``, foreign keys on. One writer connection a process, behind a lock: libraries
before 3.51.3 can corrupt a WAL file that several connections write and checkpoint at once, and SQLite has one
writer at a time anyway. Readers have connections of their own, never checkpoint, and see one snapshot.
PostgreSQL: writes are READ COMMITTED, with the rows they decide on locked; reads are one REPEATABLE READ
snapshot.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, create_engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registry import tables as t
from registry.errors import NotFound, RegistryError, Unavailable
from registry.pause import Pause, no_pause

BUSY_TIMEOUT_MS = 10_000
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
WAL_SAFE_SQLITE = (3, 51, 3)  # https://sqlite.org/wal.html#the_wal_reset_bug

_WRITE_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=67108864",  # a large batch leaves a large WAL; give the space back
)
_READ_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA query_only=ON",
)

# A file opened twice in one process (two registries in a test, say) still has one writer at a time.
_writer_locks: dict[str, threading.Lock] = {}
_writer_locks_guard = threading.Lock()


def encode_json(value: Any) -> str:
    """Standard JSON of ``value``: NaN and ±inf become null (PostgreSQL takes no others), mappings become
    objects, numpy scalars numbers. Raises TypeError for anything else that JSON has no word for."""
    try:
        return json.dumps(value, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return _finite(value.item())
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


class Database:
    """Connections to one database. Thread-safe; transactions are short and never nested in one thread.

    ``before_read`` is called before each reading transaction, in its thread: who reads much may let others go first.
    """

    def __init__(self, writer: Engine, reader: Engine, lock: AbstractContextManager[Any]) -> None:
        self._writer = writer
        self._reader = reader
        self._lock = lock
        self._writing = threading.local()
        self.before_read: Pause = no_pause

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect to ``sqlite:///path`` (absolute: four slashes) or ``postgresql://…``.

        Raises ValueError for any other kind of URL, RegistryError when the SQLite library is too old.
        Creates no table: see :func:`registry.migrations.upgrade`.
        """
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            return _open_sqlite(parsed)
        if backend == "postgresql":
            return _open_postgresql(parsed)
        raise ValueError(f"database URL of kind {backend!r}; Incumbent takes sqlite:/// and postgresql://")

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._writer.dialect.name

    @property
    def wants_one_process(self) -> bool:
        """Whether this SQLite library has the WAL-reset bug, so that no second process should write."""
        return self.dialect == "sqlite" and sqlite3.sqlite_version_info < WAL_SAFE_SQLITE

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write (SQLite: BEGIN IMMEDIATE): committed at the end, rolled back on any
        exception. Raises Unavailable when the database can't be reached or stays locked by others."""
        if getattr(self._writing, "now", False):
            raise RuntimeError("a write inside a write: pass the connection on instead")
        with self._lock, _reachable():
            self._writing.now = True
            try:
                with self._writer.begin() as connection:
                    yield connection
            finally:
                self._writing.now = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction: one snapshot for all its statements. Never waits for a writer."""
        if not getattr(self._writing, "now", False):  # nobody may rest while he holds up all writers
            self.before_read()
        with _reachable(), self._reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close all pooled connections; safe to call twice."""
        self._reader.dispose()
        with self._lock:  # the last connection checkpoints as it closes
            self._writer.dispose()


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT with ``on_conflict_do_nothing`` and ``on_conflict_do_update``, which both databases have."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def lock_project(connection: Connection, project_id: int) -> RowMapping:
    """The project's row, locked against other writers until the transaction ends (SQLite: the transaction is
    the lock). Take it before numbering anything within a project. Raises NotFound when it was deleted."""
    found = connection.execute(
        select(t.projects)
        .where(t.projects.c.id == project_id, t.projects.c.deleted_at.is_(None))
        .with_for_update(key_share=True)  # so that ledger entries, which only refer to it, needn't wait
    ).mappings()
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"there is no project with id {project_id}")
    return row


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise  # a mistake in the statement itself, which sqlite3 calls operational too
        raise Unavailable(f"the database did not answer: {cause}") from error


def _open_sqlite(url: URL) -> Database:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise RegistryError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or newer is needed")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ValueError("the registry needs a database file: sqlite:////path/to/registry.db")
    path = str(Path(url.database).resolve())
    with _writer_locks_guard:
        lock = _writer_locks.setdefault(path, threading.Lock())
    options: dict[str, Any] = {
        "json_serializer": encode_json,
        "connect_args": {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    }
    writer = create_engine(url, pool_size=1, max_overflow=0, **options)
    reader = create_engine(url, pool_size=8, max_overflow=56, **options)
    event.listen(writer, "connect", _use_wal)
    _prepare(writer, _WRITE_PRAGMAS, begin="BEGIN IMMEDIATE")
    _prepare(reader, _READ_PRAGMAS, begin="BEGIN")
    return Database(writer, reader, lock)


def _use_wal(connection: sqlite3.Connection, _record: object) -> None:
    """Put the file in WAL mode, in which it then stays. Tried again for as long as others may hold the file:
    SQLite answers a change of mode with "locked" at once, whatever ``busy_timeout`` says
    (https://sqlite.org/c3ref/busy_handler.html: the handler is not called where it could wait for ever)."""
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _prepare(engine: Engine, pragmas: tuple[str, ...], *, begin: str) -> None:
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # or sqlite3 itself would begin (deferred) transactions
        for pragma in pragmas:
            connection.execute(pragma).close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)


def _open_postgresql(url: URL) -> Database:
    writer = create_engine(
        url.set(drivername="postgresql+psycopg"),
        json_serializer=encode_json,
        pool_size=8,
        max_overflow=56,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10},
    )
    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Database(writer, reader, nullcontext())
