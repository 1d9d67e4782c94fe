"""The ledgers: promotions, trigger decisions, deployments, events, judgements. They only grow.

``run`` is always a run's number within its project, as people see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select, text

from registry import tables as t
from registry.database import Database, lock_project
from registry.decisions import NewDecision
from registry.errors import Conflict, NotFound, StaleEpoch
from registry.records import (
    Decision,
    DeploymentRecord,
    EventRecord,
    Json,
    NewPromotion,
    Promotion,
    PromotionKind,
)

_OUTBOX_LOCK = 0x1C0B_E175


class Ledger:
    """What happened and why. Entries are never changed: the database itself refuses that."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def promote(
        self,
        project_id: int,
        to_version: int,
        new: NewPromotion,
        *,
        run: int | None = None,
        events: Sequence[tuple[str, Json]] = (),
        at: datetime,
    ) -> Promotion:
        """Make ``to_version`` the champion and the champion of before ``previous``: one compare-and-set.

        A rollback is the same with ``to_version=project.previous`` and the kind ROLLBACK. ``events`` are
        emitted in the same transaction. Raises StaleEpoch when the project has moved on from
        ``new.expected_epoch``, NotFound (project, version), Conflict (``already_champion``).
        """
        with self._db.write() as connection:
            promotion = promote_locked(connection, project_id, to_version, new, run=run, at=at)
            append_events(connection, project_id, events, at=at)
            return promotion

    def promotions(self, project_id: int, limit: int = 50) -> tuple[Promotion, ...]:
        """The newest promotions, newest first."""
        table = t.promotions
        query = select(table).where(table.c.project_id == project_id).order_by(table.c.epoch.desc())
        with self._db.read() as connection:
            rows = connection.execute(query.limit(limit)).mappings()
            return tuple(_promotion(row) for row in rows)

    def decide(
        self,
        project_id: int,
        *,
        outcome: str,
        trigger: str,
        reason: str,
        evidence: Json,
        run: int | None = None,
        events: Sequence[tuple[str, Json]] = (),
        at: datetime,
    ) -> Decision:
        """Keep a trigger decision, with the events it raises. One that starts a run is kept as the run is
        queued: see :meth:`registry.runs.Runs.enqueue`."""
        new = NewDecision(outcome=outcome, trigger=trigger, reason=reason, evidence=evidence)
        with self._db.write() as connection:
            kept = append_decision(connection, project_id, new, run=run, at=at)
            append_events(connection, project_id, events, at=at)
            return kept

    def decisions(self, project_id: int, limit: int = 50, before: int | None = None) -> tuple[Decision, ...]:
        """The newest decisions (with a number below ``before``), newest first."""
        table = t.decisions
        query = select(table).where(table.c.project_id == project_id).order_by(table.c.id.desc())
        if before is not None:
            query = query.where(table.c.id < before)
        with self._db.read() as connection:
            return tuple(_decision(row) for row in connection.execute(query.limit(limit)).mappings())

    def last_decision(self, project_id: int) -> Decision | None:
        """The newest decision of the project."""
        return next(iter(self.decisions(project_id, limit=1)), None)

    def deployed(
        self,
        project_id: int,
        version: int,
        node: str,
        status: str,
        reason: str,
        *,
        events: Sequence[tuple[str, Json]] = (),
        at: datetime,
    ) -> DeploymentRecord:
        """Keep that ``node`` now has ``version`` in this ``status`` (serving, failed, retired), with the events
        that raises."""
        row = t.deployments.insert().values(
            project_id=project_id, version=version, node=node, status=status, reason=reason, at=at
        )
        with self._db.write() as connection:
            kept = _deployment(connection.execute(row.returning(t.deployments)).mappings().one())
            append_events(connection, project_id, events, at=at)
            return kept

    def deployments(self, project_id: int, limit: int = 50) -> tuple[DeploymentRecord, ...]:
        """The newest deployments, newest first."""
        table = t.deployments
        query = select(table).where(table.c.project_id == project_id).order_by(table.c.id.desc())
        with self._db.read() as connection:
            return tuple(_deployment(row) for row in connection.execute(query.limit(limit)).mappings())

    def emit(self, type: str, data: Json, *, project_id: int | None = None, at: datetime) -> None:
        """Put an event in the outbox."""
        with self._db.write() as connection:
            append_events(connection, project_id, ((type, data),), at=at)

    def events(self, after: int = 0, limit: int = 100) -> tuple[EventRecord, ...]:
        """Events with a number above ``after``, oldest first. A reader that always passes the last number it
        saw misses none: numbers become visible in order."""
        query = select(t.events).where(t.events.c.id > after).order_by(t.events.c.id).limit(limit)
        with self._db.read() as connection:
            return tuple(_event(row) for row in connection.execute(query).mappings())

    def looks(self, project_id: int, holdout_epoch: str) -> int:
        """How many times this holdout has been judged on."""
        with self._db.read() as connection:
            return _looks(connection, project_id, holdout_epoch)


