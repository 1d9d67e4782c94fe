"""How much came in, by slices of time: counted from the batches, without reading a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Integer, cast, extract, func, select

from registry import tables as t
from registry.database import Database
from registry.records import BatchKind

MOST_BATCHES = 20_000
"""Only so many of the newest batches are looked at: a page must not wait for years of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What came in from ``at`` on, for the length asked for. ``truths`` are labels of uploads and feedback."""

    at: datetime
    predictions: int
    truths: int
    quarantined: int


class Traffic:
    """Counts by project."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def by_slice(self, project_id: int, *, since: datetime, seconds: int) -> tuple[Slice, ...]:
        """The slices of ``seconds`` (whole multiples since 1970) in which something came, oldest first."""
        b = t.batches.c
        first = select(func.max(b.number) - MOST_BATCHES).where(b.project_id == project_id).scalar_subquery()
        whole = (cast(extract("epoch", b.created_at), Integer) // seconds).label("place")
        answers = func.sum(b.rows).filter(b.kind == BatchKind.PREDICTIONS)
        truths = func.sum(b.labelled).filter(b.kind.in_((BatchKind.UPLOAD, BatchKind.FEEDBACK)))
        query = (
            select(whole, answers, truths, func.sum(b.quarantined))
            .where(
                b.project_id == project_id, b.number > first, b.status == "committed", b.created_at >= since
            )
            .group_by(whole)
            .order_by(whole)
        )
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Slice(
                at=datetime.fromtimestamp(int(number) * seconds, UTC),
                predictions=int(predicted or 0),
                truths=int(told or 0),
                quarantined=int(refused or 0),
            )
            for number, predicted, told, refused in rows
        )
