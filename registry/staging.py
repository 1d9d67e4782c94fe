"""A batch before it counts: Parquet files in a folder of its own, streamed there and streamed on."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from registry.columns import Arrow, as_table, check_ids, check_text, conform, is_truth, storable_rows
from registry.delta_tables import BATCH, LABELS, PREDICTIONS, QUARANTINE, ROWS, SHADOWS, STREAM_ROWS
from registry.durable import fsync, locked, try_lock
from registry.records import LabelSource

_LOCK = "lock"
_ROW_GROUP_ROWS = 65_536


class Staging:
    """Takes a batch's parts in any number of pieces. Nothing counts until ``Datasets.commit``.

    A context manager: leaving it without a commit removes what was staged. One thread at a time.
    """

    def __init__(self, folder: Path, project_id: int, lock: int) -> None:
        self.folder = folder
        self.project_id = project_id
        self.uuid = folder.name
        self.rows = self.labels = self.truths = self.predictions = self.quarantined = 0
        self._lock: int | None = lock
        self._kept = False
        self._writers: dict[str, pq.ParquetWriter] = {}

    def write_rows(self, data: Arrow) -> None:
        """Typed rows: ``_row_id``, the schema's columns, and ``_arrived_at`` (default: when committed) and
        ``_source`` (default: ``upload``). A later piece may have more or fewer columns. Raises ValueError for
        an unusable id, a type that no table takes, or a column that had another type before."""
        table = storable_rows(as_table(data))
        check_ids(table["_row_id"])
        self._write("rows", table)
        self.rows += table.num_rows

    def write_labels(self, data: Arrow) -> None:
        """``_row_id`` and ``label`` (canonical text), with ``source`` (default: ``given``), ``confidence``,
        ``teacher``, ``origin`` and ``at`` (default: when committed). Null labels are left out."""
        table = conform(as_table(data), LABELS)
        table = table.filter(pc.is_valid(table["label"]))
        source = pc.fill_null(table["source"], LabelSource.GIVEN.value)
        table = table.set_column(table.schema.get_field_index("source"), "source", source)
        unknown = set(pc.unique(source).to_pylist()) - {member.value for member in LabelSource}
        if unknown:
            raise ValueError(f"unknown label source {sorted(unknown)[0]!r}")
        check_ids(table["_row_id"])
        check_text(table["label"], "label")
        check_text(table["origin"], "label's origin")
        self._write("labels", table)
        self.labels += table.num_rows
        self.truths += int(pc.sum(is_truth(source)).as_py() or 0)

    def write_predictions(self, data: Arrow) -> None:
        """``_row_id``, ``model_version``, ``value``, with ``score``, ``probabilities`` and ``at``."""
        table = conform(as_table(data), PREDICTIONS)
        check_ids(table["_row_id"])
        self._write("predictions", table)
        self.predictions += table.num_rows

    def write_shadows(self, data: Arrow) -> None:
        """``_row_id``, ``probation``, and both models' ``version``, ``score`` and ``probabilities``; see SHADOWS."""
        table = conform(as_table(data), SHADOWS)
        check_ids(table["_row_id"])
        self._write("shadows", table)

    def write_quarantine(self, data: Arrow) -> None:
        """Faults, one an entry: ``line``, ``column``, ``code``, ``message``, ``row``. Entries of one line are
        one refused row; write them together."""
        table = conform(as_table(data), QUARANTINE)
        self._write("quarantine", table)
        self.quarantined += int(pc.count_distinct(table["line"]).as_py()) + table["line"].null_count

    def seal(self) -> None:
        """Close the files and force them to the disk; nothing can be written after."""
        for name, writer in self._writers.items():
            writer.close()
            for path in self.files.paths(name):
                fsync(path)
        self._writers.clear()
        fsync(self.folder)
        fsync(self.folder.parent)

    @property
    def files(self) -> StagedFiles:
        return StagedFiles(self.folder)

    def keep(self) -> None:
        """From now on the folder belongs to a batch in the database: closing leaves it for recovery."""
        self._kept = True

    def discard(self) -> None:
        """Remove everything that was staged, unless a commit took it over. Safe to call twice."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _write(self, name: str, table: pa.Table) -> None:
        if self._lock is None or self._kept:
            raise ValueError("this staging was committed or discarded")
        if table.num_rows == 0:
            return
        writer = self._writers.get(name)
        if writer is None or not set(table.column_names) <= set(writer.schema.names):
            writer = self._widen(name, table.schema)
        columns = [
            table[field.name].cast(field.type)
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in writer.schema
        ]
        writer.write_table(pa.table(columns, schema=writer.schema), row_group_size=_ROW_GROUP_ROWS)

    def _widen(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        """Go on in a next file, which has the columns of ``schema`` too."""
        before = self._writers.get(name)
        if before is not None:
            try:
                schema = pa.unify_schemas([before.schema, schema])
            except pa.ArrowTypeError as error:
                raise ValueError(str(error)) from error
            before.close()
        path = self.folder / f"{name}.{len(self.files.paths(name))}.parquet"
        self._writers[name] = pq.ParquetWriter(path, schema, compression="lz4")
        return self._writers[name]


class StagedFiles:
    """What was staged, read as a stream: the parts of a batch as they go into the tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self, name: str) -> list[Path]:
        """The files of a part in order; each has all columns of the one before."""
        return sorted(self.folder.glob(f"{name}.*.parquet"), key=lambda path: int(path.name.split(".")[1]))

    def has(self, name: str) -> bool:
        return bool(self.paths(name))

    def schema(self, name: str) -> pa.Schema:
        """The columns that the part will have in its table."""
        schema = pq.read_schema(self.paths(name)[-1]).remove_metadata()
        for field in (BATCH, *((ROWS.field("_arrived_at"), ROWS.field("_source")) if name == "rows" else ())):
            if field.name not in schema.names:
                schema = schema.append(field)
        return schema

    def reader(self, name: str, *, batch: int, at: datetime) -> pa.RecordBatchReader:
        """A stream of the part, the columns that were left out filled in."""
        schema = self.schema(name)
        own: Mapping[str, Any] = {"_arrived_at": at, "_source": "upload"} if name == "rows" else {"at": at}
        defaults = {"_batch": batch, **own}
        return pa.RecordBatchReader.from_batches(schema, self._batches(name, schema, defaults))

    def count(self, name: str) -> int:
        return sum(int(pq.read_metadata(path).num_rows) for path in self.paths(name))

    def columns(self, name: str, columns: list[str]) -> pa.Table:
        """Some columns of a part, in memory."""
        return pa.concat_tables([pq.read_table(path, columns=columns) for path in self.paths(name)])

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _batches(self, name: str, schema: pa.Schema, defaults: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
        # one thread and no read-ahead: memory stays at one piece, whatever the size of the file
        for path in self.paths(name):
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for piece in file.iter_batches(STREAM_ROWS, use_threads=False):
                    columns = [_filled(piece, field, defaults.get(field.name)) for field in schema]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def create(root: Path, project_id: int) -> Staging:
    """A new, empty staging under ``root``, marked as somebody's own as long as its process lives."""
    root.mkdir(parents=True, exist_ok=True)
    folder = root / str(uuid.uuid4())
    with locked(root / _LOCK):  # or a sweep could take the folder before it is marked
        folder.mkdir(mode=0o700)
        lock = try_lock(folder / _LOCK)
    if lock is None:
        raise RuntimeError(f"a new folder is locked already: {folder}")
    return Staging(folder, project_id, lock)


def sweep(root: Path, is_staged: Callable[[str], bool]) -> int:
    """Remove the folders of processes that died before committing; ``is_staged`` ones await recovery."""
    gone = 0
    if not root.is_dir():
        return gone
    with locked(root / _LOCK):
        for folder in [path for path in root.iterdir() if path.is_dir()]:
            lock = try_lock(folder / _LOCK)
            if lock is None:
                continue
            if not is_staged(folder.name):  # asked while we hold the lock: nobody can stage it any more
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
            os.close(lock)
    return gone


def _filled(piece: pa.RecordBatch, field: pa.Field, default: Any) -> pa.Array:
    if field.name == "_batch":
        return pa.array(np.full(piece.num_rows, default, np.int32))
    if field.name not in piece.schema.names:
        return pa.repeat(pa.scalar(default, field.type), piece.num_rows)
    column = piece.column(field.name)
    if default is not None and column.null_count:
        column = pc.fill_null(column, pa.scalar(default, field.type))
    return column
