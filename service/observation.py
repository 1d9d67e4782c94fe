"""The prediction log: written before an answer leaves, moved to the tables in the background.

An answer's rows go to a journal in one write (kill -9 loses nothing that was answered); a flush seals the
journal's segment and commits it as a batch whose idempotency key is the segment's name, so a crash in
between neither loses a row nor stores it twice.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from registry.errors import Conflict, Damaged, DuplicateRows, NotFound, RegistryError
from registry.journal import Journal
from registry.records import BatchKind
from registry.staging import Staging
from registry.store import Registry
from service.clock import Clock
from service.deployment import Deployment, Scores

logger = logging.getLogger(__name__)

_SYNC_SECONDS = 0.2


class Observation:
    """The log of one process. :meth:`log` is called from any thread; a background thread flushes.

    A journal that another process left behind (it was killed) is flushed too.
    """

    def __init__(self, registry: Registry, home: Path, *, flush_seconds: float, clock: Clock) -> None:
        self._registry = registry
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._journal, self._left_behind = _open_journals(home / "journal")
        self._flushing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="observation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Flush what is left and let go of the journal."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self.flush()
        self._journal.close()

    def log(self, deployment: Deployment, table: pa.Table, ids: Sequence[str], scores: Scores) -> None:
        """Keep the rows and their answers. When it returns they survive the end of this process."""
        record = _encode(deployment, table, ids, scores, self._clock())
        self._journal.append([record])

    def flush(self) -> None:
        """Move everything logged so far into the tables. Raises RegistryError when they can't be written;
        nothing is lost then."""
        with self._flushing:
            self._journal.rotate()
            self._drain(self._journal)

    def _work(self) -> None:
        since_flush = 0.0
        while not self._stop.wait(_SYNC_SECONDS):
            since_flush += _SYNC_SECONDS
            try:
                self._journal.sync()
                if since_flush >= self._flush_seconds:
                    since_flush = 0.0
                    self._adopt()
                    self.flush()
            except Exception:  # the disk or the database may be away; the journal keeps everything
                logger.exception("the prediction log could not be flushed; trying again")

    def _adopt(self) -> None:
        while self._left_behind:
            journal = self._left_behind[-1]
            journal.rotate()
            with self._flushing:
                self._drain(journal)
            journal.close()
            self._left_behind.pop()

    def _drain(self, journal: Journal) -> None:
        for number, path in journal.sealed():
            by_project: dict[int, list[pa.RecordBatch]] = defaultdict(list)
            try:
                for payload in journal.read(path):
                    batch = _decode(payload)
                    by_project[_meta(batch, "project")].append(batch)
            except Damaged as damage:
                path.rename(path.with_suffix(".damaged"))
                logger.error("set aside, not stored: %s", damage)
                continue
            try:
                for project_id, batches in by_project.items():
                    self._store(project_id, batches, f"{journal.key(number)}-{project_id}")
            except (
                ValueError,
                Conflict,
            ) as fault:  # trying again would not help; what is in it stays readable
                path.rename(path.with_suffix(".unusable"))
                logger.error("%s can't be stored and was set aside: %s", path, fault)
                continue
            journal.drop(number)

    def _store(self, project_id: int, batches: list[pa.RecordBatch], key: str) -> None:
        datasets = self._registry.datasets
        try:
            project = self._registry.projects.by_id(project_id)
        except NotFound:  # deleted since
            return
        if datasets.replay(project_id, key, key) is not None:
            return
        for _ in range(3):
            with datasets.stage(project) as staging:
                taken: set[str] = set()
                for batch in batches:
                    self._stage(staging, project_id, batch, taken)
                try:
                    datasets.commit(
                        staging,
                        kind=BatchKind.PREDICTIONS,
                        details={"source": "prediction calls", "calls": len(batches)},
                        idempotency_key=key,
                        request_digest=key,
                        at=self._clock(),
                    )
                except DuplicateRows:  # stored by an upload in this very moment: look again
                    continue
            return
        raise RegistryError("rows of the prediction log kept colliding with uploads")

    def _stage(self, staging: Staging, project_id: int, batch: pa.RecordBatch, taken: set[str]) -> None:
        table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
        ids: list[str] = table["_row_id"].to_pylist()
        known = self._registry.datasets.known(project_id, ids)
        fresh = []
        for row_id in ids:
            fresh.append(row_id not in known and row_id not in taken)
            taken.add(row_id)
        at = pa.array([_at(batch)] * len(ids), pa.timestamp("us", tz="UTC"))
        features = [name for name in table.column_names if not name.startswith("_")]
        rows = table.select(["_row_id", *features])
        rows = rows.append_column("_arrived_at", at).append_column(
            "_source", pa.array(["prediction"] * len(ids))
        )
        staging.write_rows(rows.filter(pa.array(fresh)))
        version = pa.array([_meta(batch, "version")] * len(ids), pa.int32())
        predictions = pa.table(
            {
                "_row_id": table["_row_id"],
                "model_version": version,
                "value": table["_value"],
                "score": table["_score"],
                "probabilities": table["_probabilities"],
                "at": at,
            }
        )
        staging.write_predictions(predictions)


def _open_journals(folder: Path) -> tuple[Journal, list[Journal]]:
    """A journal of this process's own, and those that dead processes left."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for path in sorted(folder.iterdir()):
        try:
            found.append(Journal(path))
        except RegistryError:  # its process lives
            continue
    if found:
        return found[0], found[1:]
    return Journal(folder / uuid.uuid4().hex), []


def _encode(
    deployment: Deployment, table: pa.Table, ids: Sequence[str], scores: Scores, at: datetime
) -> bytes:
    text = deployment.schema.target.text
    # A caller's feature may be named like a column of the log; system names start with "_", theirs can't.
    logged = {name: table[name] for name in table.column_names if not name.startswith("_")}
    logged["_row_id"] = pa.array(list(ids), pa.string())
    logged["_value"] = pa.array([text(value) for value in scores.values], pa.string())
    logged["_score"] = pa.array(np.asarray(scores.scores, dtype=np.float64))
    shares = None if scores.probabilities is None else scores.probabilities.tolist()
    logged["_probabilities"] = pa.array(shares or [None] * len(ids), pa.list_(pa.float64()))
    meta = {
        "project": str(deployment.project_id),
        "version": str(deployment.version),
        "at": at.isoformat(),
    }
    full = pa.table(logged).combine_chunks().replace_schema_metadata(meta)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, full.schema) as writer:
        writer.write_table(full)
    return bytes(sink.getvalue().to_pybytes())


def _decode(payload: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(payload) as reader:
        return reader.read_next_batch()


def _meta(batch: pa.RecordBatch, name: str) -> int:
    return int(batch.schema.metadata[name.encode()])


def _at(batch: pa.RecordBatch) -> datetime:
    return datetime.fromisoformat(batch.schema.metadata[b"at"].decode())
