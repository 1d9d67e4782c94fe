"""How a batch becomes part of a dataset, so that a crash at any point leaves all of it or nothing of it.

Under the project's lock, in this order:

1. *staged*: the staged files are on the disk; then a transaction numbers the batch and records everything
   about it, its content hash included. From here on the batch is found again after a crash.
2. its row ids enter the row index (another batch has one: the batch is taken back, nothing of it remains);
3. truths enter the row index;
4. each part is appended to its Delta table, at most once (see :mod:`registry.delta_tables`);
5. *committed*: a transaction writes the dataset version, with table versions that hold exactly the batches up
   to this one (the lock keeps others from appending) and the chained hash. Now it is readable, and
   acknowledged.

Every step does nothing when it was done before. Whoever takes the lock first rolls forward what a dead
process left staged, so batches are appended and chained in order of their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Row, delete, func, insert, select, text, update

from registry import row_index
from registry.batches import batch_record, newest_version, with_key
from registry.columns import is_truth
from registry.database import Database, lock_project
from registry.delta_tables import DeltaTables
from registry.durable import locked
from registry.errors import Conflict, Damaged, DuplicateRows, NotFound
from registry.labels import repeats, winners
from registry.ledger import append_events
from registry.lineage import GENESIS, chain
from registry.pause import Pause, no_pause
from registry.records import Batch, BatchKind, Json
from registry.staged_files import StagedFiles
from registry.staging import Staging
from registry.table_schemas import TIME
from registry.tables import batches, dataset_versions

_PARTS = ("rows", "labels", "predictions", "shadows", "quarantine")
_ADVISORY = 0x1C0B  # one number space of PostgreSQL's advisory locks is ours


class Commits:
    """Commits and recovers batches of all projects."""

    def __init__(self, db: Database, staging: Path) -> None:
        self._db = db
        self._staging = staging

    @contextmanager
    def lock(self, project_id: int, tables: DeltaTables) -> Iterator[None]:
        """The right to change a project's tables: a file lock between threads and processes of this machine,
        on PostgreSQL an advisory lock between machines too. Both go when their holder dies."""
        tables.folder.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(locked(tables.folder.with_suffix(".lock")))
            if self._db.dialect == "postgresql":
                connection = stack.enter_context(self._db.read())
                query = text("SELECT pg_advisory_xact_lock(:space, :project)")
                connection.execute(query, {"space": _ADVISORY, "project": project_id})
            yield

    def commit(
        self,
        staging: Staging,
        tables: DeltaTables,
        *,
        kind: BatchKind,
        details: Json,
        idempotency_key: str | None,
        request_digest: str | None,
        at: datetime,
        pause: Pause = no_pause,
    ) -> Batch:
        """See :meth:`registry.datasets.Datasets.commit`."""
        staging.seal()
        content = staging.content or staging.files.content_hash(at)
        with self.lock(staging.project_id, tables):
            self.roll_forward(staging.project_id, tables, at)
            check_columns(staging.files, tables)
            values = {
                "uuid": staging.uuid,
                "kind": BatchKind(kind).value,
                "status": "staged",
                "rows": staging.rows,
                "labelled": staging.truths,
                "unlabelled": max(0, staging.rows - staging.truths),
                "quarantined": staging.quarantined,
                "labels": staging.labels,
                "details": dict(details),
                "content_hash": content,
                "idempotency_key": idempotency_key,
                "request_digest": request_digest,
                "created_at": at,
            }
            row = self._stage(staging.project_id, values)
            if row.status == "committed":
                return batch_record(row)
            staging.keep()
            return self._finish(row, tables, at, recovering=False, pause=pause)

    def roll_forward(self, project_id: int, tables: DeltaTables, at: datetime) -> tuple[Batch, ...]:
        """Finish what dead processes left staged, oldest first; the caller holds the lock.

        A batch that turns out to hold rows of another, whose project is gone, or whose files vanished before
        any table had a part of it, was never acknowledged and is taken back.
        """
        query = select(batches).where(batches.c.project_id == project_id, batches.c.status == "staged")
        with self._db.read() as connection:
            left = connection.execute(query.order_by(batches.c.number)).all()
        done = []
        for row in left:
            if not (self._staging / row.uuid).is_dir():
                self._give_up(row, tables)
                continue
            try:
                done.append(self._finish(row, tables, at, recovering=True))
            except (DuplicateRows, NotFound):
                continue
        return tuple(done)

    def _stage(self, project_id: int, values: dict[str, Any]) -> Row[Any]:
        with self._db.write() as connection:
            lock_project(connection, project_id)
            key, digest = values["idempotency_key"], values["request_digest"]
            earlier = with_key(connection, project_id, key, digest)
            if earlier is not None:
                return earlier
            number = connection.execute(
                select(func.coalesce(func.max(batches.c.number), 0)).where(batches.c.project_id == project_id)
            ).scalar_one()
            row = {"project_id": project_id, "number": number + 1, **values}
            return connection.execute(insert(batches).values(row).returning(batches)).one()

    def _finish(
        self,
        row: Row[Any],
        tables: DeltaTables,
        at: datetime,
        *,
        recovering: bool,
        pause: Pause = no_pause,
    ) -> Batch:
        files = StagedFiles(self._staging / row.uuid)
        try:
            with self._db.write() as connection:
                lock_project(connection, row.project_id)
            pause()
            fresh = self._index(row, files, pause)
        except (DuplicateRows, NotFound):
            self._take_back(row)
            raise
        counted = None if recovering else fresh  # the process that died may have entered some of the truths
        versions = self._append(row, files, tables, pause)
        batch = self._conclude(row, files, versions, counted, at)
        files.remove()
        return batch

    def _index(self, row: Row[Any], files: StagedFiles, pause: Pause) -> int:
        """Enter row ids and truths; how many rows have their truth now that had none."""
        ids, texts = truths_of(files, row.created_at)
        if not files.has("rows"):
            return row_index.set_truths(self._db, row.project_id, ids, texts)
        own = row_ids_of(files)
        if own.equals(ids):  # each row with its label, as uploads have it
            row_index.add(self._db, row.project_id, row.number, own, texts, pause)
            return len(own)
        if not len(ids):  # as in the prediction log
            row_index.add(self._db, row.project_id, row.number, own, pa.nulls(len(own), pa.string()), pause)
            return 0
        place = pc.index_in(own, ids)
        row_index.add(self._db, row.project_id, row.number, own, texts.take(place), pause)
        others = pc.invert(pc.is_in(ids, own))
        fresh = row_index.set_truths(self._db, row.project_id, ids.filter(others), texts.filter(others))
        return fresh + len(own) - int(place.null_count)

    def _append(self, row: Row[Any], files: StagedFiles, tables: DeltaTables, pause: Pause) -> dict[str, int]:
        versions = {}
        for name in _PARTS:
            if files.has(name):
                reader = files.reader(name, batch=row.number, at=row.created_at, pause=pause)
                final = files.final(name, row.number) or ()
                versions[name] = tables.append(name, row.number, reader, final)
                pause()
        return versions

    def _conclude(
        self, row: Row[Any], files: StagedFiles, versions: dict[str, int], fresh: int | None, at: datetime
    ) -> Batch:
        predictions = files.count("predictions")
        counted = row_index.count_truths(self._db, row.project_id) if fresh is None else 0
        with self._db.write() as connection:
            project = lock_project(connection, row.project_id)
            mine = select(batches).where(batches.c.id == row.id).with_for_update()
            current = connection.execute(mine).one()
            if current.status == "committed":  # by another that thought this process dead
                return batch_record(current)
            last = newest_version(connection, row.project_id)
            new = {
                "project_id": row.project_id,
                "number": 1 if last is None else last.number + 1,
                "rows_version": versions.get("rows", 0 if last is None else last.rows_version),
                "labels_version": versions.get("labels", 0 if last is None else last.labels_version),
                "content_hash": chain(GENESIS if last is None else last.content_hash, row.content_hash),
                "rows": row.rows + (0 if last is None else last.rows),
                "labels": row.labels + (0 if last is None else last.labels),
                "truths": counted if fresh is None else fresh + (0 if last is None else last.truths),
                "predictions": predictions + (0 if last is None else last.predictions),
                "batch": row.number,
                "created_at": at,
            }
            connection.execute(insert(dataset_versions).values(new))
            committed = {"status": "committed", "dataset_version": new["number"], "committed_at": at}
            change = update(batches).where(batches.c.id == row.id).values(committed).returning(batches)
            batch = batch_record(connection.execute(change).one())
            append_events(connection, row.project_id, _quarantined(str(project["name"]), batch), at=at)
            return batch

    def _take_back(self, row: Row[Any]) -> None:
        with self._db.write() as connection:
            row_index.remove(connection, row.project_id, row.number)
            connection.execute(delete(batches).where(batches.c.id == row.id, batches.c.status == "staged"))
        StagedFiles(self._staging / row.uuid).remove()

    def _give_up(self, row: Row[Any], tables: DeltaTables) -> None:
        begun = [name for name in _PARTS if tables.exists(name) and tables.last_batch(name) >= row.number]
        if begun:
            raise Damaged(
                f"batch {row.number} is partly in {tables.folder / begun[0]}, "
                f"and the rest of it is missing: {self._staging / row.uuid}"
            )
        self._take_back(row)


def _quarantined(project: str, batch: Batch) -> tuple[tuple[str, Json], ...]:
    """The event of an upload that had rows put aside."""
    if batch.kind is not BatchKind.UPLOAD or not batch.quarantined:
        return ()
    counts = {"batch": batch.number, "rows": batch.rows, "quarantined": batch.quarantined}
    return (("incumbent.batch.quarantined", {"project": project, **counts}),)


def truths_of(files: StagedFiles, at: datetime) -> tuple[pa.Array, pa.Array]:
    """The truths among the staged labels: row ids, sorted, each once, and the text for each."""
    if not files.has("labels"):
        return pa.array([], pa.string()), pa.array([], pa.string())
    labels = files.columns("labels", ["_row_id", "label", "source", "at"])
    truth = is_truth(labels["source"])
    if not pc.all(truth).as_py():
        labels = labels.filter(truth)
    made = pc.fill_null(labels["at"], pa.scalar(at, TIME))
    told = winners(labels.set_column(labels.schema.get_field_index("at"), "at", made))
    return told["_row_id"].combine_chunks(), told["label"].combine_chunks()


def row_ids_of(files: StagedFiles) -> pa.Array:
    """The ids of the staged rows, sorted: an index takes them several times faster than in any order.

    Raises DuplicateRows when one is there twice.
    """
    ids = files.columns("rows", ["_row_id"])["_row_id"].combine_chunks()
    ids = ids.take(pc.sort_indices(ids))
    again = repeats(ids)
    if again.any():
        raise DuplicateRows(tuple(dict.fromkeys(ids.filter(pa.array(again)).to_pylist())))
    return ids


def check_columns(files: StagedFiles, tables: DeltaTables) -> None:
    """Raise Conflict (``schema_changed``) when the rows table has a staged column with another type or case.

    Checked before a batch is numbered: one that no table takes could be neither finished nor taken back.
    """
    if not files.has("rows"):
        return
    known = {field.name.lower(): field for field in tables.columns()}
    for field in files.schema("rows"):
        there = known.setdefault(field.name.lower(), field)
        if there.name != field.name or there.type != field.type:
            raise Conflict(
                f"column {field.name!r} ({field.type}) is {there.name!r} ({there.type}) in earlier rows",
                code="schema_changed",
            )
