"""The parts of a policy about labels: what those of a source may do, who is asked, and whether a model's word counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from service.policy_part import Part, Share


class LabelSourceRule(Part):
    """What the labels of one source may do in training: each row weighs ``weight``, all of them together at most
    ``cap`` of everything. A weight of 0 leaves them out."""

    weight: float = Field(default=1.0, ge=0, le=1)
    cap: Share = 1.0


class Labelling(Part):
    """The labelling queue.

    The newest ``pool`` rows without a truth are ranked; ``round_rows`` of them are handed out before they are
    ranked anew, which also happens after ``refresh`` and with each champion. At most ``odd_rows`` of them, as a share, lie
    far from all training rows (1: they are ranked as any other); ``check_rows`` of what is handed out has a label that may
    be wrong. A person has a row for ``lease``, an exported one for ``export_lease``. A row needs ``annotators_per_row``
    answers, one more as long as they are tied; ``most_skips`` people who skip it take it out.
    """

    annotators_per_row: int = Field(default=1, ge=1, le=20)
    lease: timedelta = Field(default=timedelta(minutes=15), gt=timedelta(0))
    export_lease: timedelta = Field(default=timedelta(days=1), gt=timedelta(0))
    pool: int = Field(default=5_000, ge=10, le=50_000)
    round_rows: int = Field(default=200, ge=1, le=10_000)
    random_share: float = Field(default=0.1, ge=0, le=1)
    odd_rows: float = Field(default=0.05, ge=0, le=1)
    check_rows: float = Field(default=0.1, ge=0, le=1)
    refresh: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0))
    most_skips: int = Field(default=2, ge=1)


class PseudoLabels(Part):
    """May unlabelled rows train, with the labels the champion gives them?

    ``judged``: a challenger with them is searched for beside one without, with the same budget and seed, and takes
    its place only where it proves better. See :class:`automl.pseudo_rule.PseudoRule` for the parts;
    ``lifetime`` is how long a given label may train. Off for numbers, whatever the mode.
    """

    mode: Literal["off", "judged"] = "off"
    threshold: Share = Field(default=0.95, description="confidence asked of the best-learnt class")
    floor: Share = Field(default=0.80, description="confidence asked of any class")
    max_spread: float = Field(
        default=0.10, gt=0, le=0.5, description="how far the teacher's models may differ"
    )
    least_precision: Share = 0.90
    weight: Share = 0.5
    max_rows_ratio: float = Field(default=10.0, gt=0, description="rows on each truly labelled row")
    max_weight_share: float = Field(default=0.5, gt=0, lt=1)
    lifetime: timedelta = Field(default=timedelta(days=30), gt=timedelta(0))
    max_drift_share: Share = 0.3

    @model_validator(mode="after")
    def _ordered(self) -> PseudoLabels:
        if self.floor > self.threshold:
            raise ValueError(f"the floor {self.floor} lies above the threshold {self.threshold}")
        return self
