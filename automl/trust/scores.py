"""What a model's answers lose under a change, in the metric's units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.judge import naive_baseline
from automl.metrics import metric
from automl.resampling import paired_difference
from automl.trust.exhibit import Answers, Exhibit

RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much worse some answers are than others on the same rows, positive where they are worse, with bounds that each
    hold with confidence ``1 - alpha``. None each where the metric has no value."""

    estimate: float | None
    lower: float | None
    upper: float | None

    def to_json(self) -> dict[str, Any]:
        return {"estimate": self.estimate, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A metric on the labels of some rows. ``unit`` is what margins are shares of: 1, for rmse and mae the error of one who
    knows only the training labels."""

    metric: str
    y: npt.NDArray[Any]
    unit: float
    seed: int

    @classmethod
    def of(cls, exhibit: Exhibit, rows: npt.NDArray[np.intp] | None = None) -> Scale:
        """On the gate rows, or some of them."""
        y = exhibit.y if rows is None else exhibit.y[rows]
        measure = metric(exhibit.metric)
        unit = 1.0
        if measure.in_target_units and len(y):
            naive = naive_baseline(exhibit.train_y, exhibit.task, exhibit.metric)
            unit = measure.score(y, np.repeat(naive, len(y)))
        return cls(metric=exhibit.metric, y=y, unit=unit, seed=exhibit.seed)

    def score(self, answers: Answers) -> float | None:
        """None where the metric has no value on these answers."""
        measure = metric(self.metric)
        if measure.fault(answers, len(self.y)) is not None:
            return None
        score = measure.score(self.y, answers)
        return score if math.isfinite(score) else None

    def loss(self, before: Answers, after: Answers, *, alpha: float) -> Loss:
        """What ``after`` is worse than ``before``, by a paired bootstrap of the rows, as a share of ``unit``."""
        measure = metric(self.metric)
        if any(measure.fault(one, len(self.y)) is not None for one in (before, after)):
            return Loss(estimate=None, lower=None, upper=None)
        found = paired_difference(
            measure.tally(self.y, before),
            measure.tally(self.y, after),
            rows=len(self.y),
            sign=1.0 if measure.greater_is_better else -1.0,
            alpha=alpha,
            resamples=RESAMPLES,
            seed=self.seed,
        )
        if found is None or not self.unit > 0:
            return Loss(estimate=None, lower=None, upper=None)
        return Loss(
            estimate=found.estimate / self.unit, lower=found.lower / self.unit, upper=found.upper / self.unit
        )
