"""Answers of a model, and the one score that is logged of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.task import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Answers for rows: ``values`` as the caller writes them, ``scores`` as they are logged (a regression's value,
    P(last class) of two, P(top class) of more), ``probabilities`` of shape (n, K) or None."""

    values: Sequence[Label]
    scores: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64] | None


def class_scores(raw: npt.NDArray[np.float64], top: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """The scores of :class:`Scores` for probabilities (n, K), of which those at ``top`` are the largest."""
    return raw[:, -1] if raw.shape[1] == 2 else raw[np.arange(len(raw)), top]
