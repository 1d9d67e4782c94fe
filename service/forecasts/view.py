"""Stored forecasts as they are shown, and how good they were."""

from __future__ import annotations

from typing import Any

import numpy as np

from registry.forecasts import ForecastRecord
from registry.records import Project
from registry.store import Registry
from service.forecasts.actuals import scored
from service.performance import side_by_side

MOST = 5_000


def shown(one: ForecastRecord) -> dict[str, Any]:
    """A stored forecast with what came of it."""
    steps = [
        {**{name: step[name] for name in ("time", "value", "lower", "upper")}, "actual": came}
        for step, came in zip(one.steps, one.actuals, strict=True)
    ]
    known = [came for came in one.actuals if came is not None]
    found: dict[str, Any] = {
        "id": one.number,
        "series": one.series or None,
        "model_version": one.model_version,
        "made_at": one.made_at,
        "coverage": one.coverage,
        "steps": steps,
        "open": one.open,
        "scored_steps": len(known),
        "mase": None,
        "covered": None,
    }
    if known:
        (score,) = scored([one])
        found["mase"] = float(score.errors[score.known].mean())
        found["covered"] = float(score.inside[score.known].mean())
    return found


def forecast_performance(registry: Registry, project: Project, most: int = MOST) -> dict[str, Any]:
    """MASE and coverage of the newest ``most`` stored forecasts whose actual values came, in all and by model version."""
    records = [
        one
        for one in registry.forecasts.list(project.id, limit=most)
        if any(came is not None for came in one.actuals)
    ]
    versions = sorted({one.model_version for one in records})
    return {
        "metric": project.task["metric"],
        **_together(records),
        "by_version": [
            {"version": version, **_together([one for one in records if one.model_version == version])}
            for version in versions
        ],
        "champion": side_by_side(registry, project),
    }


def _together(records: list[ForecastRecord]) -> dict[str, Any]:
    if not records:
        return {"rows": 0, "forecasts": 0, "score": None, "covered": None}
    parts = scored(records)
    errors = np.concatenate([one.errors[one.known] for one in parts])
    inside = np.concatenate([one.inside[one.known] for one in parts])
    return {
        "rows": len(errors),
        "forecasts": len(records),
        "score": float(errors.mean()),
        "covered": float(inside.mean()),
    }
