"""What every check of the gate vector is shown: both models and the rows they are looked at on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from automl.schema import Schema
from automl.task import Task

GATE_ROWS = 2_000
"""Rows of the holdout on which models are asked again and again."""
TRAIN_ROWS = 20_000
"""Training rows that checks are shown."""

Answers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One model before the gates.

    ``answers`` are those to the gate rows, ``whole`` those to the whole holdout: probabilities (n, K) in the order of
    ``task.classes``, or numbers (n,). ``ask`` gives answers in the same form to any rows of the schema. ``row_seconds`` is
    what a row took when the whole holdout was asked about.
    """

    answers: Answers
    whole: Answers
    ask: Callable[[pd.DataFrame], Answers]
    pipeline: Pipeline
    row_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """Rows and models.

    ``rows`` are at most :data:`GATE_ROWS` of the holdout, drawn with the run's seed and in order of time, with every column
    of the schema (so with the sensitive ones); ``y`` their class positions, or numbers. ``whole`` is the holdout itself,
    for checks that need not ask any more. ``train`` are at most :data:`TRAIN_ROWS` rows that the challenger was trained on.
    ``champion`` is None where there is none. One check may take some ``seconds``: what would take longer looks at fewer
    rows, or says that it did not measure. The ids are those of the rows of ``whole`` and ``train``, where rows have any.
    """

    task: Task
    schema: Schema
    metric: str
    rows: pd.DataFrame
    y: npt.NDArray[Any]
    whole: pd.DataFrame
    whole_y: npt.NDArray[Any]
    train: pd.DataFrame
    train_y: npt.NDArray[Any]
    champion: Standing | None
    challenger: Standing
    seed: int
    seconds: float = 5.0
    whole_ids: Sequence[str] = ()
    train_ids: Sequence[str] = ()

    @property
    def standings(self) -> dict[str, Standing]:
        """The models by their part, the champion first where there is one."""
        both = {"champion": self.champion, "challenger": self.challenger}
        return {part: standing for part, standing in both.items() if standing is not None}

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that a model may learn from."""
        return self.schema.feature_names(self.task)


def drawn(rows: int, most: int, *, seed: int) -> npt.NDArray[np.intp]:
    """At most so many of the rows, ascending; the same for the same seed."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))
