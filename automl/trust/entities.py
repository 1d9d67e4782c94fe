"""Which rows belong together, because they are of one entity: a bootstrap draws them as a whole."""

from __future__ import annotations

import numpy as np
import pandas as pd

from automl.resampling import group_codes
from automl.tallies import Positions
from automl.task import Task


def entity_codes(rows: pd.DataFrame, task: Task) -> Positions | None:
    """The entity of each row, numbered from 0 without gaps, and each row without one by itself; None where the task names
    no entities."""
    if task.entity_column is None or task.entity_column not in rows:
        return None
    named = rows[task.entity_column]
    alone = pd.Series([f"\0row {place}" for place in range(len(rows))], index=rows.index)
    return group_codes(np.asarray(named.astype(object).where(named.notna(), alone), dtype=object))
