"""Reading Delta tables back: rows with the label that holds, predictions with their truth, hashes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from registry.columns import TRUTHS
from registry.delta_tables import DeltaTables
from registry.errors import Damaged
from registry.labels import winners
from registry.lineage import GENESIS, Digests, batch_hash, chain, row_digests
from registry.records import DatasetVersion
from registry.revocations import Revocation, counting
from registry.table_schemas import LABELS, PREDICTIONS, QUARANTINE, ROWS

_HASHED_AT_ONCE = 2_000_000
_JOINED = (
    ("_label", "label"),
    ("_label_source", "source"),
    ("_label_origin", "origin"),
    ("_confidence", "confidence"),
    ("_teacher", "teacher"),
    ("_labelled_at", "at"),
)


def rows(
    tables: DeltaTables,
    version: DatasetVersion,
    revoked: Sequence[Revocation],
    *,
    labelled: bool,
    columns: Sequence[str] | None,
) -> pa.Table:
    """See :meth:`registry.datasets.Datasets.read`; ``revoked`` are the revocations up to the version."""
    entries = tables.scan("labels", upto=version.batch, version=version.labels_version, columns=LABELS.names)
    told = winners(counting(entries, revoked))
    ids = told["_row_id"].combine_chunks()
    wanted = None if columns is None else list(dict.fromkeys([*ROWS.names, *columns]))
    found = tables.scan(
        "rows",
        upto=version.batch,
        version=version.rows_version,
        columns=wanted,
        where=ds.field("_row_id").isin(ids) if labelled else None,
    )
    if version.rows and not labelled and found.num_rows != version.rows:
        raise Damaged(
            f"{tables.folder / 'rows'} holds {found.num_rows} of the {version.rows} rows"
            f" of version {version.number}"
        )
    found = _in_order(found)
    place = pc.index_in(found["_row_id"], ids)
    for name, label in _JOINED:
        found = found.append_column(name, told[label].take(place))
    return found


def recent(
    tables: DeltaTables, upto: int, held: Iterable[tuple[int, int]], n: int, source: str | None
) -> pa.Table:
    """The newest ``n`` rows; ``held`` is (batch, rows) of each batch with rows, newest first."""
    where = ds.scalar(False)
    newest = ROWS.empty_table()
    for since in _windows(held, n):
        where = ds.field("_batch") >= since
        if source is not None:
            where &= ds.field("_source") == source
        newest = tables.scan(
            "rows", upto=upto, columns=ROWS.names, where=where
        )  # not yet the caller's columns
        if newest.num_rows >= n:
            break
    newest = _in_order(newest).slice(max(0, newest.num_rows - n))
    these = ds.field("_row_id").isin(newest["_row_id"].combine_chunks())
    return _in_order(tables.scan("rows", upto=upto, where=where & these))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Which rows came in, to be read by whoever may open ``folder``: the newest ``most`` of ``rows`` that the batches
    ``held`` (number and rows of each, newest first) have, none of them after the batch ``upto``."""

    folder: Path
    upto: int
    held: tuple[tuple[int, int], ...]
    rows: int
    most: int

    @classmethod
    def of(cls, tables: DeltaTables, held: Iterable[tuple[int, int]], *, upto: int, most: int) -> Arrivals:
        """Of the batches ``held`` up to ``upto``; of them are named as many as have ``most`` rows together."""
        came = [(number, count) for number, count in held if number <= upto]
        total, named = 0, 0
        for _, count in came:
            if total >= most:
                break
            total, named = total + count, named + 1
        rows = sum(count for _, count in came)
        return cls(folder=tables.folder, upto=upto, held=tuple(came[:named]), rows=rows, most=most)

    def read(self) -> pa.Table:
        """These rows, oldest of them first. Raises Damaged."""
        return recent(DeltaTables(self.folder), self.upto, self.held, self.most, None)


def some(tables: DeltaTables, upto: int, row_ids: Sequence[str], batches: Collection[int]) -> pa.Table:
    """The rows with these ids; ``batches`` are those they came with."""
    where = ds.field("_batch").isin(sorted(batches)) & ds.field("_row_id").isin(list(row_ids))
    return tables.scan("rows", upto=upto, where=where)


def scored(
    tables: DeltaTables,
    upto: int,
    revoked: Sequence[Revocation],
    *,
    since: datetime | None,
    limit: int | None,
    labelled: bool,
) -> pa.Table:
    """See :meth:`registry.datasets.Datasets.scored`."""
    entries = tables.scan("labels", upto=upto, columns=LABELS.names, where=ds.field("source").isin(TRUTHS))
    truths = winners(counting(entries, revoked))
    ids = truths["_row_id"].combine_chunks()
    where = None if since is None else ds.field("at") >= pa.scalar(since, PREDICTIONS.field("at").type)
    if labelled:
        has_truth = ds.field("_row_id").isin(ids)
        where = has_truth if where is None else where & has_truth
    made = _latest(tables.scan("predictions", upto=upto, where=where))
    if limit is not None:
        made = made.slice(max(0, made.num_rows - limit))
    place = pc.index_in(made["_row_id"], ids)
    made = made.select([name for name in PREDICTIONS.names if name != "_batch"])
    made = made.append_column("label", truths["label"].take(place))
    return made.append_column("label_at", truths["at"].take(place))


