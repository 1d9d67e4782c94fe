"""How far a project has come, as a page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.api.context import Ctx, ProjectInPath
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute, page_of
from service.maturity.report import maturity

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/projects/{project}/maturity")
def maturity_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    found = maturity(context.registry, project)
    models = found["models"].values()
    return page_of(
        request, viewer, project, "maturity.html", twin="/maturity", watched=False, maturity=models
    )
