"""What a check of the gate vector found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.trust.mode import Mode
from automl.verdict import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Gates beside the judge's own, and the whole ``report`` as JSON, for the dashboard and the model's card.

    ``seconds`` is what it took to find out.
    """

    gates: tuple[Gate, ...]
    report: Mapping[str, Any]
    seconds: float = 0.0


def trust_gate(
    name: str, *, mode: Mode, passed: bool | None, reason: str, evidence: Mapping[str, Any] | None = None
) -> Gate:
    """A gate that blocks a promotion where it failed and its mode is not ``report``; its evidence says both."""
    told = {"mode": mode.value, "blocks": passed is False and mode is not Mode.REPORT, **(evidence or {})}
    return Gate(name=name, passed=passed, reason=reason, evidence=told)


def blocks(gate: Gate) -> bool:
    """Whether this gate of the vector stands against a promotion."""
    return gate.evidence.get("blocks") is True
