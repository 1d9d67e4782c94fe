"""Shadow answers: what the champion and the model in its shadow said to the same row, and the truth later."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from registry.columns import TRUTHS
from registry.delta_tables import SHADOWS, DeltaTables

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


def paired(tables: DeltaTables, upto: int, probation: int, began: int, after: int) -> pa.Table:
    """See :meth:`registry.datasets.Datasets.paired`."""
    mine = ds.field("probation") == probation
    entries = tables.scan(
        "labels",
        upto=upto,
        columns=["_row_id"],
        where=(ds.field("_batch") > after) & ds.field("source").isin(TRUTHS),
    )
    touched = ds.field("_row_id").isin(entries["_row_id"].combine_chunks())
    if after > began:  # answers that were stored after their truth; no truth of before it began counts
        touched |= ds.field("_batch") > after
    elif not entries.num_rows:
        touched = ds.scalar(False)
    answers = _first(_in_order(tables.scan("shadows", upto=upto, where=mine & touched)))
    truths = tables.scan(
        "labels",
        upto=upto,
        columns=["_row_id", "label", "at", "_batch"],
        where=ds.field("source").isin(TRUTHS) & ds.field("_row_id").isin(answers["_row_id"].combine_chunks()),
    )
    truths = _first(_in_order(truths))
    place = pc.index_in(answers["_row_id"], truths["_row_id"].combine_chunks())
    told_at = truths["at"].take(place)
    complete = pc.max_element_wise(answers["_batch"], truths["_batch"].take(place), skip_nulls=False)
    both = (
        answers.select(_ANSWERS)
        .append_column("label", truths["label"].take(place))
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
