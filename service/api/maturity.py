"""How far a project has come by Google's and Microsoft's maturity models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from service.api.context import Ctx, ProjectInPath, require
from service.maturity.report import maturity as report

router = APIRouter()


@router.get("/{project}/maturity", dependencies=[Depends(require("data"))])
def maturity(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """Each requirement with what was found of it in this project, the level reached, and what the next one lacks."""
    return report(context.registry, project)