def answered(
    tables: DeltaTables, upto: int, revoked: Sequence[Revocation], *, after: int, model_version: int
) -> pa.Table:
    """See :meth:`registry.datasets.Datasets.answered`."""
    told = tables.scan(
        "labels",
        upto=upto,
        columns=LABELS.names,
        where=ds.field("source").isin(TRUTHS) & (ds.field("_batch") > after),
    )
    told = winners(counting(told, revoked))
    ids = told["_row_id"].combine_chunks()
    mine = (ds.field("model_version") == model_version) & ds.field("_row_id").isin(ids)
    made = _latest(tables.scan("predictions", upto=upto, where=mine))
    place = pc.index_in(made["_row_id"], ids)
    made = made.select([name for name in PREDICTIONS.names if name != "_batch"])
    return made.append_column("label", told["label"].take(place))


def quarantine(
    tables: DeltaTables, upto: int, held: Iterable[tuple[int, int]], limit: int, batch: int | None
) -> list[dict[str, Any]]:
    """The newest entries; ``held`` is (batch, refused rows) of each batch that has some, newest first."""
    found = QUARANTINE.empty_table()
    if batch is not None:
        found = tables.scan("quarantine", upto=upto, where=ds.field("_batch") == batch)
    else:
        for since in _windows(held, limit):
            found = tables.scan("quarantine", upto=upto, where=ds.field("_batch") >= since)
            if found.num_rows >= limit:
                break
    found = found.sort_by([("_batch", "descending"), ("line", "ascending"), ("column", "ascending")])
    entries: list[dict[str, Any]] = found.slice(0, limit).rename_columns({"_batch": "batch"}).to_pylist()
    return entries


def chained_hash(
    tables: DeltaTables,
    version: DatasetVersion,
    members: Sequence[tuple[int, int, int]],
    revoked: Sequence[Revocation],
) -> str:
    """The content hash, recomputed; ``members`` is (batch, rows, labels) of each batch up to the version,
    ``revoked`` says which of them are revocations."""
    own = {each.batch: each.criteria.hash for each in revoked}
    current = GENESIS
    for group in _groups(members):
        span = (group[0], group[-1])
        by_batch = {
            name: _digests(tables, name, span, at)
            for name, at in (("rows", version.rows_version), ("labels", version.labels_version))
        }
        for number in group:
            held = own.get(number)
            if held is None:
                held = batch_hash(by_batch["rows"].get(number, ()), by_batch["labels"].get(number, ()))
            current = chain(current, held)
    return current


def _digests(tables: DeltaTables, name: str, span: tuple[int, int], version: int) -> dict[int, list[Digests]]:
    for attempt in (version, None):
        try:
            return _grouped(tables.scan_batches(name, batches=span, version=attempt))
        except FileNotFoundError as error:  # vacuumed: the newest version holds the same rows
            missing = error
    raise Damaged(f"the table {tables.folder / name} lacks a file: {missing}") from missing


def _grouped(pieces: Iterable[pa.RecordBatch]) -> dict[int, list[Digests]]:
    found: dict[int, list[Digests]] = {}
    for piece in pieces:
        digests, owners = row_digests(piece), piece.column("_batch").to_numpy()
        for number in np.unique(owners).tolist():
            found.setdefault(number, []).append(digests[owners == number])
    return found


def _groups(members: Sequence[tuple[int, int, int]]) -> Iterator[list[int]]:
    """Neighbouring batches, together small enough that their digests fit in memory."""
    group: list[int] = []
    size = 0
    for number, row_count, label_count in members:
        if group and size + row_count + label_count > _HASHED_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(number)
        size += row_count + label_count
    if group:
        yield group


def _windows(held: Iterable[tuple[int, int]], n: int) -> Iterator[int]:
    """Batch numbers to read from, each so far back that it has four times what the one before had."""
    total, wanted, number = 0, max(1, n), None
    for number, count in held:
        total += count
        if total >= wanted:
            yield number
            wanted = total * 4
    if number is not None:
        yield number


def _in_order(found: pa.Table) -> pa.Table:
    keys = [("_batch", "ascending"), ("_arrived_at", "ascending"), ("_row_id", "ascending")]
    return found.take(pc.sort_indices(found, sort_keys=keys))


def _latest(made: pa.Table) -> pa.Table:
    """The last prediction of each row, in order of time."""
    order = pc.sort_indices(
        made, sort_keys=[(name, "ascending") for name in ("at", "_batch", "model_version", "_row_id")]
    )
    made = made.take(order)
    codes = pc.dictionary_encode(made["_row_id"].combine_chunks()).indices.to_numpy()
    _, from_end = np.unique(codes[::-1], return_index=True)
    return made.take(pa.array(np.sort(len(codes) - 1 - from_end)))
