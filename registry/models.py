"""Registered models: a version number, a blob, and what is known of it. They never change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Select, func, select

from registry import tables as t
from registry.database import Database, lock_project
from registry.errors import NotFound
from registry.records import BlobRef, Model, NewModel


class Models:
    """Models by project and version; versions count from 1 without gaps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def register(self, project_id: int, new: NewModel, *, run: int | None = None, at: datetime) -> Model:
        """Give the model the project's next version. ``run`` is the number of the run that made it.

        Raises NotFound when the project, or a blob that the model names, isn't there.
        """
        with self._db.write() as connection:
            lock_project(connection, project_id)
            version = insert_model(connection, project_id, new, run=run, at=at)
            return _one(connection, project_id, version)

    def get(self, project_id: int, version: int) -> Model:
        """That version. Raises NotFound."""
        with self._db.read() as connection:
            return _one(connection, project_id, version)

    def list(self, project_id: int, limit: int | None = None, before: int | None = None) -> tuple[Model, ...]:
        """All models of the project, or the newest ``limit`` (with a version below ``before``), newest first."""
        with self._db.read() as connection:
            query = _models(project_id).order_by(t.models.c.version.desc()).limit(limit)
            if before is not None:
                query = query.where(t.models.c.version < before)
            return tuple(_record(row) for row in connection.execute(query).mappings())


def insert_models(
    connection: Connection, project_id: int, news: Sequence[NewModel], *, run: int | None, at: datetime
) -> tuple[int, ...]:
    """Insert models as the next versions, in order, each linked to those before; returns their numbers."""
    versions: list[int] = []
    for new in news:
        linked = {name: versions[position] for name, position in new.links.items()}
        known = replace(new, details={**new.details, **linked})
        versions.append(insert_model(connection, project_id, known, run=run, at=at))
    return tuple(versions)


def insert_model(
    connection: Connection, project_id: int, new: NewModel, *, run: int | None, at: datetime
) -> int:
    """Insert the model as the next version and return its number; the caller has locked the project."""
    _require_blobs(connection, (new.blob, *new.attachments.values()))
    newest = select(func.max(t.models.c.version)).where(t.models.c.project_id == project_id)
    version = int(connection.execute(newest).scalar() or 0) + 1
    connection.execute(
        t.models.insert().values(
            project_id=project_id,
            version=version,
            run=run,
            blob=new.blob.digest,
            engine=new.engine,
            estimator=new.estimator,
            config=new.config,
            dataset_version=new.dataset_version,
            details=new.details,
            attachments={name: _blob_json(ref) for name, ref in new.attachments.items()},
            created_at=at,
        )
    )
    return version


def _require_blobs(connection: Connection, refs: Iterable[BlobRef]) -> None:
    digests = {ref.digest for ref in refs}
    query = select(t.blobs.c.digest).where(t.blobs.c.digest.in_(digests))
    missing = digests - set(connection.execute(query).scalars())
    if missing:
        raise NotFound(f"the blob store has no blob {min(missing)}")


def _models(project_id: int) -> Select[tuple[object, ...]]:
    return (
        select(t.models, t.blobs.c.size, t.blobs.c.signature)
        .join(t.blobs, t.blobs.c.digest == t.models.c.blob)
        .where(t.models.c.project_id == project_id)
    )


def _one(connection: Connection, project_id: int, version: int) -> Model:
    query = _models(project_id).where(t.models.c.version == version)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no model version {version}")
    return _record(row)


def _blob_json(ref: BlobRef) -> dict[str, str | int]:
    return {"digest": ref.digest, "size": ref.size, "signature": ref.signature}


def _record(row: RowMapping) -> Model:
    return Model(
        project_id=row["project_id"],
        version=row["version"],
        run=row["run"],
        blob=BlobRef(digest=row["blob"], size=row["size"], signature=row["signature"]),
        engine=row["engine"],
        estimator=row["estimator"],
        config=row["config"],
        dataset_version=row["dataset_version"],
        details=row["details"],
        attachments={name: BlobRef(**ref) for name, ref in row["attachments"].items()},
        created_at=row["created_at"],
    )
