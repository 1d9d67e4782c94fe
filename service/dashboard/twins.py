"""As JSON what else only the pages tell: whether all is well, two versions beside each other, histograms."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from service.api.context import Ctx, ProjectInPath, require
from service.dashboard.glance import Glance, glance
from service.dashboard.health import Need
from service.dashboard.histograms import kept_histograms
from service.dashboard.model_pages import beside
from service.dashboard.overview import look
from service.dashboard.story import Happening
from service.triggers import Trigger

router = APIRouter(prefix="/v1", dependencies=[Depends(require("data"))], tags=["overview"])


@router.get("/overview")
def overview(request: Request, context: Ctx) -> dict[str, Any]:
    """Which model is healthy and why, what happened in the last day, and what waits for a person."""
    seen = look(request, context)
    return {
        "headline": seen.headline,
        "needs": [{"project": project, **_need(need)} for project, need in seen.needs],
        "projects": [_glance(one) for one in seen.glances],
        "happenings": [_happening(one) for one in seen.happenings],
    }


@router.get("/projects/{project}/health")
def health(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """The state of one project with its reason, and why it does not retrain now (or what is due)."""
    seen = glance(context, project)
    return {
        **_glance(seen),
        "needs": [_need(one) for one in seen.health.needs],
        "due": isinstance(seen.answer, Trigger),
        "because": [part for part in seen.answer.reason.split("; ") if part],
        "next_scheduled_at": seen.next_scheduled_at,
    }


@router.get("/projects/{project}/models/compare")
def compare(
    project: ProjectInPath, context: Ctx, v: Annotated[list[int] | None, Query(max_length=50)] = None
) -> dict[str, Any]:
    """Two versions (``v=1&v=2``) line by line; ``same_rows`` says whether they were judged on the same ones."""
    a, b, same_rows, lines = beside(context, project, v or ())
    return {"a": a, "b": b, "same_rows": same_rows, "lines": lines}


@router.get("/projects/{project}/schema/histograms")
def histograms(request: Request, project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """Each column's shares by bin among the rows the champion was trained on (a sample) and among the newest 1,000."""
    found = kept_histograms(request).of(context.registry, project)
    return {"columns": {name: asdict(one) for name, one in found.items()}}


def _glance(one: Glance) -> dict[str, Any]:
    return {
        "name": one.project.name,
        "state": one.health.state.value,
        "reason": one.health.reason,
        "champion": one.project.champion,
        "served": one.served,
        "metric": one.metric,
        "live": one.live,
        "live_rows": one.live_rows,
        "at_promotion": one.promised,
        "estimated": None if one.estimate is None else one.estimate.score,
        "drift_share": None if one.drift is None else one.drift.share,
        "answers_24h": sum(one.traffic[-24:]),
        "rows": one.facts.rows,
        "truths": one.facts.truths,
        "active_run": None if one.active is None else one.active.number,
        "last_decision": None
        if one.decision is None
        else {"outcome": one.decision.outcome, "reason": one.decision.reason, "at": one.decision.at},
    }


def _need(need: Need) -> dict[str, str]:
    return {"text": need.text, "action": need.action, "page": need.page}


def _happening(one: Happening) -> dict[str, Any]:
    return {
        "at": one.at,
        "project": one.project,
        "tone": one.tone,
        "title": one.title,
        "why": one.why,
        "page": one.page,
    }
