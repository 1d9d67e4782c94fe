"""The search of one run: how its engines share the budget, and whose candidate is best.

How engines search (at once, in a child process, with a deadline) is :mod:`automl.engines.race`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from automl.metrics import metric
from automl.task import Task


class Found(Protocol):
    """What is asked of a candidate: :class:`automl.candidate.Candidate`, or a card of one kept elsewhere."""

    @property
    def engine(self) -> str: ...

    @property
    def estimator(self) -> str: ...

    @property
    def score(self) -> float: ...


F = TypeVar("F", bound=Found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A budget and how the engines share it; shares are relative to each other.

    Raises ValueError when the budget is not a positive number, a share is negative, or none is positive.

    >>> Plan(budget_seconds=120, shares={"flaml": 0.6, "tpot": 0.4}).allotments()
    (('flaml', 72.0), ('tpot', 48.0))
    """

    budget_seconds: float
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.budget_seconds) and self.budget_seconds > 0):
            raise ValueError(f"a search budget is a positive number of seconds, not {self.budget_seconds}")
        if not all(math.isfinite(share) and share >= 0 for share in self.shares.values()):
            raise ValueError("an engine's share is a number of zero or more")
        if not sum(self.shares.values()) > 0:
            raise ValueError("at least one engine needs a share above zero")

    def allotments(self) -> tuple[tuple[str, float], ...]:
        """Engine and seconds, in the order given, without engines whose share is zero."""
        whole = math.fsum(self.shares.values())
        return tuple(
            (engine, self.budget_seconds * share / whole) for engine, share in self.shares.items() if share
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome(Generic[F]):
    """How one engine's part ended: with a candidate, or with an error that says why there is none.

    ``seconds`` is what it took, ``trials`` how many configurations it tried.
    """

    engine: str
    candidate: F | None = None
    error: str | None = None
    seconds: float = 0.0
    trials: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult(Generic[F]):
    """All outcomes in order, the best candidate (None when every engine failed), and the reason in words."""

    outcomes: tuple[EngineOutcome[F], ...]
    best: F | None
    reason: str


def concluded(task: Task, outcomes: Sequence[EngineOutcome[F]], best: F | None = None) -> SearchResult[F]:
    """What came of a search: ``best`` where one is given (a blend, or what an early end left), else the candidate
    with the best cross-validated score. All engines failing is a result too, whose reason says each why.
    """
    found = best if best is not None else _best(task, outcomes)
    return SearchResult(outcomes=tuple(outcomes), best=found, reason=_reason(task, outcomes, found))


def _best(task: Task, outcomes: Sequence[EngineOutcome[F]]) -> F | None:
    found = [
        outcome.candidate
        for outcome in outcomes
        if outcome.candidate is not None and math.isfinite(outcome.candidate.score)
    ]
    if not found:
        return None
    sign = 1.0 if metric(task.metric).greater_is_better else -1.0
    return max(found, key=lambda candidate: sign * candidate.score)


def _reason(task: Task, outcomes: Sequence[EngineOutcome[F]], best: F | None) -> str:
    said = "; ".join(
        f"{outcome.engine}: {_said(outcome)}"
        for outcome in outcomes
        if best is None or outcome.candidate is not best
    )
    if best is None:
        return f"no engine found a model ({said})"
    won = f"{best.engine}'s {best.estimator} has the best cross-validated {task.metric}, {best.score:.4f}"
    return f"{won} ({said})" if said else won


def _said(outcome: EngineOutcome[F]) -> str:
    if outcome.candidate is None:
        return outcome.error or "ended without a candidate"
    return f"{outcome.candidate.estimator} {outcome.candidate.score:.4f}"
