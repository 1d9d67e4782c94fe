"""Approving and refusing on the page of the run that found the challenger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from registry.approval_records import ApprovalStatus
from service.api import approvals as api
from service.api.context import Context, Ctx, ProjectInPath
from service.dashboard.access import Why, acting
from service.dashboard.frame import PageRoute, to
from service.dashboard.sessions import Viewer, say

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Approves = Annotated[Viewer, Depends(acting("approve"))]


@router.post("/projects/{project}/approvals/{approval}/approve")
def approve(
    context: Ctx,
    viewer: Approves,
    project: ProjectInPath,
    approval: int,
    reason: Why,
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    body = api.Approve(reason=reason, version=version)
    told = api.approve(project, approval, body, context, viewer.actor)
    text = f"v{told['said'][-1]['version']} is champion now; it answers as soon as it is loaded."
    if told["status"] == ApprovalStatus.OPEN:
        text = f"Your approval is kept. {told['missing']} more has to approve it, with another key."
    return _back(context, project.name, told["run"], text)


@router.post("/projects/{project}/approvals/{approval}/refuse")
def refuse(context: Ctx, viewer: Approves, project: ProjectInPath, approval: int, reason: Why) -> Response:
    told = api.refuse(project, approval, api.Refuse(reason=reason), context, viewer.actor)
    return _back(context, project.name, told["run"], "Refused; the champion stays.")


def _back(context: Context, project: str, run: int | None, text: str) -> Response:
    response = to(f"/projects/{project}/runs/{run}" if run is not None else f"/projects/{project}/monitoring")
    say(context, response, text)
    return response
