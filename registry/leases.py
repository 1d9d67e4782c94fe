"""Leases and due times: what lets several processes share one schedule without doing anything twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, select

from registry import tables as t
from registry.database import Database, insert_into
from registry.errors import StaleFence
from registry.records import Lease

_NOBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMove:
    """A due time is to move on from where it was ``expected`` (None: nowhere yet).

    Raises ValueError when it would stay where it is.
    """

    trigger: str
    due_at: datetime
    expected: datetime | None

    def __post_init__(self) -> None:
        if self.due_at == self.expected:
            raise ValueError("a due time can't be moved to where it is")


class Leases:
    """Named rights, each held by one owner at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def acquire(self, name: str, owner: str, *, seconds: float, at: datetime) -> Lease | None:
        """Take the lease if it is free or over; None while anyone (this owner too) holds it. The new fence
        is larger than all before it. Raises ValueError for an empty owner."""
        if not owner:
            raise ValueError("a lease needs an owner")
        over = at + timedelta(seconds=seconds)
        with self._db.write() as connection:
            new = insert_into(connection, t.leases).values(name=name, owner=owner, fence=1, expires_at=over)
            taken = new.on_conflict_do_update(
                index_elements=[t.leases.c.name],
                set_={"owner": owner, "fence": t.leases.c.fence + 1, "expires_at": over},
                where=(t.leases.c.expires_at <= at) | (t.leases.c.owner == _NOBODY),
            )
            row = connection.execute(taken.returning(t.leases)).mappings().one_or_none()
            return None if row is None else _record(row)

    def renew(self, lease: Lease, seconds: float, at: datetime) -> Lease:
        """Hold on to it until ``at`` plus ``seconds``; a lease that is over but that nobody took is renewed
        too. Raises StaleFence when it was taken or released."""
        change = (
            t.leases.update()
            .where(
                t.leases.c.name == lease.name,
                t.leases.c.owner == lease.owner,
                t.leases.c.fence == lease.fence,
            )
            .values(expires_at=at + timedelta(seconds=seconds))
        )
        with self._db.write() as connection:
            row = connection.execute(change.returning(t.leases)).mappings().one_or_none()
        if row is None:
            raise StaleFence(f"{lease.owner} no longer holds the lease {lease.name!r}")
        return _record(row)

    def release(self, lease: Lease) -> None:
        """Give it back. Nothing happens when it was lost already. The row stays: the next fence is larger."""
        with self._db.write() as connection:
            connection.execute(
                t.leases.update()
                .where(
                    t.leases.c.name == lease.name,
                    t.leases.c.owner == lease.owner,
                    t.leases.c.fence == lease.fence,
                )
                .values(owner=_NOBODY)
            )


class DueTimes:
    """When each trigger of each project is due next. Who moves a due time on is the one to act on it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, project_id: int, trigger: str) -> datetime | None:
        """When the trigger is due; None when that was never set, or cleared."""
        query = select(t.due_times.c.due_at).where(
            t.due_times.c.project_id == project_id, t.due_times.c.trigger == trigger
        )
        with self._db.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def set(self, project_id: int, trigger: str, due_at: datetime, *, expected: datetime | None) -> bool:
        """Compare-and-set: of many who saw the same ``expected``, exactly one gets True.

        ``expected=None`` means that none was set. Raises ValueError when ``due_at`` equals ``expected``:
        then everyone would.
        """
        move = DueMove(trigger=trigger, due_at=due_at, expected=expected)
        with self._db.write() as connection:
            return move_due(connection, project_id, move)

    def clear(self, project_id: int, trigger: str) -> None:
        """Forget the due time; nothing happens when there is none."""
        with self._db.write() as connection:
            connection.execute(
                t.due_times.delete().where(
                    t.due_times.c.project_id == project_id, t.due_times.c.trigger == trigger
                )
            )


def move_due(connection: Connection, project_id: int, move: DueMove) -> bool:
    """The move's part of a larger transaction: whether the due time was where it was expected."""
    table = t.due_times
    if move.expected is None:
        first = insert_into(connection, table).values(
            project_id=project_id, trigger=move.trigger, due_at=move.due_at
        )
        kept = first.on_conflict_do_nothing().returning(table.c.due_at)
        return connection.execute(kept).first() is not None
    moved = connection.execute(
        table.update()
        .where(
            table.c.project_id == project_id,
            table.c.trigger == move.trigger,
            table.c.due_at == move.expected,
        )
        .values(due_at=move.due_at)
    )
    return moved.rowcount == 1


def _record(row: RowMapping) -> Lease:
    return Lease(name=row["name"], owner=row["owner"], fence=row["fence"], expires_at=row["expires_at"])
