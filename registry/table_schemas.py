"""The columns of a project's Delta tables."""

from __future__ import annotations

import pyarrow as pa

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
