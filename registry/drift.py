"""Drift reports: evidence about the rows that come in, kept as the service hands them over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, select

from registry import tables as t
from registry.database import Database
from registry.records import DriftRecord, Json


class DriftReports:
    """Reports by project, numbered in the order they were made."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        project_id: int,
        model_version: int | None,
        share: float,
        drifted: Sequence[str],
        report: Json,
        *,
        at: datetime,
    ) -> DriftRecord:
        """Keep a report: the share of columns that drifted (0..1), their names, and the whole of it."""
        row = t.drift_reports.insert().values(
            project_id=project_id,
            model_version=model_version,
            share=share,
            drifted=list(drifted),
            report=report,
            at=at,
        )
        with self._db.write() as connection:
            return _record(connection.execute(row.returning(t.drift_reports)).mappings().one())

    def latest(self, project_id: int) -> DriftRecord | None:
        """The newest report."""
        return next(iter(self.list(project_id, limit=1)), None)

    def list(self, project_id: int, limit: int = 50) -> tuple[DriftRecord, ...]:
        """The newest reports, newest first."""
        table = t.drift_reports
        query = select(table).where(table.c.project_id == project_id).order_by(table.c.id.desc())
        with self._db.read() as connection:
            return tuple(_record(row) for row in connection.execute(query.limit(limit)).mappings())


def _record(row: RowMapping) -> DriftRecord:
    return DriftRecord(
        number=row["id"],
        project_id=row["project_id"],
        model_version=row["model_version"],
        share=row["share"],
        drifted=tuple(row["drifted"]),
        report=row["report"],
        at=row["at"],
    )
