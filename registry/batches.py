"""The SQL records of batches and dataset versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from registry.database import Database
from registry.errors import Conflict, NotFound
from registry.records import Batch, BatchKind, DatasetVersion
from registry.tables import batches, dataset_versions

_PAGE = 1_000


def batch_record(row: Row[Any]) -> Batch:
    """What the registry hands out of a committed batch."""
    return Batch(
        number=row.number,
        project_id=row.project_id,
        kind=BatchKind(row.kind),
        rows=row.rows,
        labelled=row.labelled,
        unlabelled=row.unlabelled,
        quarantined=row.quarantined,
        dataset_version=row.dataset_version,
        content_hash=row.content_hash,
        details=row.details,
        created_at=row.created_at,
    )


def version_record(row: Row[Any]) -> DatasetVersion:
    """What the registry hands out of a dataset version."""
    return DatasetVersion(
        project_id=row.project_id,
        number=row.number,
        rows_version=row.rows_version,
        labels_version=row.labels_version,
        content_hash=row.content_hash,
        rows=row.rows,
        labels=row.labels,
        batch=row.batch,
        created_at=row.created_at,
    )


def newest_version(connection: Connection, project_id: int) -> Row[Any] | None:
    """The row of the newest dataset version; None before the first batch."""
    query = select(dataset_versions).where(dataset_versions.c.project_id == project_id)
    return connection.execute(query.order_by(dataset_versions.c.number.desc()).limit(1)).one_or_none()


def version_numbered(connection: Connection, project_id: int, number: int) -> Row[Any]:
    """The row of a dataset version. Raises NotFound."""
    query = select(dataset_versions).where(
        dataset_versions.c.project_id == project_id, dataset_versions.c.number == number
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no dataset version {number}")
    return row


def with_key(connection: Connection, project_id: int, key: str | None, digest: str | None) -> Row[Any] | None:
    """The batch that was committed or staged with an idempotency key.

    Raises Conflict (``idempotency_mismatch``) when the request was another one then.
    """
    if key is None:
        return None
    query = select(batches).where(batches.c.project_id == project_id, batches.c.idempotency_key == key)
    row = connection.execute(query).one_or_none()
    if row is not None and row.request_digest != digest:
        raise Conflict(
            f"the idempotency key {key!r} was used for another request (batch {row.number})",
            code="idempotency_mismatch",
        )
    return row


def held(db: Database, project_id: int, column: str) -> Iterator[tuple[int, int]]:
    """Number and count of each committed batch whose ``column`` (``rows``, ``quarantined``) isn't zero,
    newest first, fetched as they are asked for."""
    count = batches.c[column]
    query = select(batches.c.number, count).where(
        batches.c.project_id == project_id, batches.c.status == "committed", count > 0
    )
    query = query.order_by(batches.c.number.desc()).limit(_PAGE)
    page = query
    while True:
        with db.read() as connection:
            found = [(row[0], row[1]) for row in connection.execute(page)]
        yield from found
        if len(found) < _PAGE:
            return
        page = query.where(batches.c.number < found[-1][0])
