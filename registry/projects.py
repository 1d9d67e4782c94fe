"""Projects: the long-lived owners of one prediction problem each."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, case, select
from sqlalchemy.exc import IntegrityError

from registry import tables as t
from registry.database import Database, lock_project
from registry.errors import Conflict, NotFound
from registry.records import Json, Project, RunStatus
from registry.run_rows import NEVER_BEGAN

_live = t.projects.c.deleted_at.is_(None)


class Projects:
    """Names are unique among projects that aren't deleted; deleted ones are not found by any method."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(self, name: str, *, task: Json, policy: Json, at: datetime) -> Project:
        """A new project, without schema or champion. Raises Conflict (``project_exists``)."""
        values = {"name": name, "folder": uuid4().hex, "task": task, "policy": policy, "created_at": at}
        try:
            with self._db.write() as connection:
                row = connection.execute(t.projects.insert().values(values).returning(t.projects)).mappings()
                return _record(row.one())
        except IntegrityError as error:
            raise Conflict(f"a project named {name!r} exists already", code="project_exists") from error

    def get(self, name: str) -> Project:
        """The project of that name. Raises NotFound."""
        with self._db.read() as connection:
            return _record(_named(connection, name))

    def by_id(self, project_id: int) -> Project:
        """The project with that id. Raises NotFound."""
        with self._db.read() as connection:
            query = select(t.projects).where(t.projects.c.id == project_id, _live)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no project with id {project_id}")
        return _record(row)

    def list(self) -> tuple[Project, ...]:
        """All projects, by name."""
        with self._db.read() as connection:
            rows = connection.execute(select(t.projects).where(_live).order_by(t.projects.c.name)).mappings()
            return tuple(_record(row) for row in rows)

    def update(
        self,
        name: str,
        *,
        task: Json | None = None,
        policy: Json | None = None,
        schema: Json | None = None,
        expected_revision: int | None = None,
    ) -> Project:
        """Replace what is given, as one new revision; a new schema is also a new schema version.

        Raises NotFound, and Conflict (``schema_changed``) when the project is no longer at
        ``expected_revision``.
        """
        with self._db.write() as connection:
            row = lock_project(connection, int(_named(connection, name)["id"]))
            if expected_revision is not None and row["revision"] != expected_revision:
                raise Conflict(
                    f"project {name!r} is at revision {row['revision']}, not {expected_revision}: "
                    "someone else changed it meanwhile",
                    code="schema_changed",
                )
            given = {"task": task, "policy": policy, "schema": schema}
            values: dict[str, object] = {key: value for key, value in given.items() if value is not None}
            if not values:
                return _record(row)
            values["revision"] = row["revision"] + 1
            values["schema_version"] = row["schema_version"] + (schema is not None)
            change = t.projects.update().where(t.projects.c.id == row["id"]).values(values)
            return _record(connection.execute(change.returning(t.projects)).mappings().one())

    def delete(self, name: str, *, at: datetime) -> None:
        """Forget the project: its name is free at once, its history stays in the database. A queued run is
        cancelled, a running one is asked to stop. Raises NotFound."""
        with self._db.write() as connection:
            project_id = int(_named(connection, name)["id"])
            lock_project(connection, project_id)
            queued = t.runs.c.status == RunStatus.QUEUED
            connection.execute(
                t.runs.update()
                .where(t.runs.c.project_id == project_id, t.runs.c.status.in_(_ACTIVE))
                .values(
                    cancel_requested=True,
                    status=case((queued, RunStatus.CANCELLED), else_=t.runs.c.status),
                    error=case((queued, NEVER_BEGAN), else_=t.runs.c.error),
                    finished_at=case((queued, at), else_=t.runs.c.finished_at),
                )
            )
            connection.execute(t.due_times.delete().where(t.due_times.c.project_id == project_id))
            change = t.projects.update().where(t.projects.c.id == project_id)
            connection.execute(change.values(deleted_at=at))


_ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)


def _named(connection: Connection, name: str) -> RowMapping:
    query = select(t.projects).where(t.projects.c.name == name, _live)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no project named {name!r}")
    return row


def _record(row: RowMapping) -> Project:
    return Project(**{key: value for key, value in row.items() if key not in ("folder", "deleted_at")})
