"""What a model's answers lose under a change, in the metric's units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.blocks import block_codes, settled_length
from automl.comparison import class_counts
from automl.judge import naive_baseline
from automl.metrics import metric
from automl.resampling import paired_difference
from automl.tallies import Positions, Tally
from automl.task import Task
from automl.trust.entities import entity_codes
from automl.trust.exhibit import Answers, Exhibit

RESAMPLES = 200
LEAST_CLASS_ROWS = 5
"""Where a metric treats classes apart and has fewer rows of one, nothing is said of what a change costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much worse some answers are than others on the same rows, positive where they are worse, with bounds that each
    hold with confidence ``1 - alpha``. None each where the metric has no value, or too few rows of a class."""

    estimate: float | None
    lower: float | None
    upper: float | None

    def to_json(self) -> dict[str, Any]:
        return {"estimate": self.estimate, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A metric on the labels of some rows. ``unit`` is what margins are shares of: 1, for rmse and mae the error of one who
    knows only the training labels. Resamples draw what the judge's draw: whole entities, numbered by ``entities``, or with a
    time column blocks of rows, which are in the order of time."""

    metric: str
    task: Task
    y: npt.NDArray[Any]
    unit: float
    seed: int
    entities: Positions | None

    @classmethod
    def of(cls, exhibit: Exhibit, rows: npt.NDArray[np.intp] | None = None) -> Scale:
        """On the gate rows, or some of them."""
        y = exhibit.y if rows is None else exhibit.y[rows]
        measure = metric(exhibit.metric)
        unit = 1.0
        if measure.in_target_units and len(y):
            naive = naive_baseline(exhibit.train_y, exhibit.task, exhibit.metric)
            unit = measure.score(y, np.repeat(naive, len(y)))
        shown = exhibit.rows if rows is None else exhibit.rows.iloc[rows]
        entities = entity_codes(shown, exhibit.task) if len(y) else None
        return cls(
            metric=exhibit.metric, task=exhibit.task, y=y, unit=unit, seed=exhibit.seed, entities=entities
        )

    def score(self, answers: Answers) -> float | None:
        """None where the metric has no value on these answers."""
        measure = metric(self.metric)
        if measure.fault(answers, len(self.y)) is not None:
            return None
        score = measure.score(self.y, answers)
        return score if math.isfinite(score) else None

    def loss(self, before: Answers, after: Answers, *, alpha: float) -> Loss:
        """What ``after`` is worse than ``before``, by a paired bootstrap, as a share of ``unit``."""
        measure = metric(self.metric)
        faulty = any(measure.fault(one, len(self.y)) is not None for one in (before, after))
        if faulty or self._lacks_a_class():
            return Loss(estimate=None, lower=None, upper=None)
        ours, theirs = measure.tally(self.y, before), measure.tally(self.y, after)
        codes = self._codes(ours, theirs)
        found = paired_difference(
            ours,
            theirs,
            rows=len(self.y),
            sign=1.0 if measure.greater_is_better else -1.0,
            alpha=alpha,
            resamples=RESAMPLES,
            seed=self.seed,
            codes=codes,
            support=self._support(codes),
        )
        if found is None or not self.unit > 0:
            return Loss(estimate=None, lower=None, upper=None)
        return Loss(
            estimate=found.estimate / self.unit, lower=found.lower / self.unit, upper=found.upper / self.unit
        )

    def _lacks_a_class(self) -> bool:
        if not metric(self.metric).per_class:
            return False
        return bool(class_counts(self.y, None, self.task).min() < LEAST_CLASS_ROWS)

    def _codes(self, ours: Tally, theirs: Tally) -> Positions | None:
        """The entity or the block of each row; None where single rows are drawn."""
        if self.entities is not None or self.task.time_column is None:
            return self.entities
        return block_codes(len(self.y), settled_length(ours, theirs, len(self.y)))

    def _support(self, codes: Positions | None) -> int | None:
        """How many of what is drawn hold the rarest class, where the metric treats classes apart."""
        if not metric(self.metric).per_class:
            return None
        return int(class_counts(self.y, codes, self.task).min())
