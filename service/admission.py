"""Rows that were checked get their ids and go to the staging area; those at fault go to the quarantine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import scalar_text
from automl.schema import Checked
from automl.task import Task
from registry.records import LabelSource
from service.chunks import Chunk, excerpt
from service.row_ids import ROW_IDS
from service.tally import Refused, Tally

LONGEST_ID = 255
"""Characters of a row id: what the index of rows holds."""

QUARANTINE = pa.schema(
    [
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("code", pa.string()),
        pa.field("message", pa.string()),
        pa.field("row", pa.string()),
        pa.field("at", pa.timestamp("us", tz="UTC")),
    ]
)


class Stored(Protocol):
    """Knows which row ids a project has already."""

    def known(self, project_id: int, row_ids: Sequence[str]) -> set[str]: ...


class Stage(Protocol):
    """Where rows wait for the commit."""

    def write_rows(self, rows: pa.Table) -> None: ...
    def write_labels(self, labels: pa.Table) -> None: ...
    def write_quarantine(self, rows: pa.Table) -> None: ...


class Admission:
    """Takes one upload's chunks in order."""

    def __init__(
        self,
        stored: Stored,
        stage: Stage,
        project_id: int,
        task: Task,
        at: datetime,
        *,
        origin: str | None = None,
    ) -> None:
        self._stored = stored
        self._stage = stage
        self._project_id = project_id
        self._id_column = task.id_column
        self._at = at
        self._origin = origin
        self._seen = SeenIds()

    def admit(self, chunk: Chunk, table: pa.Table, checked: Checked, tally: Tally) -> None:
        """Stages the good rows and their labels, and quarantines all others of the chunk.

        ``table`` is what was checked: the chunk's table with columns it may have lacked.
        """
        refused = [_broken(row) for row in chunk.broken]
        refused += _faulty(chunk, table, checked)
        if self._id_column is None:
            ids, keep = ROW_IDS.take(checked.table.num_rows, self._at), None
        else:
            ids, keep, bad = self._own_ids(chunk, table, checked)
            refused += bad
        self._stage_rows(checked, ids, keep, tally)
        self._quarantine(refused, tally)

    def refuse_broken(self, chunk: Chunk, tally: Tally) -> None:
        """Quarantines a chunk in which no row could be read."""
        self._quarantine([_broken(row) for row in chunk.broken], tally)

    def _stage_rows(
        self, checked: Checked, ids: list[str], keep: npt.NDArray[np.intp] | None, tally: Tally
    ) -> None:
        rows, labels = checked.table, checked.labels
        if keep is not None:
            rows, labels = rows.take(pa.array(keep)), labels.take(pa.array(keep))
        count = rows.num_rows
        if not count:
            return
        row_id = pa.array(ids, pa.string())
        at = pa.repeat(pa.scalar(self._at, pa.timestamp("us", tz="UTC")), count)
        system = {"_row_id": row_id, "_arrived_at": at, "_source": pa.repeat("upload", count)}
        names = [*system, *rows.column_names]
        self._stage.write_rows(pa.table([*system.values(), *rows.columns], names=names))
        self._stage_labels(row_id, labels)
        tally.admitted(rows)

    def _stage_labels(self, row_id: pa.Array, labels: pa.Array) -> None:
        if isinstance(labels, pa.ChunkedArray):
            labels = labels.combine_chunks()
        given = labels.is_valid()
        table = label_table(
            row_id.filter(given),
            labels.filter(given),
            source=LabelSource.GIVEN,
            at=self._at,
            origin=self._origin,
        )
        if table.num_rows:
            self._stage.write_labels(table)

    def _own_ids(
        self, chunk: Chunk, table: pa.Table, checked: Checked
    ) -> tuple[list[str], npt.NDArray[np.intp], list[Refused]]:
        """The callers' ids of the rows that may stay, the places of these, and the rows that may not."""
        assert self._id_column is not None
        column = table.column(self._id_column).take(pa.array(checked.positions))
        ids = [scalar_text(value).strip() for value in column.to_pylist()]
        stored = self._stored.known(self._project_id, ids)
        fresh = self._seen.add(ids, stored)
        keep: list[int] = []
        bad: list[Refused] = []
        for at, name in enumerate(ids):
            fault = _id_fault(name, stored, bool(fresh[at]))
            if fault is None:
                keep.append(at)
                continue
            place = int(checked.positions[at])
            bad.append(
                Refused(
                    line=int(chunk.lines[place]),
                    column=self._id_column,
                    code=fault[0],
                    message=fault[1],
                    row=_row_text(_raw_rows(table, [place])[0]),
                )
            )
        return [ids[at] for at in keep], np.array(keep, dtype=np.intp), bad

    def _quarantine(self, refused: list[Refused], tally: Tally) -> None:
        if not refused:
            return
        refused.sort(key=lambda row: row.line)
        for row in refused:
            tally.refused(row)
        columns = {
            "line": [row.line for row in refused],
            "column": [row.column for row in refused],
            "code": [row.code for row in refused],
            "message": [row.message for row in refused],
            "row": [row.row for row in refused],
            "at": [self._at] * len(refused),
        }
        self._stage.write_quarantine(pa.table(columns, schema=QUARANTINE))


