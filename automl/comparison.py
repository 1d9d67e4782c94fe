"""Champion, challenger and baseline on the same rows, in one shape, and what comparing them says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import Metric, metric
from automl.resampling import Difference, group_codes, paired_difference, rows_to_decide
from automl.sentences import Comparison
from automl.tallies import Positions, Values
from automl.task import Task
from automl.verdict import Rules, Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a judgement looks at, in one shape. ``champion`` is None where it can't be scored."""

    measure: Metric
    rules: Rules
    task: Task
    y: npt.NDArray[Any]
    challenger: npt.NDArray[Any]
    champion: npt.NDArray[Any] | None
    champion_fault: str | None
    baseline: Values
    codes: Positions | None
    judged: tuple[int, ...]
    support: int | None

    @classmethod
    def of(
        cls,
        champion: Scored | None,
        challenger: Scored,
        y: npt.NDArray[Any],
        rules: Rules,
        *,
        task: Task,
        train_prior: npt.NDArray[Any],
        groups: npt.NDArray[Any] | None,
    ) -> Case:
        measure, labels = metric(rules.metric), np.asarray(y)
        if (measure.needs == "probabilities") != task.is_classification:
            raise ValueError(f"{rules.metric} is not a metric for {task.kind.value}")
        if groups is not None and len(groups) != len(labels):
            raise ValueError(f"{len(groups):,} groups for {len(labels):,} rows")
        codes = None if groups is None or not len(labels) else group_codes(np.asarray(groups))
        counts = class_counts(labels, codes, task) if measure.per_class else np.zeros(0, dtype=np.intp)
        judged = tuple(int(k) for k in np.flatnonzero(counts >= rules.min_class_rows))
        fault = None if champion is None else fault_of(champion, measure, task, len(labels))
        return cls(
            measure=measure,
            rules=rules,
            task=task,
            y=labels,
            challenger=challenger.predictions,
            champion=None if champion is None or fault else champion.predictions,
            champion_fault=fault,
            baseline=_repeated(train_prior, len(labels), task),
            codes=codes,
            judged=judged,
            support=int(counts[list(judged)].min()) if judged else None,
        )

    @property
    def rival(self) -> npt.NDArray[Any]:
        return self.baseline if self.champion is None else self.champion

    @property
    def asked(self) -> float:
        """The gain asked for, in the metric's own units."""
        if self.champion is None:
            return 0.0
        if not self.measure.in_target_units:
            return self.rules.min_effect
        return self.rules.min_effect * (self.score(self.baseline) or 0.0)

    def score(self, predictions: npt.NDArray[Any] | None) -> float | None:
        if predictions is None or not len(self.y):
            return None
        tally = self.measure.tally(self.y, predictions, classes=self.judged)
        score = float(tally.scores(np.ones((1, len(self.y))))[0])
        return score if math.isfinite(score) else None

    def difference(self, seed: int) -> Difference | None:
        return paired_difference(
            self.measure.tally(self.y, self.challenger, classes=self.judged),
            self.measure.tally(self.y, self.rival, classes=self.judged),
            rows=len(self.y),
            sign=1.0 if self.measure.greater_is_better else -1.0,
            alpha=self.rules.alpha,
            resamples=self.rules.resamples,
            seed=seed,
            codes=self.codes,
            support=self.support,
        )

    def compared(self, difference: Difference) -> Comparison | None:
        ours, theirs = self.score(self.challenger), self.score(self.rival)
        if ours is None or theirs is None:
            return None
        rows = len(self.y)
        needed = rows_to_decide(difference, rows=rows, effect=self.asked, power=self.rules.power)
        return Comparison(
            metric=self.rules.metric,
            greater_is_better=self.measure.greater_is_better,
            challenger=ours,
            rival_score=theirs,
            against_baseline=self.champion is None,
            rows=rows,
            difference=difference,
            asked=self.asked,
            rows_needed=None if needed is None else max(needed, rows + 1),
        )


def class_counts(y: npt.NDArray[Any], codes: Positions | None, task: Task) -> Positions:
    """How many rows, or groups, hold each class."""
    labels = y.astype(np.intp)
    if codes is not None:
        labels = np.unique(np.column_stack([codes, labels]), axis=0)[:, 1]
    return np.bincount(labels, minlength=len(task.classes)).astype(np.intp)


def _repeated(prior: npt.NDArray[Any], rows: int, task: Task) -> Values:
    """The baseline as a prediction for each row."""
    given = np.asarray(prior, dtype=np.float64)
    shape = (rows, len(task.classes)) if task.is_classification else (rows,)
    return given if given.shape == shape else np.broadcast_to(given, shape).copy()


def fault_of(model: Scored, measure: Metric, task: Task, rows: int) -> str | None:
    """Why a model's predictions can't be used, or None."""
    fault = measure.fault(model.predictions, rows)
    if fault is not None or not task.is_classification or not rows:
        return fault
    width, wanted = np.shape(model.predictions)[1], len(task.classes)
    if width != wanted:
        return f"probabilities of {wanted} classes were expected, of {width} came"
    if np.any(np.abs(np.sum(model.predictions, axis=1) - 1.0) > 1e-3) or np.min(model.predictions) < -1e-6:
        return "some rows of probabilities are negative or don't sum to one"
    return None
