"""What was staged for a batch: Parquet files, read as a stream, the way they go into the tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from registry.delta_tables import STREAM_ROWS
from registry.final_files import FinalFile, final_file
from registry.lineage import Digests, batch_hash, row_digests
from registry.pause import Pause, no_pause
from registry.table_schemas import BATCH, ROWS


class StagedFiles:
    """The parts of a batch in its folder."""

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

    def reader(self, name: str, *, batch: int, at: datetime, pause: Pause = no_pause) -> pa.RecordBatchReader:
        """A stream of the part, the columns that were left out filled in; with a pause before each next piece."""
        schema = self.schema(name)
        own: Mapping[str, Any] = {"_arrived_at": at, "_source": "upload"} if name == "rows" else {"at": at}
        defaults = {"_batch": batch, **own}
        return pa.RecordBatchReader.from_batches(schema, self._batches(name, schema, defaults, pause))

    def final(self, name: str, batch: int) -> list[FinalFile] | None:
        """The files of a part that a table may take over as they are: written for this very batch, with nothing to be
        filled in. None where one is not."""
        found = [final_file(path, name, batch) for path in self.paths(name)]
        return None if None in found else [each for each in found if each is not None]

    def count(self, name: str) -> int:
        return sum(int(pq.read_metadata(path).num_rows) for path in self.paths(name))

    def columns(self, name: str, columns: list[str]) -> pa.Table:
        """Some columns of a part, in memory."""
        return pa.concat_tables([pq.read_table(path, columns=columns) for path in self.paths(name)])

    def content_hash(self, at: datetime) -> str:
        """The hash of what was staged, as if read from the tables. ``at`` is the time of what has none."""

        def digests(name: str) -> Iterator[Digests]:
            if self.has(name):
                yield from map(row_digests, self.reader(name, batch=0, at=at))

        return batch_hash(digests("rows"), digests("labels"))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _batches(
        self, name: str, schema: pa.Schema, defaults: Mapping[str, Any], pause: Pause
    ) -> Iterator[pa.RecordBatch]:
        # one thread and no read-ahead: memory stays at one piece, whatever the size of the file
        for path in self.paths(name):
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for piece in file.iter_batches(STREAM_ROWS, use_threads=False):
                    columns = [_filled(piece, field, defaults.get(field.name)) for field in schema]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)
                    pause()


def _filled(piece: pa.RecordBatch, field: pa.Field, default: Any) -> pa.Array:
    if field.name == "_batch":
        return pa.array(np.full(piece.num_rows, default, np.int32))
    if field.name not in piece.schema.names:
        return pa.repeat(pa.scalar(default, field.type), piece.num_rows)
    column = piece.column(field.name)
    if default is not None and column.null_count:
        column = pc.fill_null(column, pa.scalar(default, field.type))
    return column
