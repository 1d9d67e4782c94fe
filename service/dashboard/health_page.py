"""A project's first page: is it well, what happened, and why does it not retrain now?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from registry.store import Registry
from service.api.context import Ctx, ProjectInPath
from service.dashboard import charts
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute, page_of
from service.dashboard.glance import Glance, glance
from service.dashboard.latency import latency
from service.dashboard.story import story
from service.probation_view import standing
from service.quality_windows import WINDOW
from service.triggers import Trigger

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_POINTS = 200
_PROMOTIONS = 100
_LONGEST = timedelta(days=30)


@router.get("/projects/{project}")
def health_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    seen = glance(context, project)
    registry = context.registry
    probation = registry.probations.current(project.id)
    return page_of(
        request,
        viewer,
        project,
        "project.html",
        twin="/health",
        g=seen,
        quality=quality_chart(registry, seen),
        traffic=traffic_chart(registry, seen),
        latency=latency(context.metrics, project.name),
        due=isinstance(seen.answer, Trigger),
        reasons=[part for part in seen.answer.reason.split("; ") if part],
        probation=None if probation is None else standing(probation),
        happenings=story(registry, project, most=14),
    )


def quality_chart(registry: Registry, seen: Glance) -> dict[str, Any]:
    project = seen.project
    windows = registry.quality.list(project.id, WINDOW, limit=_POINTS)
    estimates = registry.quality.list(project.id, "estimated", limit=_POINTS)
    promotions = registry.ledger.promotions(project.id, limit=_PROMOTIONS)
    return charts.quality(windows, estimates, promotions, metric=seen.metric)


def traffic_chart(registry: Registry, seen: Glance) -> dict[str, Any]:
    project, now = seen.project, seen.now
    span = min(now - project.created_at, _LONGEST)
    seconds = charts.slice_seconds(span)
    found = registry.traffic.by_slice(project.id, since=now - span, seconds=seconds)
    return charts.traffic(found, seconds=seconds, now=now)
