"""How a batch's parts are written before it counts: in any number of pieces, checked, as Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from registry.columns import Arrow, as_table, check_ids, check_text, conform, is_truth, storable_rows
from registry.durable import fsync
from registry.records import LabelSource
from registry.staged_files import StagedFiles
from registry.table_schemas import BATCH, LABELS, PREDICTIONS, QUARANTINE, SHADOWS

_ROW_GROUP_ROWS = 65_536


class Parts:
    """Writes parts into ``folder``, which is there; whose folder it is, is its caller's to know. One thread at a time.

    ``batch`` is the number that the batch will have unless another comes first: then parts are written as their tables keep
    them, and need not be written again where they are stored.
    """

    def __init__(self, folder: Path, batch: int | None = None) -> None:
        self.folder = folder
        self._batch = batch
        self.rows = self.labels = self.truths = self.predictions = self.quarantined = 0
        self._writers: dict[str, pq.ParquetWriter] = {}

    @property
    def files(self) -> StagedFiles:
        return StagedFiles(self.folder)

    def write_rows(self, data: Arrow) -> pa.Table:
        """Typed rows: ``_row_id``, the schema's columns, and ``_arrived_at`` (default: when committed) and
        ``_source`` (default: ``upload``); as they were stored. A later piece may have more or fewer columns. Raises
        ValueError for an unusable id, a type that no table takes, or a column that had another type before."""
        table = storable_rows(as_table(data))
        check_ids(table["_row_id"])
        self._write("rows", table)
        self.rows += table.num_rows
        return table

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

    def close(self) -> None:
        """Close the files, whatever is in them."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _write(self, name: str, table: pa.Table) -> None:
        if table.num_rows == 0:
            return
        if self._batch is not None:
            table = table.append_column(BATCH, pa.array(np.full(table.num_rows, self._batch, np.int32)))
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
        self._writers[name] = _writer(path, schema, final=self._batch is not None)
        return self._writers[name]


def _writer(path: Path, schema: pa.Schema, *, final: bool) -> pq.ParquetWriter:
    """In a table's file a text that comes again is kept once; looking for such among numbers and ids gains nothing."""
    if not final:
        return pq.ParquetWriter(path, schema, compression="lz4")
    again = [field.name for field in schema if pa.types.is_string(field.type) and field.name != "_row_id"]
    return pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=again)
