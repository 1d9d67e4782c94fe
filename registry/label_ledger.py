"""The ledger of labels: every entry that counts, and the act that takes entries back.

A revocation is one SQL transaction: its ledger entry, its batch, the dataset version in which those labels no
longer count, the truths that the row index holds, and open answers of the labelling queue. The Delta tables
are only read, so every older version stays exactly what it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, func, insert, select, update

from registry import row_index
from registry.batches import batch_record, newest_version, with_key
from registry.columns import is_truth
from registry.database import Database, lock_project
from registry.datasets import Datasets
from registry.errors import Conflict
from registry.label_tables import labeling_answers, revocations
from registry.labels import winners
from registry.lineage import GENESIS, chain
from registry.records import Batch, BatchKind, LabelSource
from registry.revocations import Criteria, Revocation, counting, fits, revocations_upto
from registry.table_schemas import LABELS
from registry.tables import batches, dataset_versions

HUMAN = "human:"
"""The origin of a person's answer is this and the annotator's name."""


class LabelLedger:
    """All labels of all projects, as entries. Thread-safe, as Datasets is."""

    def __init__(self, db: Database, datasets: Datasets) -> None:
        self._db = db
        self._datasets = datasets

    def entries(self, project_id: int, *, version: int | None = None, revoked: bool = False) -> pa.Table:
        """Each label entry that counts in a dataset version (default: the newest), in no order.

        Columns ``_row_id, label, source, confidence, teacher, at, _batch, origin``. With ``revoked`` those
        that were taken back instead. Raises NotFound, Damaged.
        """
        if version is None:
            newest = self._datasets.latest(project_id)
            upto, at = (0, None) if newest is None else (newest.batch, newest.labels_version)
        else:
            point = self._datasets.version(project_id, version)
            upto, at = point.batch, point.labels_version
        labels = self._entries(project_id, upto, at)
        taken_back = revocations_upto(self._db, project_id, upto)
        if not revoked:
            return counting(labels, taken_back)
        place = pa.array(range(labels.num_rows), pa.int64())
        kept = counting(labels.append_column("place", place), taken_back)["place"]
        return labels.filter(pc.invert(pc.is_in(place, kept.combine_chunks())))

    def revocations(self, project_id: int) -> tuple[Revocation, ...]:
        """What was revoked, oldest first."""
        newest = self._datasets.latest(project_id)
        return () if newest is None else revocations_upto(self._db, project_id, newest.batch)

    def revoke(
        self,
        project_id: int,
        criteria: Criteria,
        *,
        reason: str,
        actor: str,
        idempotency_key: str | None = None,
        request_digest: str | None = None,
        at: datetime,
    ) -> Batch | None:
        """Let the label entries there are now and that fit ``criteria`` count no longer, in a new dataset version.

        The batch's ``details["revoked"]`` says how many that were; None when there was none, and then nothing
        is written. A row's earlier truth comes back where it has one. Labels that come later count. With a key
        used before for the same request that batch is returned. Raises NotFound, Conflict, Damaged.
        """
        tables = self._datasets.tables_of(project_id)
        with self._datasets.commits.lock(project_id, tables):
            self._datasets.commits.roll_forward(project_id, tables, at)
            with self._db.read() as connection:
                earlier = with_key(connection, project_id, idempotency_key, request_digest)
            if earlier is not None:
                if earlier.kind != BatchKind.REVOCATION.value:
                    raise Conflict("the key was used for another kind of call", code="idempotency_mismatch")
                return batch_record(earlier)
            before = self.entries(project_id)
            hit = fits(before, criteria)
            if not hit.any():
                return None
            change = _Change.of(before, pa.array(hit))
            key = {"idempotency_key": idempotency_key, "request_digest": request_digest}
            with self._db.write() as connection:
                return _write(connection, project_id, criteria, change, reason, actor, key, at)

    def _entries(self, project_id: int, upto: int, version: int | None) -> pa.Table:
        tables = self._datasets.tables_of(project_id)
        return tables.scan("labels", upto=upto, version=version, columns=LABELS.names)


class _Change:
    """What taking back some entries does to the rows' truths."""

    def __init__(self, revoked: int, ids: pa.Array, truths: pa.Array) -> None:
        self.revoked = revoked
        self.ids = ids
        self.truths = truths

    @classmethod
    def of(cls, labels: pa.Table, hit: pa.BooleanArray) -> _Change:
        truths = labels.filter(is_truth(labels["source"]))
        touched = labels.filter(hit)
        touched = touched.filter(is_truth(touched["source"]))
        ids = pc.unique(touched["_row_id"])
        kept = labels.filter(pc.invert(hit)) if truths.num_rows else labels.slice(0, 0)
        kept = kept.filter(is_truth(kept["source"]))
        told = winners(kept.filter(pc.is_in(kept["_row_id"], ids)))
        ids = ids.take(pc.sort_indices(ids))
        place = pc.index_in(ids, told["_row_id"].combine_chunks())
        return cls(int(pc.sum(hit).as_py()), ids, told["label"].combine_chunks().take(place))


