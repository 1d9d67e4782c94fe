"""The gate ``energy``: what a thousand predictions of each model cost, from processor time and an assumed power.

Both models answer the same rows in turns, several times. Processor time is measured, the power is assumed, so every
figure is an estimate; between two models on one machine the power cancels. A limit counts as broken only where every
pass of the challenger breaks it, against the dearest of the champion's: chance load makes single passes dear.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automl.trust.examined import Examined, trust_gate
from automl.trust.exhibit import Exhibit, drawn
from automl.trust.mode import Mode
from automl.verdict import Gate

NAME = "energy"
PASSES = 5
ROWS = 1_000
FEWEST = 20
METHOD = "processor seconds of answering the same rows in bulk, times the watts of a busy core"
Passes = tuple[float, ...]
"""Watt-hours for a thousand predictions, one for each pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRule:
    """``max_wh_per_1000`` is the limit of ``hard``; ``margin`` the share by which a challenger may cost more than the
    champion; ``watts_per_core`` the power assumed."""

    mode: Mode = Mode.REPORT
    max_wh_per_1000: float | None = None
    margin: float = 0.5
    watts_per_core: float = 3.5

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EnergyRule:
        return cls(**{**data, "mode": Mode(data["mode"])})


def energy_gates(
    exhibit: Exhibit, rule: EnergyRule, clock: Callable[[], float] = time.process_time
) -> Examined:
    """Both models' cost on at most :data:`ROWS` of the gate rows. ``clock`` counts processor seconds."""
    rows = _rows(exhibit)
    if rows < FEWEST:
        reason = f"not measured: one of the models is too slow to answer {FEWEST} rows {PASSES} times"
        gate = trust_gate(NAME, mode=rule.mode, passed=None, reason=reason)
        return Examined(gates=(gate,), report={"reason": reason})
    passes = _measured(exhibit, rows, rule, clock)
    gate = _gate(passes, rule)
    report = {
        "source": "estimated",
        "method": METHOD,
        "rows": rows,
        "passes": PASSES,
        "watts_per_core": rule.watts_per_core,
        "wh_per_1000": {part: _told(found) for part, found in passes.items()},
        "max_wh_per_1000": rule.max_wh_per_1000,
        "margin": rule.margin,
    }
    return Examined(gates=(gate,), report=report)


def _rows(exhibit: Exhibit) -> int:
    """As many as the slower model answers in the time there is."""
    slowest = max(standing.row_seconds for standing in exhibit.standings.values())
    within = exhibit.seconds / (2 * PASSES * len(exhibit.standings) * max(slowest, 1e-9))
    return min(len(exhibit.rows), ROWS, int(within))


def _measured(
    exhibit: Exhibit, count: int, rule: EnergyRule, clock: Callable[[], float]
) -> dict[str, Passes]:
    rows = exhibit.rows.iloc[drawn(len(exhibit.rows), count, seed=exhibit.seed)]
    found: dict[str, list[float]] = {part: [] for part in exhibit.standings}
    for _ in range(PASSES):
        for part, standing in exhibit.standings.items():
            began = clock()
            standing.ask(rows)
            seconds = clock() - began
            found[part].append(seconds / len(rows) * 1000 * rule.watts_per_core / 3600)
    return {part: tuple(passes) for part, passes in found.items()}


def _gate(passes: Mapping[str, Passes], rule: EnergyRule) -> Gate:
    ours = passes["challenger"]
    cost = f"1,000 predictions cost {statistics.median(ours):.2g} Wh (estimated)"
    theirs = passes.get("champion")
    evidence: dict[str, Any] = {
        "challenger": statistics.median(ours),
        "champion": None if theirs is None else statistics.median(theirs),
        "source": "estimated",
    }
    if rule.mode is Mode.HARD or (rule.max_wh_per_1000 is not None and rule.mode is Mode.REPORT):
        limit = rule.max_wh_per_1000
        passed = None if limit is None else min(ours) <= limit
        reason = cost if limit is None else f"{cost}, {limit:g} are allowed"
        return trust_gate(
            NAME, mode=rule.mode, passed=passed, reason=reason, evidence={**evidence, "limit": limit}
        )
    told = {**evidence, "margin": rule.margin}
    if theirs is None:
        reason = f"{cost}; there is no champion to hold them against"
        return trust_gate(NAME, mode=rule.mode, passed=None, reason=reason, evidence=told)
    allowed = max(theirs) * (1 + rule.margin)
    reason = f"{cost}, {statistics.median(theirs):.2g} with the champion; {rule.margin:.0%} more are allowed"
    return trust_gate(NAME, mode=rule.mode, passed=min(ours) <= allowed, reason=reason, evidence=told)


def _told(passes: Passes) -> dict[str, float]:
    return {"median": statistics.median(passes), "low": min(passes), "high": max(passes)}
