"""What a project's searches, replays and predictions cost in energy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, Query

from registry.records import Project
from service.api.context import Context, Ctx, ProjectInPath, require
from service.energy.reading import of_run
from service.energy.serving import serving_energy
from service.policy import Policy

router = APIRouter(dependencies=[Depends(require("data"))])


@router.get("/{project}/energy")
def energy(
    project: ProjectInPath, context: Ctx, limit: int = Query(default=20, ge=1, le=200)
) -> dict[str, Any]:
    """Totals of searches and replays by source (`measured`, `estimated`, `unknown`), the newest runs with their gain for
    each watt-hour, the budget of a day, and what a thousand predictions of this server process come to."""
    return shown(context, project, limit=limit)


def shown(context: Context, project: Project, *, limit: int) -> dict[str, Any]:
    registry = context.registry
    newest = registry.energy.newest(project.id)
    intensity = None if newest is None else newest.details.get("g_per_kwh")
    chosen = context.settings.grid_g_per_kwh
    g_per_kwh = intensity if chosen is None else chosen
    runs = registry.runs.list(project.id, limit=limit)
    readings = registry.energy.of_runs(project.id, [run.number for run in runs])
    return {
        "metered": context.settings.energy,
        "country": context.settings.country,
        "g_per_kwh": g_per_kwh,
        "grid": None if newest is None else newest.details.get("grid"),
        "totals": [
            {
                "kind": one.kind,
                "source": one.source.value,
                "readings": one.readings,
                "wh": one.wh,
                "gco2e": one.gco2e,
            }
            for one in registry.energy.totals(project.id)
        ],
        "last_24_hours": {
            "search_wh": registry.energy.spent_wh(project.id, context.clock() - timedelta(days=1)),
            "daily_energy_wh": Policy.stored(project.policy).daily_energy_wh,
        },
        "runs": [
            {"run": run.number, "at": run.finished_at, **(of_run(readings[run.number], run.verdict) or {})}
            for run in runs
            if run.number in readings
        ],
        "serving": serving_energy(context.metrics, context.settings, g_per_kwh=g_per_kwh),
    }
