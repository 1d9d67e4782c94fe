"""What a judgement is asked and what it hands back: rules and scored models in, gates and an outcome out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy.typing as npt

from automl.metrics import metric
from automl.resampling import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a challenger has to show.

    ``alpha`` is what this look may spend (see :func:`automl.judge.spent_alpha`), one-sided.
    ``min_effect`` is in the metric's units, but a share of the naive baseline's error for rmse and mae,
    which have no scale of their own. ``power`` is the chance that the reported number of rows is sized
    for. Below ``min_rows`` rows, ``min_groups`` groups, or ``min_class_rows`` rows (groups) of a class
    where the metric treats classes apart, a holdout decides nothing. ``needs_approval`` turns a promotion
    into a proposal.

    ``next_alpha`` is what the next look may spend (by default as much as this one): the number of rows that
    would decide is planned for it. ``required_effect_factor`` times the minimum effect is asked of a
    challenger that takes back the last change. ``blocks`` says that rows are in order of time and drawn as
    blocks of consecutive ones: of so many rows, or "auto" (see :func:`automl.blocks.settled_length`); groups
    go before blocks.

    No slice of at least ``slice_rows`` rows may be worse by more than ``slice_margin``; ``slice_alpha`` is
    the chance of a wrong alarm about any. ``floor`` is the worst score that is acceptable (in the metric's own
    sign): while the champion is surely below it, a challenger may be promoted that is better by its estimate
    and surely not worse by more than ``floor_margin``. Both margins are in the units of ``min_effect``.
    """

    metric: str
    min_effect: float = 0.002
    alpha: float = 0.05
    resamples: int = 2000
    power: float = 0.8
    max_latency_ms: float | None = None
    max_size_bytes: int | None = None
    min_rows: int = 30
    min_groups: int = 8
    min_class_rows: int = 5
    needs_approval: bool = False
    next_alpha: float | None = None
    required_effect_factor: float = 1.0
    blocks: int | Literal["auto"] | None = None
    slice_margin: float = 0.02
    slice_rows: int = 100
    slice_alpha: float = 0.05
    floor: float | None = None
    floor_margin: float = 0.01
    golden_tolerance: float = 1e-6

    def __post_init__(self) -> None:
        metric(self.metric)
        if not 0 < self.alpha <= 0.5:
            raise ValueError(f"alpha must be above 0 and at most 0.5, not {self.alpha}")
        if not 0 <= self.min_effect < math.inf:
            raise ValueError(f"min_effect must be zero or more, not {self.min_effect}")
        if not 0.5 <= self.power < 1:
            raise ValueError(f"power must be at least 0.5 and below 1, not {self.power}")
        if self.resamples < 100:
            raise ValueError(f"at least 100 resamples are needed, not {self.resamples}")
        if not 1 <= self.required_effect_factor < math.inf:
            raise ValueError(f"required_effect_factor must be at least 1, not {self.required_effect_factor}")
        if isinstance(self.blocks, int) and self.blocks < 1:
            raise ValueError(f"a block holds at least one row, not {self.blocks}")
        if min(self.slice_margin, self.floor_margin) < 0:
            raise ValueError("margins must be zero or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A model's word on the holdout and what it costs to ask.

    ``predictions`` are probabilities of shape (n, K) or numbers of shape (n,). ``latency_ms`` is the
    median time for one row, ``size_bytes`` what the stored model takes, ``golden_gap`` how far its answers
    are off when its stored bytes are loaded anew (see :func:`automl.scoring.answer_gap`); None where not measured.
    """

    predictions: npt.NDArray[Any]
    latency_ms: float | None = None
    size_bytes: int | None = None
    golden_gap: float | None = None


class Outcome(StrEnum):
    PROMOTED = "promoted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    AWAITING_APPROVAL = "awaiting_approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One named check. ``passed`` is None where it does not apply or could not be decided.

    ``evidence`` holds the numbers behind the reason, as JSON.
    """

    name: str
    passed: bool | None
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "passed": self.passed,
            "reason": self.reason,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All gates and what follows from them; ``reason`` is one sentence for a person.

    Scores are the metric in its own sign on the same ``rows``; None where the metric has no value on them,
    or there is no such model. ``min_effect`` is the gain that was asked for, in the metric's units.
    ``rows_needed`` estimates the size of a holdout that would decide; None where more rows would not help
    or none are needed.
    """

    outcome: Outcome
    reason: str
    gates: tuple[Gate, ...]
    metric: str
    champion_score: float | None
    challenger_score: float | None
    baseline_score: float | None
    difference: Difference | None
    min_effect: float
    rows: int
    rows_needed: int | None

    @property
    def promotes(self) -> bool:
        return self.outcome is Outcome.PROMOTED

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "gates": [gate.to_json() for gate in self.gates],
            "metric": self.metric,
            "champion_score": self.champion_score,
            "challenger_score": self.challenger_score,
            "baseline_score": self.baseline_score,
            "difference": None if self.difference is None else self.difference.to_json(),
            "min_effect": self.min_effect,
            "rows": self.rows,
            "rows_needed": self.rows_needed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """The inverse of :meth:`to_json`."""
        difference = data["difference"]
        return cls(
            **{
                **data,
                "outcome": Outcome(data["outcome"]),
                "gates": tuple(Gate(**gate) for gate in data["gates"]),
                "difference": None if difference is None else Difference.from_json(difference),
            }
        )
