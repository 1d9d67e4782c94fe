"""Forecasts that were given: stored before they are told, scored as their actual values come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, select

from registry.database import Database, lock_project
from registry.errors import NotFound
from registry.forecast_tables import forecasts
from registry.records import Json

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NewForecast:
    """One series from one origin. ``steps`` are one JSON object each, with the service's own members."""

    series: str
    model_version: int
    origin: int
    scale: float
    coverage: float
    steps: Sequence[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRecord:
    """``number`` counts within the project; ``actuals`` has a value or None for each step, ``open`` while one lacks."""

    number: int
    project_id: int
    series: str
    model_version: int
    origin: int
    scale: float
    coverage: float
    steps: Sequence[Json]
    actuals: Sequence[float | None]
    open: bool
    made_at: datetime
    scored_at: datetime | None


class Forecasts:
    """Forecasts by number within their project."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self, project_id: int, news: Sequence[NewForecast], *, at: datetime
    ) -> tuple[ForecastRecord, ...]:
        """Keep forecasts, all or none, in the order given. Raises NotFound when the project was deleted."""
        with self._db.write() as connection:
            lock_project(connection, project_id)
            newest = select(func.max(forecasts.c.number)).where(forecasts.c.project_id == project_id)
            first = int(connection.execute(newest).scalar() or 0) + 1
            rows = [_row(project_id, first + at_, new, at) for at_, new in enumerate(news)]
            for start in range(0, len(rows), _AT_ONCE):
                connection.execute(forecasts.insert(), rows[start : start + _AT_ONCE])
        return self.between(project_id, first, first + len(news))

    def get(self, project_id: int, number: int) -> ForecastRecord:
        """The forecast of that number. Raises NotFound."""
        found = self.between(project_id, number, number + 1)
        if not found:
            raise NotFound(f"there is no forecast {number}")
        return found[0]

    def between(self, project_id: int, first: int, end: int) -> tuple[ForecastRecord, ...]:
        """Those with numbers from ``first`` up to below ``end``, in order."""
        query = select(forecasts).where(
            forecasts.c.project_id == project_id, forecasts.c.number >= first, forecasts.c.number < end
        )
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(forecasts.c.number)).mappings()
            return tuple(_record(row) for row in rows)

    def list(
        self,
        project_id: int,
        *,
        series: str | None = None,
        model_version: int | None = None,
        since: datetime | None = None,
        open: bool | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> tuple[ForecastRecord, ...]:
        """The newest forecasts of the project that are so, newest first; with ``before``, those of smaller numbers."""
        asked: Mapping[Any, Any] = {forecasts.c.series: series, forecasts.c.model_version: model_version}
        query = select(forecasts).where(forecasts.c.project_id == project_id)
        for column, value in asked.items():
            query = query if value is None else query.where(column == value)
        if open is not None:
            query = query.where(forecasts.c.open == open)
        if since is not None:
            query = query.where(forecasts.c.made_at >= since)
        if before is not None:
            query = query.where(forecasts.c.number < before)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(forecasts.c.number.desc()).limit(limit)).mappings()
            return tuple(_record(row) for row in rows)

    def score(self, project_id: int, actuals: Mapping[int, Sequence[float | None]], *, at: datetime) -> None:
        """Write what came, by number of the forecast. One whose every step has come is closed."""
        with self._db.write() as connection:
            for number, came in actuals.items():
                closed = all(value is not None for value in came)
                connection.execute(
                    forecasts.update()
                    .where(forecasts.c.project_id == project_id, forecasts.c.number == number)
                    .values(actuals=list(came), open=not closed, scored_at=at)
                )


def _row(project_id: int, number: int, new: NewForecast, at: datetime) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "number": number,
        "series": new.series,
        "model_version": new.model_version,
        "origin": new.origin,
        "scale": new.scale,
        "coverage": new.coverage,
        "steps": [dict(step) for step in new.steps],
        "actuals": [None] * len(new.steps),
        "open": True,
        "made_at": at,
    }


def _record(row: RowMapping) -> ForecastRecord:
    return ForecastRecord(**{key: value for key, value in row.items() if key != "id"})
