"""A form made from the schema, its answer, and what each column added to it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from registry.records import Project
from registry.store import Registry
from service.api.context import Ctx, ProjectInPath
from service.api.explanations import explained
from service.api.predictions import counted, lane_of
from service.batching import Overloaded, TooLate
from service.dashboard import pictures
from service.dashboard.access import Filled, Looks
from service.dashboard.frame import PageRoute, page, page_of, to
from service.forecasts.kind import is_forecasting
from service.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

WITHIN_SECONDS = 60.0
_CHOICES = 300
_EXAMPLES = 10
_FIELD = "column:"


@router.get("/projects/{project}/predict")
def predict_page(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, example: int = 0
) -> Response:
    if is_forecasting(project):
        return to(f"/projects/{project.name}/forecasts")
    examples = known_rows(context.registry, project)
    row = examples[example % len(examples)] if examples else {}
    return _whole(request, viewer, project, _values(context, project, row, example))


@router.post("/projects/{project}/predict")
async def ask(
    request: Request, context: Ctx, viewer: Looks, form: Filled, project: ProjectInPath
) -> Response:
    """Answered, explained and logged like any other call with ``?explain=true``."""
    row = {
        name.removeprefix(_FIELD): value or None
        for name, value in form.multi_items()
        if name.startswith(_FIELD) and isinstance(value, str)
    }
    try:
        lane = await lane_of(request, context, project.name)
        lane.check_log()
        answer = await explained(request, context, project.name, [row], within=WITHIN_SECONDS)
    except (Problem, Overloaded, TooLate) as refusal:
        raise counted(context, project.name, refusal) from None
    told = told_answer(json.loads(bytes(answer.body)))
    if "hx-request" in request.headers:
        return await run_in_threadpool(_part, request, viewer, project, told)
    values = await run_in_threadpool(_values, context, project, row, 0)
    return await run_in_threadpool(_whole, request, viewer, project, {**values, "answer": told})


def told_answer(said: dict[str, Any]) -> dict[str, Any]:
    """The one prediction, its probabilities from the largest on, and the waterfall."""
    one = said["predictions"][0]
    explanation = one["explanation"]
    shares = one.get("probabilities") or {}
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    drawn = pictures.waterfall(float(explanation["base"]), explanation["contributions"])
    return {
        "version": said["model_version"],
        "prediction": one,
        "shares": ranked,
        "fall": drawn,
        "why": explanation,
    }


def known_rows(registry: Registry, project: Project) -> list[dict[str, Any]]:
    """Rows to begin with: those kept with the champion to check that it loads."""
    if project.champion is None:
        return []
    golden = registry.models.get(project.id, project.champion).attachments.get("golden")
    if golden is None:
        return []
    rows: list[dict[str, Any]] = json.loads(registry.blobs.open(golden.digest))["rows"][:_EXAMPLES]
    return rows


def fields(project: Project, row: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each column of the schema, with its value in the row."""
    return [
        {
            "name": _FIELD + column["name"],
            "label": column["name"],
            "kind": column["kind"],
            "optional": bool(column.get("optional")),
            "step": "1" if column.get("integer") else "any",
            "choices": (column.get("categories") or [])[:_CHOICES],
            "value": _text(row.get(column["name"]), column["kind"]),
        }
        for column in (project.schema or {}).get("columns", ())
    ]


def _text(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "datetime":
        return str(value)[:19].replace(" ", "T")
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _values(context: Ctx, project: Project, row: dict[str, Any], example: int) -> dict[str, Any]:
    return {
        "watched": False,
        "fields": fields(project, row),
        "example": example,
        "examples": len(known_rows(context.registry, project)),
        "answer": None,
    }


def _part(request: Request, viewer: Looks, project: Project, told: dict[str, Any]) -> Response:
    return page(request, "answer.html", viewer=viewer, answer=told, project=project)


def _whole(request: Request, viewer: Looks, project: Project, values: dict[str, Any]) -> Response:
    return page_of(request, viewer, project, "predict.html", twin="/champion", **values)
