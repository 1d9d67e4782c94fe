"""The forecasts of a project's series: what is to come with its interval, and what came of those made before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from registry.records import Project
from service.api import forecasts as api
from service.api.context import Ctx, ProjectInPath
from service.dashboard import words
from service.dashboard.access import Looks, Sends
from service.dashboard.forecast_charts import History, drawn, history
from service.dashboard.frame import PageRoute, page, page_of, to
from service.dashboard.sessions import say

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LOOKED_AT = 120
_LISTED = 20
_SERIES = 6
_EACH = 4
"""The newest forecasts of a series that are drawn as one line."""
_DRAWN = _SERIES * _EACH


@router.get("/projects/{project}/forecasts")
def forecasts_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    found = _newest(context, project)
    return page_of(
        request,
        viewer,
        project,
        "forecasts.html",
        twin="/forecasts",
        charts=_charts(found, {}),
        series=len({one["series"] for one in found}),
        forecasts=found[:_LISTED],
    )


@router.get("/projects/{project}/forecasts/charts")
def with_history(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    """The charts alone, with what came before, for a page that is there already: that reads a table."""
    registry = context.registry
    came = history(registry, project, registry.forecasts.list(project.id, limit=_DRAWN))
    charts = _charts(_newest(context, project), came)
    return page(request, "forecast_charts.html", viewer=viewer, project=project, charts=charts)


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


def _newest(context: Ctx, project: Project) -> list[dict[str, Any]]:
    found = api.list_forecasts(project, context, series=None, open=None, limit=_LOOKED_AT, before=None)
    forecasts: list[dict[str, Any]] = found["forecasts"]
    return forecasts


def _charts(
    found: Sequence[dict[str, Any]], came: History
) -> list[tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]]:
    """Of each series its newest forecast, the newest of which values came, and its chart."""
    series: dict[Any, list[dict[str, Any]]] = {}
    for one in found:
        series.setdefault(one["series"], []).append(one)
    told = []
    for name, mine in sorted(list(series.items())[:_SERIES], key=lambda item: str(item[0])):
        scored = next((one for one in mine if one["scored_steps"]), None)
        told.append((mine[0], scored, drawn(mine[:_EACH], came.get(name or "", ()))))
    return told