def promote_locked(
    connection: Connection,
    project_id: int,
    to_version: int,
    new: NewPromotion,
    *,
    run: int | None,
    at: datetime,
) -> Promotion:
    """The promotion's part of a larger transaction; see :meth:`Ledger.promote` for its errors."""
    project = lock_project(connection, project_id)
    if project["epoch"] != new.expected_epoch:
        raise StaleEpoch(
            f"the champion changed meanwhile: this was decided at epoch {new.expected_epoch}, "
            f"the project is at {project['epoch']}"
        )
    if project["champion"] == to_version:
        raise Conflict(f"model version {to_version} is the champion already", code="already_champion")
    version = select(t.models.c.version).where(
        t.models.c.project_id == project_id, t.models.c.version == to_version
    )
    if connection.execute(version).one_or_none() is None:
        raise NotFound(f"there is no model version {to_version}")
    epoch = int(project["epoch"]) + 1
    connection.execute(
        t.projects.update()
        .where(t.projects.c.id == project_id)
        .values(champion=to_version, previous=project["champion"], epoch=epoch)
    )
    entry = t.promotions.insert().values(
        project_id=project_id,
        number=epoch,
        epoch=epoch,
        kind=new.kind,
        from_version=project["champion"],
        to_version=to_version,
        reason=new.reason,
        run=run,
        actor=new.actor,
        at=at,
    )
    return _promotion(connection.execute(entry.returning(t.promotions)).mappings().one())


def append_decision(
    connection: Connection, project_id: int, new: NewDecision, *, run: int | None, at: datetime
) -> Decision:
    """The decision's part of a larger transaction; ``run`` is the one it starts."""
    row = t.decisions.insert().values(
        project_id=project_id,
        outcome=new.outcome,
        trigger=new.trigger,
        reason=new.reason,
        evidence=new.evidence,
        run=run,
        at=at,
    )
    return _decision(connection.execute(row.returning(t.decisions)).mappings().one())


def append_events(
    connection: Connection, project_id: int | None, events: Sequence[tuple[str, Json]], *, at: datetime
) -> None:
    """Put events in the outbox. Always the last step of a transaction: on PostgreSQL it takes the outbox's
    lock until the end, so that no event becomes visible after one with a larger number."""
    if not events:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _OUTBOX_LOCK})
    rows = [{"project_id": project_id, "type": type, "data": data, "at": at} for type, data in events]
    connection.execute(t.events.insert(), rows)


def append_judgement(
    connection: Connection,
    project_id: int,
    judgement: tuple[str, int, float],
    *,
    run: int,
    at: datetime,
) -> None:
    """Keep one look (holdout epoch, look, alpha spent); the caller has locked the project.

    Raises Conflict (``look_taken``) when ``look`` isn't the next one of that holdout.
    """
    holdout_epoch, look, alpha_spent = judgement
    taken = _looks(connection, project_id, holdout_epoch)
    if look != taken + 1:
        raise Conflict(
            f"look {look} at holdout {holdout_epoch} was to follow {taken} look(s); its alpha is not free",
            code="look_taken",
        )
    connection.execute(
        t.judgements.insert().values(
            project_id=project_id,
            holdout_epoch=holdout_epoch,
            look=look,
            alpha_spent=alpha_spent,
            run=run,
            at=at,
        )
    )


def _looks(connection: Connection, project_id: int, holdout_epoch: str) -> int:
    table = t.judgements
    query = select(func.count()).where(
        table.c.project_id == project_id, table.c.holdout_epoch == holdout_epoch
    )
    return int(connection.execute(query).scalar_one())


def _promotion(row: RowMapping) -> Promotion:
    values = {key: value for key, value in row.items() if key not in ("id", "kind")}
    return Promotion(kind=PromotionKind(row["kind"]), **values)


def _decision(row: RowMapping) -> Decision:
    return Decision(number=row["id"], **{key: value for key, value in row.items() if key != "id"})


def _deployment(row: RowMapping) -> DeploymentRecord:
    return DeploymentRecord(number=row["id"], **{key: value for key, value in row.items() if key != "id"})


def _event(row: RowMapping) -> EventRecord:
    return EventRecord(number=row["id"], **{key: value for key, value in row.items() if key != "id"})
