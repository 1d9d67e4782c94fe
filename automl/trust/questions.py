"""Asking models many times without asking often: one call for many frames, and no more rows than there is time for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from automl.trust.exhibit import Answers, Exhibit, Standing

LEAST_ROWS = 100
"""Below so many rows nothing is learnt: models that are too slow for them are not asked."""


def affordable(exhibit: Exhibit, asked: int, *, share: float = 1.0) -> int:
    """So many rows can be asked about ``asked`` times of every model, within ``share`` of the allowance; 0 where they are
    fewer than :data:`LEAST_ROWS`, or than there are."""
    each = sum(one.row_seconds for one in exhibit.standings.values()) * max(asked, 1)
    most = len(exhibit.y) if each <= 0 else int(share * exhibit.seconds / each)
    return most if most >= min(LEAST_ROWS, len(exhibit.y)) else 0


def too_slow(asked: int, *, least: int = LEAST_ROWS) -> str:
    """Why nothing was asked."""
    return f"the models are too slow to be asked about {least:,} rows {asked:,} times in the time that there is for it"


def asked_at_once(standing: Standing, frames: Sequence[pd.DataFrame]) -> list[Answers]:
    """A model's answers to several frames, from one call."""
    if not frames:
        return []
    answers = standing.ask(pd.concat(frames, ignore_index=True))
    return np.split(answers, np.cumsum([len(one) for one in frames])[:-1])
