"""The prediction call as a route. Calls in JSON are mostly answered before they come here (:mod:`service.wire.front`)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.context import Context, authorise, context_of, project_of
from service.batching import Overloaded, TooLate
from service.chunks import Limits
from service.problems import Problem, problem_of
from service.wire.bodies import joined, unpacked
from service.wire.front import deadline_of
from service.wire.invocations import read_invocation, read_invocation_csv
from service.wire.lane import Lane
from service.wire.lanes import Lanes, overloaded, too_late

router = APIRouter()
_encode = msgspec.json.Encoder().encode

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


_INVOCATION = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"dataframe_split": {"columns": ["age", "plan"], "data": [[41, "basic"]]}},
            },
            "text/csv": {"schema": {"type": "string"}, "example": "age,plan\n41,basic\n"},
        },
    }
}


@router.post("/{project}/predict", openapi_extra=_EXAMPLE, summary="Predict rows with the champion")
async def predict(project: str, request: Request) -> Response:
    """Answers ``{model_version, predictions: [{id, value, probabilities?}]}``, logged before it is sent."""
    context = context_of(request)
    await may_predict(request, context)
    try:
        body = await body_of(request, context)
        lane = await lane_of(request, context, project)
        answer = lane.ask_body(lane.form(), body, deadline(request, context))
        said = answer if isinstance(answer, bytes) else await answer[0]
        return Response(said, media_type="application/json")
    except (Problem, Overloaded, TooLate) as refusal:
        raise counted(context, project, refusal) from None


@router.post("/{project}/invocations", openapi_extra=_INVOCATION, summary="Predict as MLflow's servers do")
async def invocations(project: str, request: Request) -> Response:
    """``dataframe_split``, ``dataframe_records``, ``inputs`` or ``instances`` as JSON, or CSV; answers
    ``{"predictions": [value, …]}``, logged before it is sent."""
    context = context_of(request)
    await may_predict(request, context)
    try:
        body = await body_of(request, context)
        lane = await lane_of(request, context, project)
        rows = await run_in_threadpool(_invoked, request, context, lane, body)
        answer = await lane.ask_rows(rows, deadline(request, context))
    except (Problem, Overloaded, TooLate) as refusal:
        raise counted(context, project, refusal) from None
    return Response(_encode({"predictions": list(answer.values)}), media_type="application/json")


def _invoked(request: Request, context: Context, lane: Lane, body: bytes) -> list[dict[str, Any]]:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return read_invocation(body)
    form = lane.form()
    if media_type == "text/csv" and form is not None:
        settings = context.settings
        limits = Limits(
            expanded_bytes=settings.max_predict_bytes,
            rows=settings.max_predict_rows,
            columns=settings.max_columns,
        )
        return read_invocation_csv(body, form.deployment.schema.names, limits)
    raise Problem(
        415,
        "unknown_format",
        f"{media_type!r} is not read here.",
        field="Content-Type",
        remedy="Send application/json or text/csv.",
    )


async def body_of(request: Request, context: Context) -> bytes:
    """The body, whole and without its content encoding."""
    most = context.settings.max_predict_bytes
    body = await joined(request.stream(), most)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    return await run_in_threadpool(unpacked, body, encoding, most)


async def may_predict(request: Request, context: Context) -> None:
    if context.keys_required:
        headers = request.headers
        await run_in_threadpool(
            authorise, context, headers.get("authorization"), headers.get("x-api-key"), "predict"
        )


def deadline(request: Request, context: Context) -> float:
    header = request.headers.get("x-deadline-ms")
    return deadline_of(None if header is None else header.encode("latin-1"), context)


def counted(context: Context, project: str, refusal: Exception) -> Problem:
    """The problem to answer with, counted as one."""
    if isinstance(refusal, Overloaded):
        refusal = overloaded()
    elif isinstance(refusal, TooLate):
        refusal = too_late()
    problem = problem_of(refusal)
    if problem.status not in (401, 403, 404):
        context.metrics.refused.labels(project, problem.code).inc()
    return problem


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
