"""The forecasts of a project's series: what is to come with its interval, and what came of those made before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from service.api import forecasts as api
from service.api.context import Ctx, ProjectInPath
from service.dashboard import words
from service.dashboard.access import Looks, Sends
from service.dashboard.frame import PageRoute, page_of, to
from service.dashboard.sessions import say

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LISTED = 60
_DRAWN = 6


@router.get("/projects/{project}/forecasts")
def forecasts_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    found = api.list_forecasts(project, context, series=None, open=None, limit=_LISTED, before=None)[
        "forecasts"
    ]
    newest = {one["series"]: one for one in reversed(found)}
    return page_of(
        request,
        viewer,
        project,
        "forecasts.html",
        twin="/forecasts",
        drawn=[(one, drawn(one)) for one in list(newest.values())[:_DRAWN]],
        series=len(newest),
        forecasts=found[:20],
    )


@router.post("/projects/{project}/forecasts")
def forecast(context: Ctx, viewer: Sends, project: ProjectInPath) -> Response:
    made = api.forecast(project, context, None)["forecasts"]
    response = to(f"/projects/{project.name}/forecasts")
    say(
        context,
        response,
        f"{words.plural(len(made), 'forecast')} made; each is scored when its actual values come.",
    )
    return response


def drawn(one: dict[str, Any]) -> dict[str, Any]:
    """A forecast for the chart: its values, its interval, and the actual values that have come."""
    steps = one["steps"]
    return {
        "kind": "forecast",
        "x": [datetime.fromisoformat(str(step["time"])).timestamp() for step in steps],
        **{name: [step[name] for step in steps] for name in ("value", "lower", "upper", "actual")},
    }
