"""Shadow answers: what the champion and the model in its shadow said to the same row, and the truth later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from registry.columns import TRUTHS
from registry.delta_tables import DeltaTables
from registry.labels import winners
from registry.revocations import Revocation, counting
from registry.table_schemas import LABELS, SHADOWS

_FEW_BATCHES = 8
_ANSWERS = [name for name in SHADOWS.names if name not in ("_batch", "probation")]


def shadowed(tables: DeltaTables, upto: int, probation: int, limit: int) -> pa.Table:
    """The newest ``limit`` shadow answers of a probation, oldest of them first."""
    mine, window = ds.field("probation") == probation, _FEW_BATCHES
    while True:  # further and further back, so that few of very many are read
        recent = ds.field("_batch") > upto - window
        found = tables.scan("shadows", upto=upto, where=mine & recent)
        if found.num_rows >= limit or window >= upto:
            break
        window *= 4
    found = _in_order(found)
    return found.select(_ANSWERS).slice(max(0, found.num_rows - limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Shadow answers whose truth has come (see :meth:`registry.datasets.Datasets.paired`), looked for up to the
    batch ``upto``; with ``anew`` all of the probation, because some that were given before have changed."""

    table: pa.Table
    upto: int
    anew: bool


def paired(
    tables: DeltaTables, upto: int, revoked: Sequence[Revocation], probation: int, began: int, after: int
) -> Pairs:
    """See :meth:`registry.datasets.Datasets.paired`; ``revoked`` are all revocations up to ``upto``."""
    taken_back = any(each.batch > after and each.criteria.teacher is None for each in revoked)
    if after > began and not taken_back:
        answers, truths = _touched(tables, upto, revoked, probation, began, after)
        if not _corrected(answers, truths, after):
            return Pairs(table=_pairs(answers, truths, after), upto=upto, anew=False)
    answers, truths = _touched(tables, upto, revoked, probation, began, began)
    return Pairs(table=_pairs(answers, truths, began), upto=upto, anew=after > began)


def _touched(
    tables: DeltaTables, upto: int, revoked: Sequence[Revocation], probation: int, began: int, after: int
) -> tuple[pa.Table, pa.Table]:
    """The first answers to each row that got an answer or a truth after a batch, and all truths of these rows."""
    mine = ds.field("probation") == probation
    is_truth = ds.field("source").isin(TRUTHS)
    entries = tables.scan(
        "labels", upto=upto, columns=["_row_id"], where=(ds.field("_batch") > after) & is_truth
    )
    touched = ds.field("_row_id").isin(entries["_row_id"].combine_chunks())
    if after > began:  # answers that were stored after their truth; no truth of before it began counts
        touched |= ds.field("_batch") > after
    elif not entries.num_rows:
        touched = ds.scalar(False)
    answers = _first(_in_order(tables.scan("shadows", upto=upto, where=mine & touched)))
    these = ds.field("_row_id").isin(answers["_row_id"].combine_chunks())
    truths = tables.scan("labels", upto=upto, columns=LABELS.names, where=is_truth & these)
    return answers, _in_order(counting(truths, revoked))


def _corrected(answers: pa.Table, truths: pa.Table, after: int) -> bool:
    """Whether a row that was paired by then has another truth now."""
    by_then = winners(truths.filter(pc.less_equal(truths["_batch"], after)))
    now = winners(truths)
    place = pc.index_in(by_then["_row_id"], now["_row_id"].combine_chunks())
    changed = by_then.filter(pc.not_equal(by_then["label"], now["label"].take(place)))
    answered = answers.filter(pc.less_equal(answers["_batch"], after))
    return bool(pc.any(pc.is_in(changed["_row_id"], answered["_row_id"].combine_chunks())).as_py())


def _pairs(answers: pa.Table, truths: pa.Table, after: int) -> pa.Table:
    """When a row's truth came is when its first did; what it is, is what holds now."""
    first, held = _first(truths), winners(truths)
    place = pc.index_in(answers["_row_id"], first["_row_id"].combine_chunks())
    told_at = first["at"].take(place)
    complete = pc.max_element_wise(answers["_batch"], first["_batch"].take(place), skip_nulls=False)
    holds = pc.index_in(answers["_row_id"], held["_row_id"].combine_chunks())
    both = (
        answers.select(_ANSWERS)
        .append_column("label", held["label"].take(holds))
        .append_column("label_at", told_at)
        .append_column("complete", complete)
    )
    # a truth that was there before the answer may have been learnt from
    fresh = pc.and_(pc.greater(complete, after), pc.greater_equal(told_at, answers["at"]))
    both = both.filter(fresh)
    keys = [(name, "ascending") for name in ("complete", "label_at", "_row_id")]
    return both.take(pc.sort_indices(both, sort_keys=keys))


def _in_order(found: pa.Table) -> pa.Table:
    keys = [(name, "ascending") for name in ("_batch", "at", "_row_id")]
    return found.take(pc.sort_indices(found, sort_keys=keys))


def _first(found: pa.Table) -> pa.Table:
    """The first entry of each row, in the order they are in."""
    codes = pc.dictionary_encode(found["_row_id"].combine_chunks()).indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return found.take(pa.array(np.sort(first)))
