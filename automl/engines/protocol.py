"""What every AutoML engine promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.candidate import Candidate
from automl.schema import Schema
from automl.task import Task

Folds = tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One training problem: rows oldest first, as the schema reads them, and their encoded labels.

    ``y`` holds class positions (int64) or numbers (float64). ``folds`` are (train, validation) positions,
    the same for every engine, so that their scores can be compared; ``again`` are other folds of the same rows, by which
    nothing is tried, for a second look at the best (empty where there are none). ``weights`` are per row, or None.
    """

    task: Task
    schema: Schema
    X: pd.DataFrame
    y: npt.NDArray[Any]
    folds: Folds
    weights: npt.NDArray[np.float64] | None = None
    again: Folds = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration tried. ``score`` is in the metric's own sign, None when the trial failed."""

    engine: str
    estimator: str
    score: float | None
    seconds: float
    config: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a search may begin: an earlier winner of the same engine (its estimator and configuration).

    ``model`` describes the model itself (:mod:`automl.engines.rebuilding`), where that is known; ``share`` is what it
    counts for in the champion, 0 for what is no part of that; ``seconds`` are those that it was expected to train on all
    rows of its run, 0 where that is not known.
    """

    engine: str
    estimator: str
    config: Mapping[str, Any]
    model: Mapping[str, Any] | None = None
    share: float = 0.0
    seconds: float = 0.0


class Engine(Protocol):
    """A search over pipelines.

    :meth:`search` returns the best candidate found, fitted on all rows of the problem, as a plain
    scikit-learn pipeline that takes raw rows and needs nothing of the engine at prediction time.
    It calls ``report`` for each trial as it ends, and ``offer`` with each best so far, trained on one fold only: what
    is left if the engine is ended before it returns. ``begin`` is called when the data are prepared: from then
    on the budget counts. It aims at ``budget_seconds``; the caller enforces it.
    Same problem, seed and number of trials give the same candidate. Raises SearchFailed with the reason
    when no trial gave a usable pipeline.
    """

    @property
    def name(self) -> str: ...

    def search(
        self,
        problem: Problem,
        *,
        budget_seconds: float,
        seed: int,
        report: Callable[[Trial], None],
        starts: Sequence[Start] = (),
        offer: Callable[[Candidate], None] = ...,
        begin: Callable[[], None] = ...,
    ) -> Candidate: ...