class SeenIds:
    """The ids of one upload so far, as 64-bit hashes: 8 bytes each, not the texts.

    Two of five million ids share a hash once in a million uploads; the later one is then called a duplicate.
    """

    def __init__(self) -> None:
        self._sorted: list[npt.NDArray[np.int64]] = []

    def add(self, ids: Sequence[str], refused: set[str]) -> npt.NDArray[np.bool_]:
        """Which of the ids are new (the first of equals is); those ``refused`` are not remembered."""
        hashes = np.array([hash(name) for name in ids], dtype=np.int64)
        fresh = np.zeros(len(ids), dtype=np.bool_)
        first = np.unique(hashes, return_index=True)[1]
        fresh[first] = True
        for known in self._sorted:
            places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            fresh &= known[places] != hashes
        taken = fresh & np.array([name not in refused for name in ids], dtype=np.bool_)
        if taken.any():
            self._sorted.append(np.sort(hashes[taken]))
            self._merge()
        return fresh

    def _merge(self) -> None:
        # Like sizes are merged, so that there are never more than a few arrays to look through.
        while len(self._sorted) > 1 and len(self._sorted[-1]) * 2 >= len(self._sorted[-2]):
            last, before = self._sorted.pop(), self._sorted.pop()
            self._sorted.append(np.sort(np.concatenate([before, last])))


def label_table(
    row_id: pa.Array, labels: pa.Array, *, source: LabelSource, at: datetime, origin: str | None = None
) -> pa.Table:
    """Labels as the staging area takes them; a label that somebody gave has no confidence and no teacher."""
    count = len(row_id)
    return pa.table(
        {
            "_row_id": row_id,
            "label": labels,
            "source": pa.repeat(source.value, count),
            "confidence": pa.nulls(count, pa.float64()),
            "teacher": pa.nulls(count, pa.int32()),
            "at": pa.repeat(pa.scalar(at, pa.timestamp("us", tz="UTC")), count),
            "origin": pa.repeat(pa.scalar(origin, pa.string()), count),
        }
    )


def _id_fault(name: str, stored: set[str], fresh: bool) -> tuple[str, str] | None:
    if len(name) > LONGEST_ID or "\0" in name:
        return "invalid_id", f"the id is longer than {LONGEST_ID} characters or holds a NUL character"
    if name in stored:
        return "duplicate_id", f"the id {name!r} is stored already"
    return None if fresh else ("duplicate_id", f"the id {name!r} is there twice; the first row counts")


def _broken(row: Any) -> Refused:
    return Refused(line=row.line, column=None, code=row.code, message=row.message, row=row.row)


def _faulty(chunk: Chunk, table: pa.Table, checked: Checked) -> list[Refused]:
    """One entry a row, under its first fault; the others are told in the message."""
    faults: dict[int, list[Any]] = {}
    for fault in checked.faults:
        faults.setdefault(fault.row, []).append(fault)
    rows = _raw_rows(table.select(chunk.table.column_names), list(faults))
    return [
        Refused(
            line=int(chunk.lines[place]),
            column=found[0].column,
            code=found[0].code,
            message="; ".join(fault.message for fault in found[:10]),
            row=_row_text(row),
        )
        for (place, found), row in zip(faults.items(), rows, strict=True)
    ]


def _raw_rows(table: pa.Table, places: list[int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.take(pa.array(places, pa.int64())).to_pylist()
    return rows


def _row_text(row: Mapping[str, Any]) -> str:
    return excerpt(json.dumps(row, default=str, ensure_ascii=False))
