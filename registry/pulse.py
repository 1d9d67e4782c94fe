"""Has anything changed? One small query that answers for everything a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Integer, ScalarSelect, Table, cast, func, select

from registry import tables as t
from registry.approval_tables import approval_words, approvals
from registry.database import Database
from registry.forecast_tables import forecasts
from registry.probation_tables import probations
from registry.records import RunStatus

_ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Beat:
    """``rows`` changes whenever rows, answers or labels come, under traffic with every flush; ``news`` with all else."""

    rows: str
    news: str

    def __str__(self) -> str:
        return f"{self.rows}~{self.news}"

    @classmethod
    def parse(cls, text: str) -> Beat:
        """The inverse of ``str``; of any other text a beat that equals none."""
        rows, _, news = text.partition("~")
        return cls(rows=rows, news=news)


class Pulse:
    """Two pulses are equal when nothing was added in between that the registry keeps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, project_id: int | None) -> Beat:
        """The pulse of a project, or of all of them."""
        with self._db.read() as connection:
            row = connection.execute(select(*_beats(project_id))).one()
        return _beat(row)

    def each(self) -> dict[int, Beat]:
        """The pulse of every project that isn't deleted, by its id, in one query."""
        project = t.projects.alias("each")
        query = select(project.c.id, *_beats(project.c.id)).where(project.c.deleted_at.is_(None))
        with self._db.read() as connection:
            return {row[0]: _beat(row[1:]) for row in connection.execute(query)}


def _beat(found: Sequence[int | None]) -> Beat:
    rows, *news = ("-" if one is None else str(one) for one in found)
    return Beat(rows=rows, news=".".join(news))


def _beats(project_id: int | ColumnElement[int] | None) -> list[ScalarSelect[int]]:
    def newest(table: Table, column: ColumnElement[int]) -> ScalarSelect[int]:
        query = select(func.max(column))
        return (
            query if project_id is None else query.where(table.c.project_id == project_id)
        ).scalar_subquery()

    projects = select(
        func.sum(t.projects.c.revision + t.projects.c.epoch) + func.count(t.projects.c.deleted_at)
    )
    # How far those have come that are queued or running: what they freeze and find is no new row.
    stages = sum(
        (
            cast(column.is_not(None), Integer)
            for column in (t.runs.c.started_at, t.runs.c.snapshot, t.runs.c.engines)
        ),
        cast(t.runs.c.cancel_requested, Integer) + 1,
    )
    runs = select(func.sum(stages)).where(t.runs.c.status.in_(_ACTIVE))
    ended = select(func.count(probations.c.ended_at))
    answered = select(func.count(approvals.c.ended_at))
    said = select(func.max(approval_words.c.id)).select_from(approval_words.join(approvals))
    active = select(t.runs.c.id).where(t.runs.c.status.in_(_ACTIVE))
    if project_id is not None:
        projects = projects.where(t.projects.c.id == project_id)
        runs, active = (query.where(t.runs.c.project_id == project_id) for query in (runs, active))
        ended = ended.where(probations.c.project_id == project_id)
        answered, said = (query.where(approvals.c.project_id == project_id) for query in (answered, said))
    trials = select(func.max(t.trials.c.id)).where(t.trials.c.run_id.in_(active))
    return [
        newest(
            t.dataset_versions,
            t.dataset_versions.c.number if project_id is not None else t.dataset_versions.c.id,
        ),
        projects.scalar_subquery(),
        runs.scalar_subquery(),
        trials.scalar_subquery(),
        newest(t.runs, t.runs.c.id),
        newest(t.decisions, t.decisions.c.id),
        newest(t.quality_reports, t.quality_reports.c.id),
        newest(t.drift_reports, t.drift_reports.c.id),
        newest(probations, probations.c.id),
        ended.scalar_subquery(),
        newest(approvals, approvals.c.id),
        answered.scalar_subquery(),
        said.scalar_subquery(),
        newest(t.deployments, t.deployments.c.id),
        newest(forecasts, forecasts.c.id),
    ]
