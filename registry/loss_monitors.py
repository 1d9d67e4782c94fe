"""How far each champion's losses were followed, and what was seen on the way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from registry import tables as t
from registry.database import Database, insert_into
from registry.records import Json, LossMonitorRecord

LOSS_CHANGE = "loss_change"


class LossMonitors:
    """At most one a project. It moves by compare-and-set: of many processes that saw the same truths, one
    keeps what it made of them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, project_id: int) -> LossMonitorRecord | None:
        query = select(t.loss_monitors).where(t.loss_monitors.c.project_id == project_id)
        with self._db.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else LossMonitorRecord(**row)

    def advance(
        self,
        project_id: int,
        *,
        expected: LossMonitorRecord | None,
        model_version: int,
        upto: int,
        state: Json,
        change: tuple[float, float, Json] | None = None,
        at: datetime,
    ) -> bool:
        """Keep the next state, and with it the ``change`` of the mean loss (before, after, the whole of it) as a
        quality report: both or neither. False when it is no longer as ``expected``; nothing is kept then."""
        table = t.loss_monitors
        values = {"model_version": model_version, "upto": upto, "state": state, "at": at}
        with self._db.write() as connection:
            move: ReturningInsert[Any] | ReturningUpdate[Any]
            if expected is None:
                new = insert_into(connection, table).values(project_id=project_id, **values)
                move = new.on_conflict_do_nothing().returning(table.c.upto)
            else:
                held = (table.c.model_version == expected.model_version) & (table.c.upto == expected.upto)
                move = (
                    table.update()
                    .where(table.c.project_id == project_id, held)
                    .values(**values)
                    .returning(table.c.upto)
                )
            if connection.execute(move).one_or_none() is None:
                return False
            if change is not None:
                before, after, report = change
                connection.execute(
                    t.quality_reports.insert().values(
                        project_id=project_id,
                        model_version=model_version,
                        kind=LOSS_CHANGE,
                        score=after,
                        reference=before,
                        report=report,
                        at=at,
                    )
                )
            return True
