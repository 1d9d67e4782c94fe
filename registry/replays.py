"""Policy replays: asked for, carried on by whoever holds them, kept with their result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from registry import tables as t
from registry.database import Database, lock_project
from registry.errors import Conflict, NotFound, StaleFence
from registry.records import Json, ReplayRecord, RunStatus

_ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)
_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
MOST_ATTEMPTS = 5
"""A replay that so many processes were lost over has failed: it may be what they died of."""


class Replays:
    """Replays by number within their project. At most one of a project is active.

    Unlike a run, a replay whose process is lost is queued again: it goes on where its work folder stands.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def enqueue(
        self, project_id: int, *, plan: Json, source: Json, folder: str, at: datetime
    ) -> ReplayRecord:
        """Queue the project's next replay. Raises Conflict (``replay_active``), NotFound."""
        with self._db.write() as connection:
            lock_project(connection, project_id)
            mine = t.replays.c.project_id == project_id
            active = select(t.replays.c.number).where(mine, t.replays.c.status.in_(_ACTIVE))
            number = connection.execute(active).scalar()
            if number is not None:
                raise Conflict(
                    f"replay {number} is still active; one at a time a project", code="replay_active"
                )
            newest = connection.execute(select(func.max(t.replays.c.number)).where(mine)).scalar()
            row = t.replays.insert().values(
                project_id=project_id,
                number=(newest or 0) + 1,
                status=RunStatus.QUEUED,
                plan=plan,
                source=source,
                folder=folder,
                progress={},
                created_at=at,
            )
            return _record(connection.execute(row.returning(t.replays)).mappings().one())

    def claim(self, owner: str, *, lease_seconds: float, at: datetime) -> ReplayRecord | None:
        """Start the oldest queued replay of any project, or take it up again; None when none is queued."""
        with self._db.write() as connection:
            oldest = (
                select(t.replays.c.id)
                .where(t.replays.c.status == RunStatus.QUEUED)
                .order_by(t.replays.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            replay_id = connection.execute(oldest).scalar()
            if replay_id is None:
                return None
            return _change(
                connection,
                replay_id,
                status=RunStatus.RUNNING,
                owner=owner,
                fence=t.replays.c.fence + 1,
                started_at=func.coalesce(t.replays.c.started_at, at, type_=t.Utc()),
                heartbeat_at=at,
                expires_at=at + timedelta(seconds=lease_seconds),
            )

    def heartbeat(
        self, replay_id: int, fence: int, *, progress: Json, lease_seconds: float, at: datetime
    ) -> ReplayRecord:
        """Hold it for another ``lease_seconds`` and say how far it is. Raises StaleFence."""
        with self._db.write() as connection:
            _held(connection, replay_id, fence)
            over = at + timedelta(seconds=lease_seconds)
            return _change(connection, replay_id, progress=progress, heartbeat_at=at, expires_at=over)

    def release(self, replay_id: int, fence: int) -> ReplayRecord:
        """Put it back into the queue, for this process stops. Raises StaleFence."""
        with self._db.write() as connection:
            _held(connection, replay_id, fence)
            return _change(connection, replay_id, status=RunStatus.QUEUED, expires_at=None)

    def conclude(
        self,
        replay_id: int,
        fence: int,
        *,
        status: RunStatus,
        result: Json | None = None,
        error: str | None = None,
        at: datetime,
    ) -> ReplayRecord:
        """End it. Raises StaleFence, ValueError (a status that ends nothing)."""
        if status not in _ENDED:
            raise ValueError(f"{status} does not end a replay")
        with self._db.write() as connection:
            _held(connection, replay_id, fence)
            return _change(
                connection,
                replay_id,
                status=status,
                result=result,
                error=error,
                finished_at=at,
                expires_at=None,
            )

    def request_cancel(self, replay_id: int, *, at: datetime) -> ReplayRecord:
        """Ask it to stop: a queued one is cancelled at once, a running one soon, one that ended stays as it is.
        Raises NotFound."""
        with self._db.write() as connection:
            replay = _one(connection, t.replays.c.id == replay_id, lock=True)
            if replay.status is RunStatus.QUEUED:
                ended = {"status": RunStatus.CANCELLED, "finished_at": at}
                return _change(connection, replay_id, cancel_requested=True, **ended)
            if replay.status is RunStatus.RUNNING:
                return _change(connection, replay_id, cancel_requested=True)
            return replay

    def expire(self, *, at: datetime) -> tuple[ReplayRecord, ...]:
        """Queue the running replays whose lease is over again, or fail one that was lost too often. Each is
        returned once, to one caller."""
        over = (t.replays.c.status == RunStatus.RUNNING) & (t.replays.c.expires_at <= at)
        tired = t.replays.c.fence >= MOST_ATTEMPTS
        lost = (
            t.replays.update()
            .where(over, tired)
            .values(
                status=RunStatus.FAILED,
                error=f"interrupted: {MOST_ATTEMPTS} processes that ran it stopped reporting",
                finished_at=at,
                expires_at=None,
            )
        )
        again = t.replays.update().where(over, ~tired).values(status=RunStatus.QUEUED, expires_at=None)
        with self._db.write() as connection:
            found: list[ReplayRecord] = []
            for change in (lost, again):
                rows = connection.execute(change.returning(t.replays)).mappings().all()
                found += [_record(row) for row in rows]
            return tuple(sorted(found, key=lambda replay: replay.id))

    def get(self, project_id: int, number: int) -> ReplayRecord:
        """The project's replay of that number. Raises NotFound."""
        with self._db.read() as connection:
            return _one(connection, t.replays.c.project_id == project_id, t.replays.c.number == number)

    def by_id(self, replay_id: int) -> ReplayRecord:
        """The replay with that id. Raises NotFound."""
        with self._db.read() as connection:
            return _one(connection, t.replays.c.id == replay_id)

    def ended(self, folders: Sequence[str]) -> set[str]:
        """Those of the work folders whose replay has ended."""
        table = t.replays
        query = select(table.c.folder).where(table.c.folder.in_(folders), table.c.status.in_(_ENDED))
        with self._db.read() as connection:
            return set(connection.execute(query).scalars())

    def list(self, project_id: int, limit: int = 50, before: int | None = None) -> tuple[ReplayRecord, ...]:
        """The project's newest replays (with a number below ``before``), newest first."""
        query = select(t.replays).where(t.replays.c.project_id == project_id)
        if before is not None:
            query = query.where(t.replays.c.number < before)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(t.replays.c.number.desc()).limit(limit)).mappings()
            return tuple(_record(row) for row in rows)


def _one(connection: Connection, *where: ColumnElement[bool], lock: bool = False) -> ReplayRecord:
    query = select(t.replays).where(*where)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such replay")
    return _record(row)


def _held(connection: Connection, replay_id: int, fence: int) -> None:
    replay = _one(connection, t.replays.c.id == replay_id, lock=True)
    if replay.status is not RunStatus.RUNNING:
        raise StaleFence(f"replay {replay.number} is {replay.status}, no longer running")
    if replay.fence != fence:
        raise StaleFence(
            f"replay {replay.number} was claimed again: its fence is {replay.fence}, not {fence}"
        )


def _change(connection: Connection, replay_id: int, **values: object) -> ReplayRecord:
    change = t.replays.update().where(t.replays.c.id == replay_id).values(values)
    return _record(connection.execute(change.returning(t.replays)).mappings().one())


def _record(row: RowMapping) -> ReplayRecord:
    values = {key: value for key, value in row.items() if key not in ("status", "expires_at")}
    return ReplayRecord(status=RunStatus(row["status"]), **values)
