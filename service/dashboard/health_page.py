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
from service.dashboard.turns import turn
from service.forecasts.kind import is_forecasting
from service.probation_view import standing
from service.quality_windows import WINDOW
from service.triggers import Trigger

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_POINTS = 300
_PROMOTIONS = 100
_LONGEST = timedelta(days=30)


@router.get("/projects/{project}")
def health_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    with turn():
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
            forecasting=is_forecasting(project),
            covered=None if seen.realised is None else seen.realised.report.get("covered"),
            steps=first_steps(seen),
            quality=quality_chart(registry, seen),
            traffic=traffic_chart(registry, seen),
            latency=latency(context.metrics, project.name),
            due=isinstance(seen.answer, Trigger),
            reasons=[part for part in seen.answer.reason.split("; ") if part],
            probation=None if probation is None else standing(probation),
            happenings=story(registry, project, most=14),
        )


def first_steps(seen: Glance) -> list[dict[str, str]]:
    """What leads to a first model, the step that is due among it; nothing once there is one."""
    if seen.project.champion is not None:
        return []
    facts, wanted = seen.facts, seen.policy.min_fresh_labels
    need = next(iter(seen.health.needs), None)
    told = (
        (
            "Rows",
            f"{facts.rows:,} are stored" if facts.rows else "the first upload becomes the schema",
            facts.rows > 0,
        ),
        ("Labels", f"{facts.truths:,} of the {wanted:,} that a first model needs", facts.truths >= wanted),
        ("Search", f"run {seen.active.number} is on it" if seen.active else "starts by itself", False),
        ("Champion", "the first that beats the naive answer", False),
    )
    now = next(place for place, (_, _, is_done) in enumerate(told) if not is_done)
    return [
        {
            "title": title,
            "text": text,
            "state": "done" if place < now else "now" if place == now else "later",
            "page": "" if need is None else need.page,
            "action": "" if need is None else need.action,
        }
        for place, (title, text, _) in enumerate(told)
    ]


def quality_chart(registry: Registry, seen: Glance) -> dict[str, Any]:
    project = seen.project
    # Forecasts are scored as values come, not in windows of answers.
    kind = "realised" if is_forecasting(project) else WINDOW
    windows = registry.quality.list(project.id, kind, limit=_POINTS)
    estimates = registry.quality.list(project.id, "estimated", limit=_POINTS)
    promotions = registry.ledger.promotions(project.id, limit=_PROMOTIONS)
    return charts.quality(windows, estimates, promotions, metric=seen.metric)


def traffic_chart(registry: Registry, seen: Glance) -> dict[str, Any]:
    project, now = seen.project, seen.now
    span = min(now - project.created_at, _LONGEST)
    seconds = charts.slice_seconds(span)
    found = registry.traffic.by_slice(project.id, since=now - span, seconds=seconds)
    return charts.traffic(found, seconds=seconds, now=now)
