"""The prediction call as a route. Calls in JSON are mostly answered before they come here (:mod:`service.wire.front`)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.context import Context, authorise, context_of, project_of
from service.batching import Overloaded, TooLate
from service.problems import Problem
from service.wire.bodies import joined
from service.wire.front import deadline_of
from service.wire.lane import Lane
from service.wire.lanes import Lanes, overloaded, too_late

router = APIRouter()

_EXAMPLE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["rows"],
                    "properties": {"rows": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
                },
                "example": {"rows": [{"age": 41, "plan": "basic"}]},
            }
        },
    }
}


@router.post("/{project}/predict", openapi_extra=_EXAMPLE, summary="Predict rows with the champion")
async def predict(project: str, request: Request) -> Response:
    """Answers ``{model_version, predictions: [{id, value, probabilities?}]}``, logged before it is sent."""
    context = context_of(request)
    await may_predict(request, context)
    try:
        body = await joined(request.stream(), context.settings.max_predict_bytes)
        lane = await lane_of(request, context, project)
        answer = lane.ask_body(lane.form(), body, deadline(request, context))
        said = answer if isinstance(answer, bytes) else await answer[0]
        return Response(said, media_type="application/json")
    except (Problem, Overloaded, TooLate) as refusal:
        raise refused(context, project, refusal) from None


async def may_predict(request: Request, context: Context) -> None:
    if context.keys_required:
        headers = request.headers
        await run_in_threadpool(
            authorise, context, headers.get("authorization"), headers.get("x-api-key"), "predict"
        )


def deadline(request: Request, context: Context) -> float:
    header = request.headers.get("x-deadline-ms")
    return deadline_of(None if header is None else header.encode("latin-1"), context)


def refused(context: Context, project: str, refusal: Exception) -> Problem:
    """The problem to answer with, counted."""
    if isinstance(refusal, Overloaded):
        refusal = overloaded()
    elif isinstance(refusal, TooLate):
        refusal = too_late()
    assert isinstance(refusal, Problem)
    if refusal.status != 404:
        context.metrics.refused.labels(project, refusal.code).inc()
    return refusal


async def lane_of(request: Request, context: Context, project: str) -> Lane:
    """The project's lane. Raises a problem that says why there is none."""
    lanes: Lanes = request.app.state.lanes
    lane = lanes.get(project)
    if lane is not None:
        return lane
    known: Any = await run_in_threadpool(project_of, project, context)
    if known.champion is None:
        raise Problem(
            409,
            "no_champion",
            f"The project {project!r} has no champion yet.",
            remedy=f"Upload labelled rows and wait for the first run: GET /v1/projects/{project}/runs.",
        )
    raise Problem(
        503,
        "champion_not_loaded",
        f"Version {known.champion} of {project!r} is not loaded in this process.",
        remedy=f"Try again in a second; GET /v1/projects/{project}/champion tells whether loading failed.",
        headers={"Retry-After": "1"},
    )
