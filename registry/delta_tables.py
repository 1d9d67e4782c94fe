"""The five Delta tables of a project: rows, labels, predictions, shadows, quarantine.

Each batch is appended to a table at most once: the append carries the batch's number as Delta application
transaction, so that one already made is recognised, and one that another process makes at the same moment is
refused by Delta itself. Batches are appended in order of their numbers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake

from registry.durable import fsync
from registry.errors import Damaged

TIME = pa.timestamp("us", "UTC")
BATCH = pa.field("_batch", pa.int32())
ROWS = pa.schema([("_row_id", pa.string()), BATCH, ("_arrived_at", TIME), ("_source", pa.string())])
LABELS = pa.schema(
    [
        ("_row_id", pa.string()),
        ("label", pa.string()),
        ("source", pa.string()),
        ("confidence", pa.float64()),
        ("teacher", pa.int32()),
        ("at", TIME),
        BATCH,
        ("origin", pa.string()),
    ]
)
PREDICTIONS = pa.schema(
    [
        ("_row_id", pa.string()),
        ("model_version", pa.int32()),
        ("value", pa.string()),
        ("score", pa.float64()),
        ("probabilities", pa.list_(pa.float64())),
        ("at", TIME),
        BATCH,
    ]
)
SHADOWS = pa.schema(
    [
        ("_row_id", pa.string()),
        ("probation", pa.int32()),
        ("champion_version", pa.int32()),
        ("champion_score", pa.float64()),
        ("champion_probabilities", pa.list_(pa.float64())),
        ("model_version", pa.int32()),
        ("score", pa.float64()),
        ("probabilities", pa.list_(pa.float64())),
        ("at", TIME),
        BATCH,
    ]
)
"""Two answers to one row: the champion's, which was given, and the shadow's, which nobody saw."""
QUARANTINE = pa.schema(
    [
        BATCH,
        ("line", pa.int64()),
        ("column", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
        ("row", pa.string()),
        ("at", TIME),
    ]
)
SCHEMAS = {
    "rows": ROWS,
    "labels": LABELS,
    "predictions": PREDICTIONS,
    "shadows": SHADOWS,
    "quarantine": QUARANTINE,
}
"""The columns each table has from the start; rows gain the caller's with the first batch that has them."""

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

    def append(self, name: str, batch: int, data: pa.RecordBatchReader) -> int:
        """Append a batch's data unless it was appended before; return a version of the table that holds
        exactly the batches up to it. It is on the disk on return. Raises DeltaError, OSError."""
        table = self._writable(name)
        before = int(table.version())
        if _last_batch(table) >= batch:
            self._make_durable(name, range(max(0, before - _UNSURE_VERSIONS), before + 1))
            return before
        write_deltalake(
            table,
            data,
            mode="append",
            schema_mode="merge",
            target_file_size=FILE_BYTES,
            writer_properties=writer_properties(),
            commit_properties=CommitProperties(app_transactions=[Transaction(_APPLICATION, batch)]),
        )
        version = int(table.version())
        self._make_durable(name, range(before + 1, version + 1))
        return version

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


def _last_batch(table: DeltaTable) -> int:
    return int(table.transaction_version(_APPLICATION) or 0)
