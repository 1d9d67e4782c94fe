"""Probations: which champion is watched beside which other model, what was seen, and how it ended.

A project has at most one that is open. How it ends is one transaction with the change of champion it brings,
so that no crash leaves one without the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, RowMapping, func, select, update

from registry.approval_records import NewApproval
from registry.approvals import ask_locked
from registry.database import Database, lock_project
from registry.errors import Conflict, NotFound, StaleEpoch, StaleFence
from registry.ledger import append_events, promote_locked
from registry.probation_tables import probations as table
from registry.records import Json, NewPromotion


class ProbationMode(StrEnum):
    """``previous``: a new champion beside the one it replaced. ``challenger``: a champion beside one that the
    holdout could not tell from it."""

    PREVIOUS = "previous"
    CHALLENGER = "challenger"


class ProbationStatus(StrEnum):
    """``rolled_back`` and ``promoted`` changed the champion, ``annotated`` would have but for the policy;
    ``expired`` ended without an answer."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"
    PROMOTED = "promoted"
    ANNOTATED = "annotated"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probation:
    """``rule`` and ``state`` are the service's own JSON. ``through`` is the last batch that ``state`` knows of."""

    number: int
    project_id: int
    epoch: int
    mode: ProbationMode
    champion: int
    other: int
    rule: Json
    state: Json | None
    through: int
    status: ProbationStatus
    reason: str
    began_at: datetime
    ends_at: datetime
    looked_at: datetime | None
    ended_at: datetime | None


class Probations:
    """Probations by project, numbered in the order they began."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def begin(
        self,
        project_id: int,
        *,
        expected_epoch: int,
        mode: ProbationMode,
        other: int,
        rule: Json,
        through: int,
        reason: str,
        events: Sequence[tuple[str, Json]] = (),
        ends_at: datetime,
        at: datetime,
    ) -> Probation:
        """Put the project's champion on probation beside ``other``; batches up to ``through`` don't count.

        Raises StaleEpoch when the champion changed, Conflict (``probation_open``), NotFound.
        """
        with self._db.write() as connection:
            project = lock_project(connection, project_id)
            if project["epoch"] != expected_epoch or project["champion"] is None:
                raise StaleEpoch(f"the project moved on from epoch {expected_epoch} to {project['epoch']}")
            mine = table.c.project_id == project_id
            open_ = select(table.c.number).where(mine, table.c.status == ProbationStatus.OPEN)
            number = connection.execute(open_).scalar()
            if number is not None:
                raise Conflict(f"probation {number} is still open", code="probation_open")
            newest = connection.execute(select(func.max(table.c.number)).where(mine)).scalar()
            row = table.insert().values(
                project_id=project_id,
                number=(newest or 0) + 1,
                epoch=expected_epoch,
                mode=mode,
                champion=project["champion"],
                other=other,
                rule=rule,
                through=through,
                status=ProbationStatus.OPEN,
                reason=reason,
                began_at=at,
                ends_at=ends_at,
            )
            begun = _record(connection.execute(row.returning(table)).mappings().one())
            append_events(connection, project_id, events, at=at)
            return begun

    def note(
        self, probation: Probation, *, state: Json | None, through: int, reason: str, at: datetime
    ) -> Probation:
        """Keep what was seen. Raises StaleFence when another process saw more meanwhile or ended it."""
        values = {"state": state, "through": through, "reason": reason, "looked_at": at}
        with self._db.write() as connection:
            change = update(table).where(*_unchanged(probation)).values(values).returning(table)
            row = connection.execute(change).mappings().one_or_none()
            if row is None:
                raise StaleFence(f"probation {probation.number} was looked at by another process")
            return _record(row)

    def end(
        self,
        probation: Probation,
        *,
        status: ProbationStatus,
        state: Json | None,
        through: int,
        reason: str,
        promotion: NewPromotion | None = None,
        approval: NewApproval | None = None,
        run: int | None = None,
        events: Sequence[tuple[str, Json]] = (),
        at: datetime,
    ) -> Probation:
        """End it; with ``promotion`` the other model becomes the champion, with ``approval`` people are asked whether it
        is to, where ``run`` is the one that made it. All of it or nothing.

        Raises StaleEpoch (the champion changed), StaleFence (see :meth:`note`), Conflict, NotFound.
        """
        with self._db.write() as connection:
            lock_project(connection, probation.project_id)
            values = {
                "status": status,
                "state": state,
                "through": through,
                "reason": reason,
                "looked_at": at,
                "ended_at": at,
            }
            change = update(table).where(*_unchanged(probation)).values(values).returning(table)
            row = connection.execute(change).mappings().one_or_none()
            if row is None:
                raise StaleFence(f"probation {probation.number} was looked at by another process")
            if promotion is not None:
                promote_locked(connection, probation.project_id, probation.other, promotion, run=None, at=at)
            if approval is not None:
                ask_locked(
                    connection,
                    probation.project_id,
                    approval,
                    judged=probation.other,
                    version=probation.other,
                    run=run,
                    probation=probation.number,
                    at=at,
                )
            append_events(connection, probation.project_id, events, at=at)
            return _record(row)

    def current(self, project_id: int) -> Probation | None:
        """The project's open probation."""
        query = select(table).where(table.c.project_id == project_id, table.c.status == ProbationStatus.OPEN)
        with self._db.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _record(row)

    def open(self) -> tuple[Probation, ...]:
        """The open probations of all projects, the oldest first."""
        query = select(table).where(table.c.status == ProbationStatus.OPEN).order_by(table.c.id)
        with self._db.read() as connection:
            return tuple(_record(row) for row in connection.execute(query).mappings())

    def get(self, project_id: int, number: int) -> Probation:
        """The project's probation of that number. Raises NotFound."""
        query = select(table).where(table.c.project_id == project_id, table.c.number == number)
        with self._db.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no probation {number}")
        return _record(row)

    def list(self, project_id: int, limit: int = 50) -> tuple[Probation, ...]:
        """The newest probations, newest first."""
        query = select(table).where(table.c.project_id == project_id).order_by(table.c.number.desc())
        with self._db.read() as connection:
            return tuple(_record(row) for row in connection.execute(query.limit(limit)).mappings())

    def of_epoch(self, project_id: int, epoch: int) -> tuple[Probation, ...]:
        """The probations since the change of champion that began ``epoch``, oldest first."""
        query = select(table).where(table.c.project_id == project_id, table.c.epoch == epoch)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(table.c.number)).mappings()
            return tuple(_record(row) for row in rows)


def _unchanged(probation: Probation) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.project_id == probation.project_id,
        table.c.number == probation.number,
        table.c.status == ProbationStatus.OPEN,
        table.c.through == probation.through,
    )


def _record(row: RowMapping) -> Probation:
    values = {key: value for key, value in row.items() if key not in ("id", "mode", "status")}
    return Probation(mode=ProbationMode(row["mode"]), status=ProbationStatus(row["status"]), **values)
