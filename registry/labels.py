"""Which label of a row holds: truth outranks a model's word; of equals the latest counts.

"Latest" is by batch, then by time; of labels with one time in one batch the greatest text counts, so that the
answer doesn't depend on the order in which files happen to hold them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from registry.staging import is_truth


def winners(labels: pa.Table) -> pa.Table:
    """One entry a row id, out of labels with ``_row_id``, ``label``, ``source``, ``at`` and, unless all are of
    one batch, ``_batch``."""
    codes = pc.dictionary_encode(labels["_row_id"].combine_chunks())
    if len(codes.dictionary) == labels.num_rows:
        return labels
    rows = codes.indices.to_numpy()
    text = pc.rank(labels["label"], tiebreaker="dense").to_numpy()
    at = pc.fill_null(labels["at"].cast(pa.int64()), 0).to_numpy()
    truth = is_truth(labels["source"]).to_numpy()
    batch = labels["_batch"].to_numpy() if "_batch" in labels.column_names else np.zeros(len(rows), np.int32)
    order = np.lexsort((text, at, batch, truth, rows))
    last = np.append(rows[order][1:] != rows[order][:-1], True)
    return labels.take(pa.array(order[last]))
