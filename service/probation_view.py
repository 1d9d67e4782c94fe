"""A probation as it is shown."""

from __future__ import annotations

from typing import Any

from automl.contest import Contest
from registry.probations import Probation


def standing(probation: Probation) -> dict[str, Any]:
    """Where it stands: the bounds so far on how much higher the champion's mean loss is than the other's."""
    state = probation.state or {}
    contest = None if state.get("contest") is None else Contest.from_json(state["contest"])
    watch = None if contest is None else contest.watch
    seen = None if watch is None else watch.sequence
    rule = probation.rule
    return {
        "number": probation.number,
        "mode": probation.mode.value,
        "status": probation.status.value,
        "reason": probation.reason,
        "champion": probation.champion,
        "other": probation.other,
        "epoch": probation.epoch,
        "metric": rule["metric"],
        "rows": 0 if contest is None else contest.rows,
        "reference_rows": 0 if contest is None else contest.reference_rows,
        "min_rows": rule["min_rows"],
        "alpha": rule["alpha"],
        "action": rule["action"],
        "loss_difference": None if seen is None else seen.estimate,
        "lower": None if seen is None else seen.lower,
        "upper": None if seen is None else seen.upper,
        "allowed": None if contest is None else contest.allowed,
        "guards": state.get("evidence"),
        "began_at": probation.began_at,
        "ends_at": probation.ends_at,
        "looked_at": probation.looked_at,
        "ended_at": probation.ended_at,
    }
