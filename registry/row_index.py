"""The SQL index over the Delta rows: which row ids exist, and which of them have their truth.

Written in pieces, each a short transaction, so that a large batch never keeps other writers waiting; writing
a batch's part again changes nothing. Ids go as one array (PostgreSQL) or JSON text (SQLite), not as IN lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pyarrow as pa
from sqlalchemy import Connection, delete, func, select

from registry.database import Database
from registry.errors import DuplicateRows
from registry.pause import Pause, no_pause
from registry.tables import row_index

PIECE = 20_000
PAUSED_PIECE = 4_000

_MARK = {"sqlite": "?", "postgresql": "%s"}
_IDS = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(%s)"}
_PAIRS = "unnest(%s::text[], %s::text[]) AS pair (row_id, truth)"
_ADD = {
    "sqlite": (
        "INSERT INTO row_index (project_id, row_id, batch, truth) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    ),
    "postgresql": (
        "INSERT INTO row_index (project_id, row_id, batch, truth)"
        f" SELECT %s, pair.row_id, %s, pair.truth FROM {_PAIRS} ON CONFLICT DO NOTHING"
    ),
}
_ADD_UNTOLD = (
    "INSERT INTO row_index (project_id, row_id, batch) SELECT ?, value, ? FROM json_each(?) WHERE true"
    " ON CONFLICT DO NOTHING"
)
"""For SQLite, where no row has its truth, as those of the prediction log: one step, and no lock held by Python in it."""
_SET = {
    "sqlite": "UPDATE row_index SET truth = ? WHERE project_id = ? AND row_id = ?",
    "postgresql": (
        f"UPDATE row_index SET truth = pair.truth FROM {_PAIRS}"
        " WHERE row_index.project_id = %s AND row_index.row_id = pair.row_id"
    ),
}


def add(
    db: Database, project_id: int, batch: int, ids: pa.Array, truths: pa.Array, pause: Pause = no_pause
) -> None:
    """Enter a batch's new rows, with their truth or null. Raises DuplicateRows when another batch has an id;
    what was entered before that stays, see :func:`remove`. Between pieces, which are small then, it pauses."""
    size = PIECE if pause is no_pause else PAUSED_PIECE
    for some, texts in zip(_pieces(ids, size), _pieces(truths, size), strict=True):
        with db.write() as connection:
            if _insert(connection, project_id, batch, some, texts) < len(some):
                taken = _of_others(connection, project_id, batch, some)
                if taken:
                    raise DuplicateRows(taken)
        pause()


def set_truths(db: Database, project_id: int, ids: pa.Array, truths: pa.Array) -> int:
    """Give rows their truth (ids are distinct). How many had none before; unknown ids are passed over."""
    fresh = 0
    for some, texts in zip(_pieces(ids), _pieces(truths), strict=True):
        with db.write() as connection:
            kind = connection.dialect.name
            query = f"{_select('count(*)', kind)} AND truth IS NULL"
            fresh += int(connection.exec_driver_sql(query, (project_id, _ids(kind, some))).scalar_one())
            _set(connection, project_id, some, texts)
    return fresh


def truth_counts(db: Database, project_id: int) -> dict[str, int]:
    """How many rows have each truth."""
    table = row_index
    query = select(table.c.truth, func.count()).where(
        table.c.project_id == project_id, table.c.truth.is_not(None)
    )
    with db.read() as connection:
        return {truth: int(count) for truth, count in connection.execute(query.group_by(table.c.truth))}


def replace_truths(connection: Connection, project_id: int, ids: pa.Array, truths: pa.Array) -> int:
    """Give rows another truth or, with null, none, all in one transaction. How many have none now that had one."""
    kind = connection.dialect.name
    lost = 0
    for some, texts in zip(_pieces(ids), _pieces(truths), strict=True):
        without = [row_id for row_id, truth in zip(some, texts, strict=True) if truth is None]
        query = f"{_select('count(*)', kind)} AND truth IS NOT NULL"
        lost += int(connection.exec_driver_sql(query, (project_id, _ids(kind, without))).scalar_one())
        _set(connection, project_id, some, texts)
    return lost


def truths(db: Database, project_id: int, ids: Sequence[str]) -> dict[str, str | None]:
    """The known ones of ``ids``, each with its truth or None."""
    found: dict[str, str | None] = {}
    for start in range(0, len(ids), PIECE):
        with db.read() as connection:
            kind = connection.dialect.name
            query = _select("row_id, truth", kind)
            some = _ids(kind, [row_id for row_id in ids[start : start + PIECE] if _can_exist(row_id)])
            found.update((row[0], row[1]) for row in connection.exec_driver_sql(query, (project_id, some)))
    return found


def batches(db: Database, project_id: int, ids: Sequence[str]) -> set[int]:
    """The batches that these rows came with."""
    found: set[int] = set()
    for start in range(0, len(ids), PIECE):
        with db.read() as connection:
            kind = connection.dialect.name
            some = _ids(kind, [row_id for row_id in ids[start : start + PIECE] if _can_exist(row_id)])
            query = _select("DISTINCT batch", kind)
            found.update(row[0] for row in connection.exec_driver_sql(query, (project_id, some)))
    return found


def count_truths(db: Database, project_id: int) -> int:
    """How many rows have their truth, counted one by one."""
    query = select(func.count()).where(row_index.c.project_id == project_id, row_index.c.truth.is_not(None))
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def remove(connection: Connection, project_id: int, batch: int | None = None) -> None:
    """Take out the rows of a batch (default: of all)."""
    gone = delete(row_index).where(row_index.c.project_id == project_id)
    connection.execute(gone if batch is None else gone.where(row_index.c.batch == batch))


def _insert(
    connection: Connection, project_id: int, batch: int, ids: Sequence[str], texts: Sequence[str | None]
) -> int:
    kind = connection.dialect.name
    if kind == "sqlite" and texts.count(None) == len(texts):
        told = (project_id, batch, _ids(kind, ids))
        return int(connection.exec_driver_sql(_ADD_UNTOLD, told).rowcount)
    if kind == "sqlite":
        values = [(project_id, row_id, batch, truth) for row_id, truth in zip(ids, texts, strict=True)]
        return int(connection.exec_driver_sql(_ADD[kind], values).rowcount)
    return int(connection.exec_driver_sql(_ADD[kind], (project_id, batch, ids, texts)).rowcount)


def _set(connection: Connection, project_id: int, ids: Sequence[str], texts: Sequence[str | None]) -> None:
    kind = connection.dialect.name
    if kind == "sqlite":
        values = [(truth, project_id, row_id) for row_id, truth in zip(ids, texts, strict=True)]
        connection.exec_driver_sql(_SET[kind], values)
    else:
        connection.exec_driver_sql(_SET[kind], (ids, texts, project_id))


def _of_others(connection: Connection, project_id: int, batch: int, ids: Sequence[str]) -> tuple[str, ...]:
    kind = connection.dialect.name
    query = f"{_select('row_id', kind)} AND batch <> {_MARK[kind]}"
    found = connection.exec_driver_sql(query, (project_id, _ids(kind, ids), batch))
    return tuple(sorted(row[0] for row in found))


def _ids(kind: str, ids: Sequence[str]) -> str | Sequence[str]:
    return msgspec.json.encode(ids).decode() if kind == "sqlite" else ids


def _can_exist(row_id: str) -> bool:
    if row_id.isascii():
        return "\0" not in row_id
    try:
        row_id.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in row_id


def _select(what: str, kind: str) -> str:
    return f"SELECT {what} FROM row_index WHERE project_id = {_MARK[kind]} AND row_id {_IDS[kind]}"


def _pieces(values: pa.Array, size: int = PIECE) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield values.slice(start, size).to_pylist()
