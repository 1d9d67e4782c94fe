"""Asking models many times without asking often: one call for many frames, and no more rows than there is time for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from automl.trust.exhibit import Answers, Exhibit, Standing

LEAST_ROWS = 100
"""Below so many rows nothing is learnt, however slow the models are."""


def affordable(exhibit: Exhibit, asked: int, *, share: float = 1.0) -> int:
    """So many rows can be asked about ``asked`` times of every model, within ``share`` of the allowance."""
    each = sum(one.row_seconds for one in exhibit.standings.values()) * max(asked, 1)
    return len(exhibit.y) if each <= 0 else max(LEAST_ROWS, int(share * exhibit.seconds / each))


def asked_at_once(standing: Standing, frames: Sequence[pd.DataFrame]) -> list[Answers]:
    """A model's answers to several frames, from one call."""
    if not frames:
        return []
    answers = standing.ask(pd.concat(frames, ignore_index=True))
    return np.split(answers, np.cumsum([len(one) for one in frames])[:-1])
