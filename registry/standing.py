"""How things stand, in a few numbers over all projects: what is looked at every few seconds from outside."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, func, select, tuple_

from registry import tables as t
from registry.alert_tables import alert_deliveries
from registry.database import Database
from registry.energy_tables import energy_readings
from registry.records import Json, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The newest report of a kind on a project's champion: ``score`` beside the ``reference`` it was held against."""

    project: str
    model_version: int
    kind: str
    score: float
    reference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Watt-hours of all searches, or all replays, of a project from one source of readings."""

    project: str
    kind: str
    source: str
    wh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole of the newest report of a kind on a project's champion."""

    project: str
    model_version: int
    kind: str
    report: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """``crowned`` is since when each champion reigns, ``drifted`` the share of columns of its newest drift report;
    ``told_since`` is since when the oldest alert waits. ``reports`` are those of the kinds that were asked for."""

    crowned: dict[str, datetime]
    scores: tuple[Score, ...]
    drifted: dict[str, float]
    runs: dict[RunStatus, int]
    replays: dict[RunStatus, int]
    alerts: int
    told_since: datetime | None
    reports: tuple[Report, ...]
    energy: tuple[Used, ...] = ()


_ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)
_live = t.projects.c.deleted_at.is_(None)


class Standing:
    """Read from SQL in one snapshot, by a fixed number of statements."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def now(self, whole: Collection[str] = ()) -> Numbers:
        """``whole`` are the kinds of which the reports themselves are wanted."""
        with self._db.read() as connection:
            told = alert_deliveries.c
            waiting = select(func.count(), func.min(told.created_at)).where(told.status == "pending")
            alerts, since = connection.execute(waiting).one()
            return Numbers(
                crowned=_crowned(connection),
                scores=_scores(connection),
                drifted=_drifted(connection),
                runs=_active(connection, t.runs),
                replays=_active(connection, t.replays),
                alerts=int(alerts),
                told_since=since,
                energy=_used(connection),
                reports=_reports(connection, whole) if whole else (),
            )


def _crowned(connection: Connection) -> dict[str, datetime]:
    p, c = t.projects.c, t.promotions.c
    query = (
        select(p.name, c.at).join(t.promotions, (c.project_id == p.id) & (c.epoch == p.epoch)).where(_live)
    )
    return {row.name: row.at for row in connection.execute(query)}


def _scores(connection: Connection) -> tuple[Score, ...]:
    p, q = t.projects.c, t.quality_reports.c
    newest = select(func.max(q.id)).group_by(q.project_id, q.model_version, q.kind)
    query = (
        select(p.name, q.model_version, q.kind, q.score, q.reference)
        .join(t.quality_reports, (q.project_id == p.id) & (q.model_version == p.champion))
        .where(_live, q.id.in_(newest))
    )
    return tuple(
        Score(project=name, model_version=version, kind=kind, score=score, reference=reference)
        for name, version, kind, score, reference in connection.execute(query)
    )


def _reports(connection: Connection, kinds: Collection[str]) -> tuple[Report, ...]:
    p, q = t.projects.c, t.quality_reports.c
    mine = select(func.max(q.id)).where(q.kind.in_(kinds)).group_by(q.project_id, q.model_version, q.kind)
    query = (
        select(p.name, q.model_version, q.kind, q.report)
        .join(t.quality_reports, (q.project_id == p.id) & (q.model_version == p.champion))
        .where(_live, q.id.in_(mine))
    )
    return tuple(
        Report(project=name, model_version=version, kind=kind, report=report)
        for name, version, kind, report in connection.execute(query)
    )


def _drifted(connection: Connection) -> dict[str, float]:
    p, d = t.projects.c, t.drift_reports.c
    newest = select(d.project_id, func.max(d.id)).group_by(d.project_id)
    query = (
        select(p.name, d.share)
        .join(t.drift_reports, (d.project_id == p.id) & (d.model_version == p.champion))
        .where(_live, tuple_(d.project_id, d.id).in_(newest))
    )
    return {row.name: row.share for row in connection.execute(query)}


def _used(connection: Connection) -> tuple[Used, ...]:
    p, e = t.projects.c, energy_readings.c
    of_run = e.run.is_not(None)
    query = (
        select(p.name, of_run, e.source, func.sum(e.wh))
        .join(energy_readings, e.project_id == p.id)
        .where(_live, e.wh.is_not(None))
        .group_by(p.name, of_run, e.source)
    )
    return tuple(
        Used(project=name, kind="search" if searched else "replay", source=source, wh=float(wh))
        for name, searched, source, wh in connection.execute(query)
    )


def _active(connection: Connection, table: Table) -> dict[RunStatus, int]:
    status = table.c.status
    query = select(status, func.count()).where(status.in_(_ACTIVE)).group_by(status)
    found = {RunStatus(word): int(count) for word, count in connection.execute(query)}
    return {word: found.get(word, 0) for word in _ACTIVE}
