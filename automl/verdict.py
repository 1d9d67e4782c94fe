"""What a judgement hands back: every gate with its reason, and one outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from automl.resampling import Difference


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
