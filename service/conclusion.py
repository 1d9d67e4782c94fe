"""How a run can end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from registry.approval_records import NewApproval
from registry.records import NewModel, NewPromotion, Run, RunStatus

QUEUED = "incumbent.run.queued"
ENDED = "incumbent.run.ended"
CHANGED = "incumbent.champion.changed"


class Interruption(Exception):
    """The run can't go on: it was cancelled, its server stops, or a step that nothing can replace failed."""

    def __init__(self, status: RunStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """What is known of an engine's best once it is a sealed file in the run's folder."""

    engine: str
    estimator: str
    score: float
    config: Mapping[str, Any]
    requirements: Mapping[str, str]
    size_bytes: int
    partial: bool
    file: str
    recipe: Sequence[Mapping[str, Any]] = ()
    construction: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was said of the ``challenger``, which was trained ``with_pseudo_labels`` or on true ones only."""

    outcome: str
    reason: str
    verdict: Mapping[str, Any]
    challenger: Challenger
    with_pseudo_labels: bool = False

    @property
    def promotes(self) -> bool:
        return self.outcome == "promoted"

    @property
    def passes(self) -> bool:
        """Whether it proved better: it is promoted, or waits for somebody to say so."""
        return self.promotes or self.outcome == "awaiting_approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What :meth:`registry.runs.conclude` writes in one transaction.

    ``models`` are the judged challenger and, where there is one, the refitted one; the promotion is of the
    one at position ``promoted``, and so is the ``approval`` that people are asked for.
    """

    status: RunStatus
    error: str | None = None
    verdict: Mapping[str, Any] | None = None
    models: tuple[NewModel, ...] = ()
    promoted: int = 0
    promotion: NewPromotion | None = None
    approval: NewApproval | None = None
    judgement: tuple[str, int, float] | None = None
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def overtaken(self, why: str) -> Conclusion:
        """The same without its promotion or its question: the champion was changed by somebody else meanwhile."""
        verdict = dict(self.verdict or {})
        verdict["outcome"] = "inconclusive"
        verdict["reason"] = f"Not promoted: the champion was changed while this run judged it ({why})."
        if "refit" in verdict:
            verdict["refit"] = {**verdict["refit"], "promoted": False}
        said = {"outcome": verdict["outcome"], "reason": verdict["reason"]}
        return replace(
            self,
            verdict=verdict,
            models=tuple(
                replace(model, details={**model.details, "outcome": verdict["outcome"]})
                for model in self.models
            ),
            promotion=None,
            approval=None,
            promoted=0,
            events=tuple(
                (kind, {name: said.get(name, value) for name, value in data.items()})
                for kind, data in self.events
                if kind != CHANGED
            ),
        )


def queued(project: str, run: Run) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The event of a run that is to start."""
    told = {name: run.trigger[name] for name in ("kind", "fired")}
    data = {"project": project, "run": run.number, "reason": run.reason}
    return ((QUEUED, {**data, "trigger": told["kind"], "fired": list(told["fired"])}),)


def ended_event(project: str, run: Run, outcome: str, reason: str) -> tuple[str, Mapping[str, Any]]:
    """What the end of a run is told as."""
    return ENDED, {"project": project, "run": run.number, "outcome": outcome, "reason": reason}


def ended(run: Run, names: Mapping[int, str]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The event of a run that ended without a conclusion: cancelled in the queue, or lost with its process.
    ``names`` are those of the projects."""
    return (ended_event(names.get(run.project_id, "?"), run, run.status.value, run.error or ""),)