def _write(
    connection: Connection,
    project_id: int,
    criteria: Criteria,
    change: _Change,
    reason: str,
    actor: str,
    key: dict[str, str | None],
    at: datetime,
) -> Batch:
    lock_project(connection, project_id)
    last = newest_version(connection, project_id)
    assert last is not None  # there are labels
    newest = select(func.max(batches.c.number)).where(batches.c.project_id == project_id)
    number = connection.execute(newest).scalar_one() + 1
    lost = row_index.replace_truths(connection, project_id, change.ids, change.truths)
    values = {
        "source": criteria.source,
        "origin": criteria.origin,
        "teacher": criteria.teacher,
        "since": criteria.since,
    }
    connection.execute(
        insert(revocations).values(
            project_id=project_id,
            batch=number,
            revoked=change.revoked,
            reason=reason,
            actor=actor,
            at=at,
            **values,
        )
    )
    version = {name: last._mapping[name] for name in _CARRIED}
    version |= {
        "project_id": project_id,
        "number": last.number + 1,
        "content_hash": chain(last.content_hash or GENESIS, criteria.hash),
        "truths": last.truths - lost,
        "batch": number,
        "created_at": at,
    }
    connection.execute(insert(dataset_versions).values(version))
    _drop_answers(connection, project_id, criteria, number)
    row = _batch(criteria, change, reason, actor, last.number + 1, at)
    row |= {"project_id": project_id, "number": number, **key}
    return batch_record(connection.execute(insert(batches).values(row).returning(batches)).one())


_CARRIED = ("rows_version", "labels_version", "rows", "labels", "predictions")


def _batch(
    criteria: Criteria, change: _Change, reason: str, actor: str, version: int, at: datetime
) -> dict[str, Any]:
    given = {"source": criteria.source, "origin": criteria.origin, "teacher": criteria.teacher}
    details: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if criteria.since is not None:
        details["since"] = criteria.since.isoformat()
    return {
        "uuid": str(uuid4()),
        "kind": BatchKind.REVOCATION.value,
        "status": "committed",
        **dict.fromkeys(("rows", "labelled", "unlabelled", "quarantined", "labels"), 0),
        "details": {**details, "revoked": change.revoked, "reason": reason, "actor": actor},
        "content_hash": criteria.hash,
        "dataset_version": version,
        "created_at": at,
        "committed_at": at,
    }


def _drop_answers(connection: Connection, project_id: int, criteria: Criteria, batch: int) -> None:
    """Answers of people in the labelling queue that are labels, or would become ones."""
    by_origin = criteria.origin is not None and criteria.origin.startswith(HUMAN)
    is_human = criteria.source in (None, LabelSource.HUMAN.value)
    if criteria.teacher is not None or not is_human or not (by_origin or criteria.origin is None):
        return
    answers = labeling_answers
    change = update(answers).where(answers.c.project_id == project_id, answers.c.revoked.is_(None))
    if criteria.origin is not None:
        change = change.where(answers.c.annotator == criteria.origin.removeprefix(HUMAN))
    if criteria.since is not None:
        change = change.where(answers.c.at >= criteria.since)
    connection.execute(change.values(revoked=batch))
