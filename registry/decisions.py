"""A trigger decision on its way into the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from registry.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """A trigger decision to be kept."""

    outcome: str
    trigger: str
    reason: str
    evidence: Json
