"""How a run can end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.records import NewModel, NewPromotion, RunStatus


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    outcome: str
    reason: str
    verdict: Mapping[str, Any]

    @property
    def promotes(self) -> bool:
        return self.outcome == "promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What :meth:`registry.runs.conclude` writes in one transaction."""

    status: RunStatus
    error: str | None = None
    verdict: Mapping[str, Any] | None = None
    model: NewModel | None = None
    promotion: NewPromotion | None = None
    judgement: tuple[str, int, float] | None = None
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()
