"""A light measure of drift: what :mod:`automl.drift` says of each column, without Evidently.

Same distances, same thresholds, same draws; tens of milliseconds instead of seconds: a replay looks at drift
hundreds of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from automl.columns import Schema
from automl.drift import DriftRule, drift, own_distances

_SEED = 0


def shift(
    reference: pd.DataFrame, current: pd.DataFrame, schema: Schema, rule: DriftRule, columns: Sequence[str]
) -> dict[str, Any]:
    """``share`` of the named columns that moved, the names of those (``drifted``, the most moved first), and each
    one's ``score`` and ``method`` under ``columns``. Frames are typed by the schema; any number of rows will do."""
    lenient = replace(rule, window=len(current), min_reference=1, joint=None)
    found = drift(reference, current, schema, lenient, seed=_SEED, columns=columns, measure=own_distances)
    return {
        "share": found.share,
        "drifted": list(found.drifted_columns),
        "columns": [
            {"name": column.name, "method": column.method, "score": column.score} for column in found.columns
        ],
    }
