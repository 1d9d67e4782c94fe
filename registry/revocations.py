"""Labels that were taken back: an act of its own, which older dataset versions know nothing of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Row, select

from registry.database import Database
from registry.label_tables import revocations
from registry.lineage import revocation_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Which label entries: those that fit everything given. ``since`` is a time from which on (inclusive).

    Raises ValueError when none of source, origin and teacher is given: that would be all labels there are.
    """

    source: str | None = None
    origin: str | None = None
    teacher: int | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        if self.source is None and self.origin is None and self.teacher is None:
            raise ValueError("name a source, an origin or a teacher")

    @property
    def hash(self) -> str:
        """What a revocation adds to the content hash of the dataset, in place of rows and labels."""
        return revocation_hash(self.source, self.origin, self.teacher, self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """An entry of the ledger: entries of batches before ``batch`` that fit ``criteria`` count no longer.

    ``revoked`` is how many that were. Labels that came later count, whoever they are from.
    """

    project_id: int
    batch: int
    criteria: Criteria
    revoked: int
    reason: str
    actor: str
    at: datetime


def fits(labels: pa.Table, criteria: Criteria) -> NDArray[np.bool_]:
    """Which of the entries (with ``source``, ``origin``, ``teacher`` and ``at``) fit."""
    hit = np.ones(labels.num_rows, np.bool_)
    wanted = (("source", criteria.source), ("origin", criteria.origin), ("teacher", criteria.teacher))
    for name, value in wanted:
        if value is not None:
            same = pc.equal(labels[name], pa.scalar(value, labels[name].type))
            hit &= _mask(same)
    if criteria.since is not None:
        hit &= _mask(pc.greater_equal(labels["at"], pa.scalar(criteria.since, labels["at"].type)))
    return hit


def counting(labels: pa.Table, revoked: Sequence[Revocation]) -> pa.Table:
    """The entries that none of the revocations took back; ``labels`` has ``_batch`` too."""
    if not revoked or not labels.num_rows:
        return labels
    gone = np.zeros(labels.num_rows, np.bool_)
    batch = labels["_batch"].to_numpy()
    for each in revoked:
        gone |= (batch < each.batch) & fits(labels, each.criteria)
    return labels.filter(pa.array(~gone))


def revocations_upto(db: Database, project_id: int, batch: int) -> tuple[Revocation, ...]:
    """The revocations of a project up to a batch, oldest first."""
    query = select(revocations).where(revocations.c.project_id == project_id, revocations.c.batch <= batch)
    with db.read() as connection:
        return tuple(map(record, connection.execute(query.order_by(revocations.c.batch))))


def record(row: Row[Any]) -> Revocation:
    """What the registry hands out of a revocation."""
    return Revocation(
        project_id=row.project_id,
        batch=row.batch,
        criteria=Criteria(source=row.source, origin=row.origin, teacher=row.teacher, since=row.since),
        revoked=row.revoked,
        reason=row.reason,
        actor=row.actor,
        at=row.at,
    )


def _mask(flags: pa.ChunkedArray) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = pc.fill_null(flags, False).to_numpy()
    return mask
