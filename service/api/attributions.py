"""What each column adds to the champion's answers now, beside what it added in training."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from registry.records import Project, QualityRecord
from registry.store import Registry
from service.api.context import Ctx, ProjectInPath, require
from service.attribution_watch import ATTRIBUTED
from service.forecasts.kind import is_forecasting
from service.policy import Policy

router = APIRouter(dependencies=[Depends(require("data"))])


@router.get("/{project}/attributions")
def attributions(
    project: ProjectInPath, context: Ctx, limit: Annotated[int, Query(ge=1, le=200)] = 20
) -> dict[str, Any]:
    """The newest reports first, each on a window of prediction rows: `before` and `now` are what a column adds to an
    answer on average (without its sign) among rows trained on and the newest ones, `effect` how far its contributions moved,
    all as shares of what all columns add; `moved` names the columns that count. Without any report, `reason` says why.
    """
    found = context.registry.quality.list(project.id, ATTRIBUTED, limit=limit)
    return {
        "reports": [report(one) for one in found],
        "reason": None if found else _why_none(context.registry, project),
    }


def report(record: QualityRecord) -> dict[str, Any]:
    told = {name: value for name, value in record.report.items() if name != "predictions"}
    return {"at": record.at, "model_version": record.model_version, "effect": record.score, **told}


def _why_none(registry: Registry, project: Project) -> str:
    rule = Policy.stored(project.policy).attributions
    if is_forecasting(project):
        return "a forecasting project has no columns that add to an answer"
    if rule is None:
        return "the policy has attributions turned off"
    if project.champion is None:
        return "there is no champion yet"
    seen = registry.datasets.facts(project.id).predictions
    return f"{seen} of the {rule.window} predicted rows of the first window are stored"
