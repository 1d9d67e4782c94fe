"""The five Delta tables of a project: rows, labels, predictions, shadows, quarantine.

Each batch is appended to a table at most once: the append carries the batch's number as Delta application
transaction, so that one already made is recognised, and one that another process makes at the same moment is
refused by Delta itself. Batches are appended in order of their numbers.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.transaction import AddAction

from registry.durable import fsync
from registry.errors import Damaged
from registry.final_files import FinalFile
from registry.table_schemas import ROWS, SCHEMAS

STREAM_ROWS = 8_192
"""Rows in memory at once while a table is written."""
FILE_BYTES = 32 * 1024 * 1024  # a file is held in memory until it is whole
ROW_GROUP_ROWS = 32_768
_APPLICATION = "incumbent"
_USES = 20
_UNSURE_VERSIONS = 10  # whoever died before syncing wrote one of these: appends come one at a time
_PROPERTIES = {
    # every version stays readable as long as its files do; files go by maintenance only
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "25",
    "delta.deletedFileRetentionDuration": "interval 1 hours",  # or checkpoints fill with files long gone
}


def writer_properties() -> WriterProperties:
    """How table files are written: small row groups bound the memory of writing."""
    return WriterProperties(compression="SNAPPY", max_row_group_size=ROW_GROUP_ROWS)


class DeltaTables:
    """The tables of one project in ``folder``. Appending wants the project's lock, reading nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writables: dict[str, tuple[DeltaTable, int]] = {}

    def append(
        self, name: str, batch: int, data: pa.RecordBatchReader, files: Sequence[FinalFile] = ()
    ) -> int:
        """Append a batch's data unless it was appended before; return a version of the table that holds
        exactly the batches up to it. It is on the disk on return. Raises DeltaError, OSError.

        ``files``, in the same file system, hold the data as the table keeps it: they are linked into it where it has their
        columns, and ``data`` is not read then."""
        table = self._writable(name)
        before = int(table.version())
        if _last_batch(table) >= batch:
            self._make_durable(name, range(max(0, before - _UNSURE_VERSIONS), before + 1))
            return before
        properties = CommitProperties(app_transactions=[Transaction(_APPLICATION, batch)])
        if not files or not self._take_over(name, table, batch, files, properties):
            write_deltalake(
                table,
                data,
                mode="append",
                schema_mode="merge",
                target_file_size=FILE_BYTES,
                writer_properties=writer_properties(),
                commit_properties=properties,
            )
        version = int(table.version())
        self._make_durable(name, range(before + 1, version + 1))
        return version

    def _take_over(
        self,
        name: str,
        table: DeltaTable,
        batch: int,
        files: Sequence[FinalFile],
        properties: CommitProperties,
    ) -> bool:
        """Whether the table has the files now; where it can't take them, nothing has happened."""
        schema = pa.schema(table.schema().to_arrow())
        known = {field.name: field.type for field in schema}
        added = []
        for place, file in enumerate(files):
            stats = file.stats(schema.names)
            if stats is None or any(known.get(field.name) != field.type for field in file.schema):
                return False
            path = f"batch-{batch}-{file.path.parent.name}-{place}.parquet"
            added.append((file.path, path, stats))
        actions = []
        for source, path, stats in added:
            if not _linked(source, self.folder / name / path):
                return False
            size, at = source.stat().st_size, int(source.stat().st_mtime * 1000)
            actions.append(AddAction(path, size, {}, at, True, stats))
        table.create_write_transaction(actions, "append", table.schema(), commit_properties=properties)
        table.update_incremental()
        return True

    def last_batch(self, name: str) -> int:
        """The newest batch that was appended to a table; 0 when there is none."""
        return _last_batch(self.table(name)) if self.exists(name) else 0

    def table(self, name: str, version: int | None = None) -> DeltaTable:
        """The table as it is now, or was at a version. Raises TableNotFoundError."""
        return DeltaTable(str(self.folder / name), version=version)

    def remove(self) -> None:
        """Erase all tables of the project; the caller holds its lock."""
        self._writables.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def exists(self, name: str) -> bool:
        return (self.folder / name / "_delta_log").is_dir()

    def dataset(self, name: str, version: int | None = None) -> ds.Dataset:
        """A table at a version (default: now) as an Arrow dataset; without the table, an empty one."""
        if not self.exists(name):
            return ds.dataset(SCHEMAS[name].empty_table())
        return self.table(name, version).to_pyarrow_dataset()

    def scan(
        self,
        name: str,
        *,
        upto: int,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
    ) -> pa.Table:
        """What a table holds of the batches up to ``upto``, as of a version, in no order.

        Tables only grow, so a version whose files were vacuumed is read from the newest one just the same.
        Raises Damaged when files of the newest version are missing.
        """
        condition = ds.field("_batch") <= upto
        if where is not None:
            condition &= where
        for attempt in (version, None):
            try:
                return _table_of(self.dataset(name, attempt), SCHEMAS[name], columns, condition)
            except FileNotFoundError as error:
                missing = error
        raise Damaged(f"the table {self.folder / name} lacks a file: {missing}") from missing

    def scan_batches(
        self, name: str, *, batches: tuple[int, int], version: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of a table, of the batches from ``batches[0]`` to ``batches[1]`` inclusive."""
        condition = (ds.field("_batch") >= batches[0]) & (ds.field("_batch") <= batches[1])
        scanner = self.dataset(name, version).scanner(
            filter=condition, batch_size=STREAM_ROWS * 4, batch_readahead=2
        )
        yield from scanner.to_batches()

    def columns(self) -> pa.Schema:
        """The columns that rows have so far; the caller holds the project's lock."""
        return pa.schema(self._writable("rows").schema().to_arrow()) if self.exists("rows") else ROWS

    def _writable(self, name: str) -> DeltaTable:
        """The table as it is now. An object that follows its table is quicker than a new one, but gets slower
        with every version that it went through."""
        table, uses = self._writables.pop(name, (None, 0))
        if table is None or uses >= _USES or not self.exists(name):
            table, uses = self.table(name) if self.exists(name) else self._create(name), 0
        else:
            table.update_incremental()
        self._writables[name] = (table, uses + 1)
        return table

    def _create(self, name: str) -> DeltaTable:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(str(path), SCHEMAS[name], mode="ignore", configuration=_PROPERTIES)
        self._make_durable(name, range(1))
        fsync(self.folder)
        fsync(self.folder.parent)
        return table

    def _make_durable(self, name: str, versions: Iterable[int]) -> None:
        """delta-rs writes without syncing; what is acknowledged has to survive a power cut."""
        path = self.folder / name
        log = path / "_delta_log"
        for version in versions:
            entry = log / f"{version:020d}.json"
            for action in map(json.loads, entry.read_text().splitlines()):
                added: dict[str, Any] | None = action.get("add")
                if added is not None and (path / added["path"]).exists():
                    fsync(path / added["path"])
            fsync(entry)
        fsync(log)
        fsync(path)


def _table_of(
    dataset: ds.Dataset, schema: pa.Schema, columns: Sequence[str] | None, condition: ds.Expression
) -> pa.Table:
    """What fits the condition. A column that the table got after this version of it is all null."""
    if columns is None:
        return dataset.to_table(filter=condition)
    known = set(dataset.schema.names)
    found = dataset.to_table(
        columns=[name for name in columns if name in known or name not in schema.names], filter=condition
    )
    for name in columns:
        if name not in found.column_names:
            found = found.append_column(name, pa.nulls(found.num_rows, schema.field(name).type))
    return found.select(list(columns))


def _linked(source: Path, target: Path) -> bool:
    """Whether ``target`` is the file ``source``; False where the file system knows no links."""
    try:
        os.link(source, target)
    except FileExistsError:  # by this batch, before a crash
        return True
    except OSError:
        return False
    return True


def _last_batch(table: DeltaTable) -> int:
    return int(table.transaction_version(_APPLICATION) or 0)
