"""What a model's word has to show before it may train another model, and when it may not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from automl.tallies import Values
from automl.task import TaskKind


class Reason(StrEnum):
    """Why a row was left out; the first that holds, in this order."""

    SUSPENDED = "suspended"
    NOT_FINITE = "not_finite"
    LOW_CONFIDENCE = "low_confidence"
    UNRELIABLE_CLASS = "unreliable_class"
    SPREAD = "spread"
    QUOTA = "quota"
    CAP = "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoRule:
    """What a model's word has to show before it may train another, and how much it may then weigh.

    ``threshold`` is the calibrated confidence asked of the best-learnt class; a class that is learnt less well
    is asked for less, never for less than ``floor``. ``max_spread`` is the largest standard deviation
    between the models' probabilities of the class. A class is ``unreliable`` where its confident calibration
    rows exclude, at 95%, that ``least_precision`` of them are right, or there are fewer than
    ``min_calibration`` calibration rows given this class. ``slack`` is how far a class may exceed its true share.
    A row weighs ``weight`` times its confidence (a true one weighs 1). At most ``max_rows_ratio`` rows come on each
    true row, and together they weigh at most ``max_weight_share`` of all training weight. A label expires
    after ``lifetime``. No labels are given while ``max_drift_share`` of the columns or more have drifted.
    ``numbers`` allows pseudo-labels for regression, which is off unless asked for.
    """

    threshold: float = 0.95
    floor: float = 0.80
    max_spread: float = 0.10
    least_precision: float = 0.90
    min_calibration: int = 5
    slack: float = 0.10
    weight: float = 0.5
    max_rows_ratio: float = 10.0
    max_weight_share: float = 0.5
    lifetime: timedelta = timedelta(days=30)
    max_drift_share: float = 0.3
    numbers: bool = False

    def __post_init__(self) -> None:
        shares = ("threshold", "floor", "least_precision", "weight", "max_drift_share")
        for name in shares:
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")
        if not 0 < self.max_weight_share < 1:
            raise ValueError(f"max_weight_share must lie between 0 and 1, not {self.max_weight_share}")
        if self.floor > self.threshold:
            raise ValueError(f"the floor {self.floor} lies above the threshold {self.threshold}")
        if min(self.max_spread, self.slack, self.max_rows_ratio, self.min_calibration) < 0:
            raise ValueError("max_spread, slack, max_rows_ratio and min_calibration must be zero or more")

    def rows_allowed(self, true_rows: int) -> int:
        return int(self.max_rows_ratio * true_rows)

    def weights(self, confidence: Values, true_weight: float) -> Values:
        """What each row weighs beside true rows that weigh ``true_weight`` together."""
        weights = self.weight * confidence
        total = float(weights.sum())
        allowed = true_weight * self.max_weight_share / (1.0 - self.max_weight_share)
        return weights * min(1.0, allowed / total) if total > 0 else weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """The model that gives the labels. ``pseudo_rows`` is the number of pseudo-labelled rows it was trained on."""

    version: int
    pseudo_rows: int = 0


def suspension(
    rule: PseudoRule, teacher: Teacher, *, kind: TaskKind, models: int, drift_share: float | None
) -> str | None:
    """Why this teacher may not teach now, or None. ``drift_share`` is None where drift was not measured."""
    if kind is not TaskKind.CLASSIFICATION and not (kind is TaskKind.REGRESSION and rule.numbers):
        return f"pseudo-labels are off for {kind.value}"
    if teacher.pseudo_rows:
        trained_on = f"model {teacher.version} was itself trained on {teacher.pseudo_rows:,} pseudo-labels"
        return f"{trained_on}; only the first generation teaches"
    if drift_share is not None and drift_share >= rule.max_drift_share:
        return (
            f"{drift_share:.0%} of the columns have drifted, {rule.max_drift_share:.0%} suspend pseudo-labels"
        )
    if models < 2:
        return "one model alone can't say how far models disagree; a teacher needs two or more"
    return None
