"""Odd rows as they are remembered: what was measured by, how far the rows were looked at, which stood out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, select

from registry.database import Database, insert_into, lock_project
from registry.outlier_tables import outlier_looks as looks
from registry.outlier_tables import outlier_measures as measures
from registry.outlier_tables import outliers
from registry.records import BlobRef, Json

MOST_KEPT = 5_000
"""Odd rows kept of a project: those of its newest looks."""
LOOKS_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRecord:
    """A measure made of ``rows`` rows of a dataset version; its bytes are the blob of that digest."""

    dataset_version: int
    rows: int
    blob: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look found: of ``rows`` rows in the batches up to ``upto``, ``odd`` score at least ``threshold``;
    ``passed_over`` were not looked at. ``columns`` counts the odd rows by the column that made them so. It measured by
    a model, or by a dataset version."""

    model_version: int | None
    dataset_version: int | None
    upto: int
    rows: int
    odd: int
    passed_over: int
    threshold: float
    columns: Json
    number: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OddRow:
    """A row that stood out: ``reasons`` are its columns, most first, ``times`` its distance in those of the median."""

    row_id: str
    batch: int
    source: str
    score: float
    times: float
    reasons: Sequence[Json]
    arrived_at: datetime
    look: int = 0


class Outliers:
    """Thread-safe; several processes may share it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_measure(
        self, project_id: int, *, dataset_version: int, rows: int, blob: BlobRef, at: datetime
    ) -> MeasureRecord:
        """Keep a measure as the project's newest."""
        made = MeasureRecord(dataset_version=dataset_version, rows=rows, blob=blob.digest, at=at)
        with self._db.write() as connection:
            connection.execute(measures.insert().values(project_id=project_id, **asdict(made)))
        return made

    def measure(self, project_id: int) -> MeasureRecord | None:
        """The newest measure that was made of the data."""
        query = select(measures).where(measures.c.project_id == project_id).order_by(measures.c.id.desc())
        with self._db.read() as connection:
            row = connection.execute(query.limit(1)).mappings().one_or_none()
        if row is None:
            return None
        return MeasureRecord(**{field.name: row[field.name] for field in fields(MeasureRecord)})

    def latest(self, project_id: int) -> Look | None:
        """The newest look."""
        return next(iter(self.looks(project_id, limit=1)), None)

    def looks(self, project_id: int, limit: int = 50) -> tuple[Look, ...]:
        """The newest looks, newest first."""
        query = select(looks).where(looks.c.project_id == project_id).order_by(looks.c.id.desc())
        with self._db.read() as connection:
            return tuple(map(_look, connection.execute(query.limit(limit)).mappings()))

    def keep(
        self,
        project_id: int,
        look: Look,
        odd: Sequence[OddRow],
        *,
        after: int | None,
        anew: bool = False,
        at: datetime,
    ) -> bool:
        """Keep a look with its odd rows, where ``after`` (None: none) is still the number of the newest one: of many
        processes that looked at the same rows, one keeps what it saw. Old looks and rows go; ``anew`` by another
        measure, all rows that stood out by the one before."""
        with self._db.write() as connection:
            lock_project(connection, project_id)
            if _newest(connection, project_id) != after:
                return False
            values = {name: value for name, value in asdict(look).items() if name not in ("number", "at")}
            new = looks.insert().values(project_id=project_id, at=at, **values).returning(looks.c.id)
            number = int(connection.execute(new).scalar_one())
            if anew:
                connection.execute(delete(outliers).where(outliers.c.project_id == project_id))
            if odd:
                _put(connection, project_id, number, odd)
            _forget_old(connection, project_id)
            return True

    def list(
        self,
        project_id: int,
        *,
        limit: int = 50,
        source: str | None = None,
        batch: int | None = None,
    ) -> tuple[OddRow, ...]:
        """Odd rows, the oddest first, those of one source or batch where named."""
        query = select(outliers).where(outliers.c.project_id == project_id)
        if source is not None:
            query = query.where(outliers.c.source == source)
        if batch is not None:
            query = query.where(outliers.c.batch == batch)
        order = (outliers.c.score.desc(), outliers.c.times.desc(), outliers.c.row_id)
        with self._db.read() as connection:
            return tuple(map(_odd, connection.execute(query.order_by(*order).limit(limit)).mappings()))

    def drop(self, project_id: int) -> None:
        """Forget everything of a deleted project."""
        with self._db.write() as connection:
            for table in (outliers, looks, measures):
                connection.execute(delete(table).where(table.c.project_id == project_id))


def _newest(connection: Connection, project_id: int) -> int | None:
    number: int | None = connection.execute(
        select(func.max(looks.c.id)).where(looks.c.project_id == project_id)
    ).scalar()
    return number


def _put(connection: Connection, project_id: int, look: int, odd: Sequence[OddRow]) -> None:
    rows = [
        {
            "project_id": project_id,
            "look": look,
            "row_id": row.row_id,
            "batch": row.batch,
            "source": row.source,
            "score": row.score,
            "times": row.times,
            "reasons": list(row.reasons),
            "arrived_at": row.arrived_at,
        }
        for row in odd
    ]
    new = insert_into(connection, outliers)
    same = [outliers.c.project_id, outliers.c.row_id]
    change = {name: new.excluded[name] for name in ("look", "batch", "source", "score", "times", "reasons")}
    connection.execute(new.on_conflict_do_update(index_elements=same, set_=change), rows)


def _forget_old(connection: Connection, project_id: int) -> None:
    """Whole looks at a time: odd rows of looks beyond the newest that hold MOST_KEPT, and looks that no row needs."""
    counted = (
        select(outliers.c.look, func.count().label("rows"))
        .where(outliers.c.project_id == project_id)
        .group_by(outliers.c.look)
        .order_by(outliers.c.look.desc())
    )
    total, oldest = 0, None
    for look, rows in connection.execute(counted):
        if total and total + rows > MOST_KEPT:
            break
        total, oldest = total + rows, look
    if oldest is not None:
        old = (outliers.c.project_id == project_id) & (outliers.c.look < oldest)
        connection.execute(delete(outliers).where(old))
    kept = select(looks.c.id).where(looks.c.project_id == project_id).order_by(looks.c.id.desc())
    first = connection.execute(kept.offset(LOOKS_KEPT - 1).limit(1)).scalar()
    if first is not None:
        used = select(outliers.c.look).where(outliers.c.project_id == project_id)
        gone = (looks.c.project_id == project_id) & (looks.c.id < first) & looks.c.id.not_in(used)
        connection.execute(delete(looks).where(gone))


def _look(row: RowMapping) -> Look:
    known = {field.name: row[field.name] for field in fields(Look) if field.name != "number"}
    return Look(number=row["id"], **known)


def _odd(row: RowMapping) -> OddRow:
    return OddRow(**{field.name: row[field.name] for field in fields(OddRow)})
