"""Rows, labels and predictions of projects: staged, committed as batches, read back at any version."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.exceptions import DeltaError
from sqlalchemy import func, select

from registry import reading, row_index, shadows, staging
from registry.batches import batch_record, held, newest_version, version_numbered, version_record, with_key
from registry.commits import Commits
from registry.database import Database
from registry.delta_tables import DeltaTables
from registry.errors import NotFound, RegistryError
from registry.maintenance import TIDY_EVERY, MaintenanceReport, maintain, tidy
from registry.pause import Pause, no_pause
from registry.reading import Arrivals
from registry.records import Batch, BatchKind, DatasetFacts, DatasetVersion, Json, Project
from registry.revocations import revocations_upto
from registry.shadows import Pairs
from registry.staging import Staging
from registry.tables import batches, dataset_versions, projects

logger = logging.getLogger(__name__)


class Datasets:
    """Thread-safe; several processes may share ``tables`` and ``staging``, which lie in one file system."""

    def __init__(self, db: Database, tables: Path, staging: Path) -> None:
        self._db = db
        self._tables = tables
        self._staging = staging
        self.commits = Commits(db, staging)
        self._open: dict[int, DeltaTables] = {}
        self._guard = threading.Lock()

    # Writing

    def stage(self, project: Project) -> Staging:
        """A place to write a batch's parts to; as a context manager it removes what isn't committed."""
        return staging.create(self._staging, project.id)

    def commit(
        self,
        staging: Staging,
        *,
        kind: BatchKind,
        details: Json,
        idempotency_key: str | None = None,
        request_digest: str | None = None,
        at: datetime,
        pause: Pause = no_pause,
    ) -> Batch:
        """Make a staged batch part of the dataset: durable, readable and acknowledged, or not there at all.

        With a key that was used before for the same request, that batch is returned and this one dropped.
        Raises DuplicateRows (an id exists already, or twice in the batch), Conflict
        (``idempotency_mismatch``; ``schema_changed``: a column is stored with another type), NotFound (the
        project was deleted); then nothing was written. On OSError, DeltaError or Unavailable the batch may be
        finished later by ``recover`` or by the project's next commit; with an idempotency key it is safe to
        try again. ``pause`` is called between pieces of the work, no transaction open.
        """
        tables = self.tables_of(staging.project_id)
        with staging:
            batch = self.commits.commit(
                staging,
                tables,
                kind=kind,
                details=details,
                idempotency_key=idempotency_key,
                request_digest=request_digest,
                at=at,
                pause=pause,
            )
        if batch.number % TIDY_EVERY == 0:
            tidy(tables)
        return batch

    def next_number(self, project_id: int) -> int:
        """The number of the next batch, unless another is committed first."""
        query = select(func.coalesce(func.max(batches.c.number), 0)).where(batches.c.project_id == project_id)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one()) + 1

    def recover(self, at: datetime) -> tuple[Batch, ...]:
        """Finish the batches that a crash left half-way and remove what was never committed; for every start.

        Waits for live commits of the same projects. Where a batch can't be finished (a full disk, a damaged
        table), that is logged, the other projects go on, and the project's next commit tries again and raises.
        """
        query = select(batches.c.project_id).where(batches.c.status == "staged").distinct()
        with self._db.read() as connection:
            waiting = sorted(connection.execute(query).scalars())
        done: list[Batch] = []
        for project_id in waiting:
            tables = self.tables_of(project_id)
            try:
                with self.commits.lock(project_id, tables):
                    done.extend(self.commits.roll_forward(project_id, tables, at))
            except (RegistryError, DeltaError, OSError):
                logger.exception("a batch of project %d is left unfinished", project_id)
        staging.sweep(self._staging, self._is_staged)
        return tuple(done)

    def replay(self, project_id: int, idempotency_key: str, request_digest: str | None) -> Batch | None:
        """The batch that was committed with this key, if any.

        Raises Conflict (``idempotency_mismatch``) when the request was another one then.
        """
        with self._db.read() as connection:
            row = with_key(connection, project_id, idempotency_key, request_digest)
        return None if row is None or row.status != "committed" else batch_record(row)

    def maintain(
        self, project_id: int, *, pinned: Collection[int], at: datetime, retention: timedelta
    ) -> MaintenanceReport:
        """Compact a project's tables and remove files, older than ``retention``, that only dataset versions not
        ``pinned`` refer to. Every version stays readable, by the same rows in newer files; the pinned keep
        their very files. Does nothing while another process is at it. Raises DeltaError, OSError."""
        tables = self.tables_of(project_id)
        query = select(dataset_versions).where(
            dataset_versions.c.project_id == project_id, dataset_versions.c.number.in_(set(pinned))
        )
        with self._db.read() as connection:
            kept = connection.execute(query).all()
        keep = {"rows": {row.rows_version for row in kept}, "labels": {row.labels_version for row in kept}}
        return maintain(
            tables, keep, lambda: self.commits.lock(project_id, tables), at=at, retention=retention
        )

    def drop(self, project: Project) -> None:
        """Erase a deleted project's rows, labels and predictions; the records of its batches stay."""
        tables = self.tables_of(project.id)
        with self.commits.lock(project.id, tables):
            tables.remove()
            with self._db.write() as connection:
                row_index.remove(connection, project.id)

    # The index

    def known(self, project_id: int, row_ids: Iterable[str]) -> set[str]:
        """Those of ``row_ids`` that exist."""
        return set(self.truths(project_id, row_ids))

    def truths(self, project_id: int, row_ids: Iterable[str]) -> dict[str, str | None]:
        """The known ones of ``row_ids``, each with its truth (canonical text) or None."""
        return row_index.truths(self._db, project_id, list(row_ids))

    def truth_counts(self, project_id: int) -> dict[str, int]:
        """How many rows have each truth (canonical text)."""
        return row_index.truth_counts(self._db, project_id)

    # Records

    def batch(self, project_id: int, number: int) -> Batch:
        """A committed batch. Raises NotFound."""
        query = select(batches).where(batches.c.project_id == project_id, batches.c.number == number)
        with self._db.read() as connection:
            row = connection.execute(query.where(batches.c.status == "committed")).one_or_none()
        if row is None:
            raise NotFound(f"there is no batch {number}")
        return batch_record(row)

    def batches(self, project_id: int, limit: int = 50, before: int | None = None) -> tuple[Batch, ...]:
        """Committed batches, newest first; with ``before``, those with smaller numbers."""
        query = select(batches).where(batches.c.project_id == project_id, batches.c.status == "committed")
        if before is not None:
            query = query.where(batches.c.number < before)
        with self._db.read() as connection:
            return tuple(
                map(batch_record, connection.execute(query.order_by(batches.c.number.desc()).limit(limit)))
            )

    def version(self, project_id: int, number: int) -> DatasetVersion:
        """A dataset version. Raises NotFound."""
        with self._db.read() as connection:
            return version_record(version_numbered(connection, project_id, number))

    def versions(
        self, project_id: int, limit: int = 50, before: int | None = None
    ) -> tuple[DatasetVersion, ...]:
        """Dataset versions, newest first; with ``before``, those with smaller numbers."""
        query = select(dataset_versions).where(dataset_versions.c.project_id == project_id)
        if before is not None:
            query = query.where(dataset_versions.c.number < before)
        query = query.order_by(dataset_versions.c.number.desc()).limit(limit)
        with self._db.read() as connection:
            return tuple(map(version_record, connection.execute(query)))

    def latest(self, project_id: int) -> DatasetVersion | None:
        """The newest dataset version; None before the first batch."""
        with self._db.read() as connection:
            row = newest_version(connection, project_id)
        return None if row is None else version_record(row)

    def facts(self, project_id: int) -> DatasetFacts:
        """Counts as of the newest version; ``truths`` counts rows that have theirs, not label entries."""
        arrived = select(func.max(batches.c.created_at)).where(
            batches.c.project_id == project_id, batches.c.status == "committed"
        )
        with self._db.read() as connection:
            newest = newest_version(connection, project_id)
            last_row_at = connection.execute(arrived.where(batches.c.rows > 0)).scalar_one()
            last_truth_at = connection.execute(arrived.where(batches.c.labelled > 0)).scalar_one()
        return DatasetFacts(
            version=0 if newest is None else newest.number,
            rows=0 if newest is None else newest.rows,
            truths=0 if newest is None else newest.truths,
            predictions=0 if newest is None else newest.predictions,
            last_row_at=last_row_at,
            last_truth_at=last_truth_at,
        )

    # Reading

    def read(
        self, project_id: int, version: int, *, labelled: bool = True, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of a dataset version with the label that holds for each, exactly as they were then.

        Adds ``_label`` (canonical text), ``_label_source``, ``_label_origin``, ``_confidence``, ``_teacher`` and
        ``_labelled_at``; with ``labelled`` only rows that have a label (pseudo ones count), else all, with nulls.
        ``columns`` narrows the caller's columns; the system columns are always there. Ordered by batch,
        arrival and row id, whatever files the rows lie in. Raises NotFound, Damaged.
        """
        point = self.version(project_id, version)
        gone = revocations_upto(self._db, project_id, point.batch)
        return reading.rows(self.tables_of(project_id), point, gone, labelled=labelled, columns=columns)

    def recent(self, project_id: int, n: int, source: str | None = None) -> pa.Table:
        """The newest ``n`` rows (of one ``_source``), oldest of them first. Raises Damaged."""
        batches_with_rows = held(self._db, project_id, "rows")
        return reading.recent(
            self.tables_of(project_id), self._upto(project_id), batches_with_rows, n, source
        )

    def arrivals(self, project_id: int, *, after: int, most: int) -> Arrivals:
        """The newest ``most`` rows of the batches after ``after``, yet to be read, perhaps by another process."""
        upto = self._upto(project_id)
        since = takewhile(lambda each: each[0] > after, held(self._db, project_id, "rows"))
        return Arrivals.of(self.tables_of(project_id), since, upto=upto, most=most)

    def rows(self, project_id: int, row_ids: Iterable[str]) -> pa.Table:
        """The rows with these ids, those that exist, in no order. Raises Damaged."""
        ids = list(row_ids)
        where = row_index.batches(self._db, project_id, ids)
        return reading.some(self.tables_of(project_id), self._upto(project_id), ids, where)

    def scored(
        self,
        project_id: int,
        since: datetime | None = None,
        limit: int | None = None,
        *,
        labelled: bool = True,
    ) -> pa.Table:
        """Predictions beside the truth: the latest prediction of each row, made at or after ``since``, the
        newest ``limit`` of them, oldest first.

        Columns ``_row_id, model_version, value, score, probabilities, at, label, label_at``; without
        ``labelled`` also those whose truth hasn't come, with nulls. Raises Damaged.
        """
        tables, upto = self.tables_of(project_id), self._upto(project_id)
        gone = revocations_upto(self._db, project_id, upto)
        return reading.scored(tables, upto, gone, since=since, limit=limit, labelled=labelled)

    def shadowed(self, project_id: int, probation: int, limit: int) -> pa.Table:
        """The newest ``limit`` shadow answers of a probation, oldest of them first. Raises Damaged."""
        return shadows.shadowed(self.tables_of(project_id), self._upto(project_id), probation, limit)

    def paired(self, project_id: int, probation: int, *, began: int, after: int) -> Pairs:
        """Shadow answers of a probation whose truth has come, and the batch up to which was looked.

        Each row once: its first answers and the truth that holds, if its first came after them. A pair is there
        from the batch that completed it, whether that brought the truth or the answers; pairs complete in batches
        above ``after`` are in the table, in the order in which they became so; ``began`` is the last batch before
        the probation. Where a truth up to ``after`` was revoked or corrected since, all pairs after ``began`` are,
        and ``anew`` says so. Columns of SHADOWS without ``_batch``, ``probation``, and ``label, label_at, complete``.
        Raises Damaged.
        """
        upto = self._upto(project_id)
        gone = revocations_upto(self._db, project_id, upto)
        return shadows.paired(self.tables_of(project_id), upto, gone, probation, began, after)

    def answered(self, project_id: int, *, after: int, upto: int, model_version: int) -> pa.Table:
        """Answers of a model whose truth came in the batches after ``after`` up to ``upto``, in order of the
        answers' time: ``_row_id, model_version, value, score, probabilities, at, label``. A row whose truth
        is corrected comes again, one whose truth was revoked by then does not. Raises Damaged."""
        tables, gone = self.tables_of(project_id), revocations_upto(self._db, project_id, upto)
        return reading.answered(tables, upto, gone, after=after, model_version=model_version)

    def quarantine(self, project_id: int, limit: int = 100, batch: int | None = None) -> list[dict[str, Any]]:
        """Refused rows, newest batch first: ``batch, line, column, code, message, row, at``."""
        refused = held(self._db, project_id, "quarantined")
        return reading.quarantine(self.tables_of(project_id), self._upto(project_id), refused, limit, batch)

    def verify(self, project_id: int, number: int) -> bool:
        """Whether the rows and labels of a version, read again from the tables, still give its content hash.

        Raises NotFound, Damaged (files are missing).
        """
        version = self.version(project_id, number)
        query = (
            select(batches.c.number, batches.c.rows, batches.c.labels)
            .where(batches.c.project_id == project_id, batches.c.number <= version.batch)
            .order_by(batches.c.number)
        )
        with self._db.read() as connection:
            members = [(row.number, row.rows, row.labels) for row in connection.execute(query)]
        gone = revocations_upto(self._db, project_id, version.batch)
        found = reading.chained_hash(self.tables_of(project_id), version, members, gone)
        return found == version.content_hash

    def _is_staged(self, uuid: str) -> bool:
        query = select(batches.c.id).where(batches.c.uuid == uuid, batches.c.status == "staged")
        with self._db.read() as connection:
            return connection.execute(query).first() is not None

    def _upto(self, project_id: int) -> int:
        newest = self.latest(project_id)
        return 0 if newest is None else newest.batch

    def tables_of(self, project_id: int) -> DeltaTables:
        """The Delta tables of a project. Raises NotFound."""
        with self._guard:
            tables = self._open.get(project_id)
        if tables is not None:
            return tables
        with self._db.read() as connection:
            folder = connection.execute(
                select(projects.c.folder).where(projects.c.id == project_id)
            ).scalar_one_or_none()
        if folder is None:
            raise NotFound(f"there is no project with id {project_id}")
        with self._guard:
            return self._open.setdefault(project_id, DeltaTables(self._tables / folder))
