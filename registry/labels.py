"""Which label of a row holds: truth outranks a model's word; of equals the latest counts.

"Latest" is by batch, then by time; of labels with one time in one batch the greatest text counts, so that the
answer doesn't depend on the order in which files happen to hold them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from registry.columns import is_truth


def winners(labels: pa.Table) -> pa.Table:
    """One entry a row id, sorted by it, out of labels with ``_row_id``, ``label``, ``source``, ``at`` and,
    unless all are of one batch, ``_batch``."""
    order = pc.sort_indices(labels["_row_id"].combine_chunks())
    labels = labels.take(order)
    again = repeats(labels["_row_id"].combine_chunks())
    if not again.any():
        return labels
    text = pc.rank(labels["label"], tiebreaker="dense").to_numpy()
    at = pc.fill_null(labels["at"].cast(pa.int64()), 0).to_numpy()
    truth = is_truth(labels["source"]).to_numpy()
    batch = labels["_batch"].to_numpy() if "_batch" in labels.column_names else np.zeros(len(at), np.int32)
    row = np.cumsum(~again)
    best = np.lexsort((text, at, batch, truth, row))
    last = np.append(row[1:] != row[:-1], True)  # sorted by row before and after
    return labels.take(pa.array(best[last]))


def repeats(ids: pa.Array) -> NDArray[np.bool_]:
    """Which of the sorted ``ids`` equal the one before."""
    if len(ids) == 0:
        return np.zeros(0, np.bool_)
    same: NDArray[np.bool_] = pc.equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(
        zero_copy_only=False
    )
    return np.append(False, same)
