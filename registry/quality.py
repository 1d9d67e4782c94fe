"""Live quality as it was seen: realised once truth comes, estimated before."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, select

from registry import tables as t
from registry.database import Database
from registry.records import Json, QualityRecord


class QualityReports:
    """Reports by project and kind, numbered in the order they were made."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        project_id: int,
        *,
        model_version: int,
        kind: str,
        score: float,
        reference: float,
        report: Json,
        at: datetime,
    ) -> QualityRecord:
        """Keep a report: ``score`` and ``reference`` in the metric's own sign, ``report`` the whole of it."""
        row = t.quality_reports.insert().values(
            project_id=project_id,
            model_version=model_version,
            kind=kind,
            score=score,
            reference=reference,
            report=report,
            at=at,
        )
        with self._db.write() as connection:
            return _record(connection.execute(row.returning(t.quality_reports)).mappings().one())

    def latest(self, project_id: int, kind: str) -> QualityRecord | None:
        """The newest report of that kind."""
        return next(iter(self.list(project_id, kind, limit=1)), None)

    def list(
        self, project_id: int, kind: str, limit: int = 50, *, model_version: int | None = None
    ) -> tuple[QualityRecord, ...]:
        """The newest reports of that kind, on one version where that is given, newest first."""
        table = t.quality_reports
        query = select(table).where(table.c.project_id == project_id, table.c.kind == kind)
        if model_version is not None:
            query = query.where(table.c.model_version == model_version)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit)).mappings()
            return tuple(_record(row) for row in rows)


def _record(row: RowMapping) -> QualityRecord:
    return QualityRecord(**{"number" if key == "id" else key: value for key, value in row.items()})
