"""Energy readings: what each search and replay used, measured or estimated, and where it is not known, why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import RowMapping, func, select

from registry.database import Database
from registry.energy_tables import energy_readings as table
from registry.records import Json


class EnergySource(StrEnum):
    """``measured`` by counters of the hardware, ``estimated`` from processor time and an assumed power."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReading:
    """What one metered process used: watt-hours, grams of CO2 equivalent (None: not known), over so many ``seconds``.
    ``details`` is the service's own JSON."""

    part: str
    source: EnergySource
    wh: float | None
    gco2e: float | None
    seconds: float
    details: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReading:
    project_id: int
    run: int | None
    replay: int | None
    part: str
    source: EnergySource
    wh: float | None
    gco2e: float | None
    seconds: float
    details: Json
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTotal:
    """The sum of a project's ``readings`` of one kind (``search`` or ``replay``) from one source."""

    kind: str
    source: EnergySource
    readings: int
    wh: float
    gco2e: float


class Energy:
    """Readings by project; they only grow."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        project_id: int,
        new: NewReading,
        *,
        run: int | None = None,
        replay: int | None = None,
        at: datetime,
    ) -> None:
        """Keep a reading of that run or replay."""
        row = table.insert().values(
            project_id=project_id,
            run=run,
            replay=replay,
            part=new.part,
            source=new.source,
            wh=new.wh,
            gco2e=new.gco2e,
            seconds=new.seconds,
            details=new.details,
            at=at,
        )
        with self._db.write() as connection:
            connection.execute(row)

    def of_runs(self, project_id: int, runs: Collection[int]) -> dict[int, tuple[EnergyReading, ...]]:
        """The readings of these runs, oldest first; runs without any are not there."""
        query = select(table).where(table.c.project_id == project_id, table.c.run.in_(list(runs)))
        found: dict[int, tuple[EnergyReading, ...]] = {}
        with self._db.read() as connection:
            for row in connection.execute(query.order_by(table.c.id)).mappings():
                found[row["run"]] = (*found.get(row["run"], ()), _record(row))
        return found

    def of_replay(self, project_id: int, replay: int) -> tuple[EnergyReading, ...]:
        """The readings of a replay, one for each attempt, oldest first."""
        query = select(table).where(table.c.project_id == project_id, table.c.replay == replay)
        with self._db.read() as connection:
            return tuple(_record(row) for row in connection.execute(query.order_by(table.c.id)).mappings())

    def newest(self, project_id: int) -> EnergyReading | None:
        """The newest reading that came to a figure."""
        query = select(table).where(table.c.project_id == project_id, table.c.wh.is_not(None))
        with self._db.read() as connection:
            row = connection.execute(query.order_by(table.c.id.desc()).limit(1)).mappings().one_or_none()
        return None if row is None else _record(row)

    def spent_wh(self, project_id: int, since: datetime) -> float:
        """Watt-hours that the project's runs used in searches that ended after ``since``, as far as known."""
        query = select(func.sum(table.c.wh)).where(
            table.c.project_id == project_id, table.c.run.is_not(None), table.c.at > since
        )
        with self._db.read() as connection:
            return float(connection.execute(query).scalar() or 0.0)

    def totals(self, project_id: int) -> tuple[EnergyTotal, ...]:
        """All that is known of, by kind and source."""
        query = (
            select(
                table.c.source,
                table.c.run.is_not(None).label("of_run"),
                func.count().label("readings"),
                func.coalesce(func.sum(table.c.wh), 0.0).label("wh"),
                func.coalesce(func.sum(table.c.gco2e), 0.0).label("gco2e"),
            )
            .where(table.c.project_id == project_id)
            .group_by(table.c.source, table.c.run.is_not(None))
            .order_by(table.c.run.is_not(None).desc(), table.c.source)
        )
        with self._db.read() as connection:
            return tuple(
                EnergyTotal(
                    kind="search" if row["of_run"] else "replay",
                    source=EnergySource(row["source"]),
                    readings=int(row["readings"]),
                    wh=float(row["wh"]),
                    gco2e=float(row["gco2e"]),
                )
                for row in connection.execute(query).mappings()
            )


def _record(row: RowMapping) -> EnergyReading:
    values = {key: value for key, value in row.items() if key not in ("id", "source")}
    return EnergyReading(source=EnergySource(row["source"]), **values)
