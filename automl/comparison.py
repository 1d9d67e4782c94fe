"""Champion, challenger and baseline on the same rows, in one shape, and what comparing them says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from automl.blocks import block_codes, settled_length
from automl.metrics import Metric, metric
from automl.resampling import Difference, Draws, group_codes, paired_draws, rows_to_decide
from automl.sentences import Comparison
from automl.tallies import Positions, Sums, Tally, Values
from automl.task import Task
from automl.verdict import Rules, Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a judgement looks at, in one shape. ``champion`` is None where it can't be scored.

    ``unit`` is what the bootstrap draws; ``codes`` number the group or block of each row, None for rows.
    """

    measure: Metric
    rules: Rules
    task: Task
    y: npt.NDArray[Any]
    challenger: npt.NDArray[Any]
    champion: npt.NDArray[Any] | None
    champion_fault: str | None
    baseline: Values
    unit: Literal["rows", "groups", "blocks"]
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
        fault = None if champion is None else fault_of(champion, measure, task, len(labels))
        case = cls(
            measure=measure,
            rules=rules,
            task=task,
            y=labels,
            challenger=challenger.predictions,
            champion=None if champion is None or fault else champion.predictions,
            champion_fault=fault,
            baseline=_repeated(train_prior, len(labels), task),
            unit="rows",
            codes=None,
            judged=(),
            support=None,
        )
        if groups is not None:
            codes = group_codes(np.asarray(groups)) if len(labels) else None
            return case._drawn("groups", codes)
        case = case._drawn("rows", None)
        usable = fault_of(challenger, measure, task, len(labels)) is None
        if rules.blocks is None or not usable or len(labels) < rules.min_rows:
            return case
        length = case._settled_length() if rules.blocks == "auto" else rules.blocks
        return case._drawn("blocks", block_codes(len(labels), length))

    def part(self, rows: npt.NDArray[np.bool_]) -> Case:
        """The same question about some of the rows."""
        codes = None if self.codes is None else group_codes(self.codes[rows])
        champion = None if self.champion is None else self.champion[rows]
        some = replace(
            self,
            y=self.y[rows],
            challenger=self.challenger[rows],
            champion=champion,
            baseline=self.baseline[rows],
        )
        return some._drawn(self.unit, codes)

    def _drawn(self, unit: Literal["rows", "groups", "blocks"], codes: Positions | None) -> Case:
        """The case with what is drawn, and the classes of which there are then enough."""
        counts = (
            class_counts(self.y, codes, self.task) if self.measure.per_class else np.zeros(0, dtype=np.intp)
        )
        judged = tuple(int(k) for k in np.flatnonzero(counts >= self.rules.min_class_rows))
        support = int(counts[list(judged)].min()) if judged else None
        return replace(self, unit=unit, codes=codes, judged=judged, support=support)

    def _settled_length(self) -> int:
        return settled_length(self._tally(self.challenger), self._tally(self.rival), len(self.y))

    def _tally(self, predictions: npt.NDArray[Any]) -> Tally:
        return self.measure.tally(self.y, predictions, classes=self.judged)

    @property
    def units(self) -> int:
        """How many rows, groups or blocks there are to draw from."""
        return len(self.y) if self.codes is None else int(self.codes.max()) + 1

    @property
    def sign(self) -> float:
        """1 where a higher score is better, else -1."""
        return 1.0 if self.measure.greater_is_better else -1.0

    @property
    def rival(self) -> npt.NDArray[Any]:
        return self.baseline if self.champion is None else self.champion

    @property
    def asked(self) -> float:
        """The gain asked for, in the metric's own units."""
        if self.champion is None:
            return 0.0
        return self.in_units(self.rules.min_effect * self.rules.required_effect_factor)

    def in_units(self, effect: float) -> float:
        """An effect in the metric's own units: of rmse and mae it is a share of the naive baseline's error."""
        return effect * (self.score(self.baseline) or 0.0) if self.measure.in_target_units else effect

    def score(self, predictions: npt.NDArray[Any] | None) -> float | None:
        if predictions is None or not len(self.y):
            return None
        score = float(self._tally(predictions).scores(np.ones((1, len(self.y))))[0])
        return score if math.isfinite(score) else None

    def draws(self, seed: int) -> Draws | None:
        """The bootstrapped gain of the challenger over its rival."""
        return self._draws(self._tally(self.challenger), self._tally(self.rival), seed)

    def rival_draws(self, seed: int) -> Draws | None:
        """The bootstrapped score of the rival alone, turned so that higher is better."""
        nothing = Sums(terms=np.ones((len(self.y), 1)), finish=lambda sums: np.zeros(len(sums)))
        return self._draws(self._tally(self.rival), nothing, seed)

    def _draws(self, ours: Tally, theirs: Tally, seed: int) -> Draws | None:
        return paired_draws(
            ours,
            theirs,
            rows=len(self.y),
            sign=self.sign,
            resamples=self.rules.resamples,
            seed=seed,
            codes=self.codes,
            support=self.support,
        )

    def compared(self, difference: Difference) -> Comparison | None:
        ours, theirs = self.score(self.challenger), self.score(self.rival)
        if ours is None or theirs is None:
            return None
        rows, asked = len(self.y), self.asked
        needed = rows_to_decide(
            difference, rows=rows, effect=asked, power=self.rules.power, alpha=self.rules.next_alpha
        )
        return Comparison(
            metric=self.rules.metric,
            greater_is_better=self.measure.greater_is_better,
            challenger=ours,
            rival_score=theirs,
            against_baseline=self.champion is None,
            rows=rows,
            difference=difference,
            asked=asked,
            factor=1.0 if self.champion is None else self.rules.required_effect_factor,
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
