"""Runs as rows of their table, within a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from registry import tables as t
from registry.errors import NotFound, StaleFence
from registry.records import Json, Run, RunStatus

NEVER_BEGAN = "cancelled before it began"
"""Why a run that was queued ended."""

Told = Callable[[Run], Sequence[tuple[str, Json]]]
"""The events that what becomes of a run raises."""


def silent(run: Run) -> Sequence[tuple[str, Json]]:
    """No events."""
    return ()


def one_run(connection: Connection, *where: ColumnElement[bool], lock: bool = False) -> Run:
    """The run, locked on request. Raises NotFound."""
    query = select(t.runs).where(*where)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such run")
    return run_record(row)


def require_held(connection: Connection, run_id: int, fence: int) -> None:
    """Raises StaleFence unless it runs, and by this fence; it is locked then."""
    run = one_run(connection, t.runs.c.id == run_id, lock=True)
    if run.status is not RunStatus.RUNNING:
        raise StaleFence(f"run {run.number} is {run.status}, no longer running")
    if run.fence != fence:
        raise StaleFence(f"run {run.number} was claimed again: its fence is {run.fence}, not {fence}")


def change_run(connection: Connection, run_id: int, **values: object) -> Run:
    """The run with new values."""
    change = t.runs.update().where(t.runs.c.id == run_id).values(values)
    return run_record(connection.execute(change.returning(t.runs)).mappings().one())


def run_record(row: RowMapping) -> Run:
    """What the registry hands out of a run."""
    values = {key: value for key, value in row.items() if key not in ("status", "expires_at")}
    return Run(status=RunStatus(row["status"]), **values)
