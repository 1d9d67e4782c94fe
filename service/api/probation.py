"""Who is on probation, beside whom, and how it stands."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Query

from service.api.context import Ctx, ProjectInPath, require
from service.probation_view import standing

router = APIRouter(dependencies=[Depends(require("data"))])


@router.get("/{project}/probation")
def probation(
    project: ProjectInPath, context: Ctx, limit: int = Query(default=20, ge=1, le=200)
) -> dict[str, Any]:
    """The open probation (null when there is none), the newest ones, and the shadow in this process."""
    newest = context.registry.probations.list(project.id, limit=limit)
    shown = [standing(one) for one in newest]
    understudy = context.serving.shadows.get(project.name)
    return {
        "current": next((one for one in shown if one["status"] == "open"), None),
        "probations": shown,
        "shadow": {
            "loaded": None if understudy is None else understudy.deployment.version,
            "fault": context.serving.shadow_faults.get(project.name),
            "queued_rows": context.shadow.queued,
        },
    }
