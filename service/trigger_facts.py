"""What the triggers read, as plain values: gathered by :mod:`service.facts`, or by a replay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFact:
    """The newest drift report that no run has answered yet."""

    share: float
    drifted: tuple[str, ...]
    at: datetime
    auc: float | None = None
    joint: bool = False
    """Whether all features together moved, and the AUC by which new rows can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFact:
    """The newest rise of the champion's mean loss that no run has answered yet, over its newest ``rows`` answers."""

    before: float
    after: float
    rows: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFact:
    """The newest report of live quality. ``drop`` is how far the score is below the champion's at its promotion
    (worse is positive), ``sure_drop`` what it is at least, with the confidence the policy asks for."""

    score: float
    reference: float
    drop: float
    sure_drop: float
    allowed: float
    rows: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateFact:
    """The newest estimate of live quality before truth comes. ``loss`` is how much worse than usual it is (worse is
    positive), ``decayed`` whether it is worse than as many unchanged rows would make it."""

    metric: str
    score: float
    usual: float
    loss: float
    allowed: float
    decayed: bool
    rows: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionDriftFact:
    """How far the newest answers lie from those of the holdout, and from where on that counts."""

    effect: float
    threshold: float
    rows: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a project when its triggers are looked at.

    ``truths`` counts truly labelled rows, ``truths_at_last_run`` those the last finished run started from
    (None before the first). ``broken`` says how the data contract is broken, if it is. ``interrupted_run`` is
    the number of the last run if its process was lost and it was not tried again yet. ``spent_seconds`` are
    search seconds of the last 24 hours, ``spent_wh`` their watt-hours as far as they are known. ``decay_answered``: a
    run has already been started because this champion decayed. ``quick_start``: the last finished run was the quick
    first one.
    ``without_label`` are declared classes of which no label has come, as long as there is no champion.
    """

    champion: int | None
    truths: int
    truths_at_last_run: int | None
    active_run: int | None = None
    last_run_ended_at: datetime | None = None
    interrupted_run: int | None = None
    spent_seconds: float = 0.0
    spent_wh: float = 0.0
    schedule_due_at: datetime | None = None
    drift: DriftFact | None = None
    decay: QualityFact | None = None
    decay_answered: bool = False
    loss: LossFact | None = None
    estimate: EstimateFact | None = None
    prediction_drift: PredictionDriftFact | None = None
    broken: str | None = None
    quick_start: bool = False
    without_label: tuple[str, ...] = ()

    @property
    def fresh(self) -> int:
        return self.truths - (self.truths_at_last_run or 0)
