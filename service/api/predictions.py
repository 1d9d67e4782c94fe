"""The prediction call as a route. Calls in JSON are mostly answered before they come here (:mod:`service.wire.front`)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from service.api.context import Context, authorise, context_of, project_of
from service.api.explanations import explained
from service.batching import Overloaded, TooLate
from service.chunks import Limits
from service.explaining import ANSWER_WITHIN
from service.forecasts.kind import is_forecasting
from service.problems import Problem, problem_of
from service.uploads import receive
from service.wire.bodies import joined, read_rows, unpacked
from service.wire.bulk import ARROW, PARQUET
from service.wire.bulk_call import BulkCall, pieces
from service.wire.front import asked_seconds, deadline_of
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
            },
            ARROW: {"schema": {"type": "string", "format": "binary"}},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
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
async def predict(
    project: str,
    request: Request,
    log: bool = True,
    errors: Literal["refuse", "null"] = "refuse",
    explain: bool = False,
    counterfactual: bool = False,
) -> Response:
    """Answers ``{model_version, predictions: [{id, value, probabilities?, explanation?}]}``, logged before it is sent.

    With ``explain`` each prediction says what each column of the row added to the model's raw score, and with
    ``counterfactual`` too which one or two columns would have had to be otherwise for another class.

    A table (Arrow stream or Parquet) of any length is answered by an Arrow stream: ``id``, ``value``, ``probabilities``.
    Rows at fault refuse the call, or with ``errors=null`` are nulls, with the reason in ``error``; then the answer comes
    while it is made. With ``log=false`` its rows stay out of the prediction log."""
    context = context_of(request)
    await may_predict(request, context)
    try:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type in (ARROW, PARQUET):
            return await score_table(request, context, project, media_type, keep=log, nulls=errors == "null")
        body = await body_of(request, context)
        lane = await lane_of(request, context, project)
        if explain or counterfactual:
            rows = read_rows(body)
            lane.check_count(len(rows))
            lane.check_log()
            within = _explained_within(request)
            return await explained(
                request, context, project, rows, within=within, counterfactual=counterfactual
            )
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


async def score_table(
    request: Request, context: Context, project: str, media_type: str, *, keep: bool, nulls: bool
) -> Response:
    """A bulk call: the body goes to a nameless file, so that no client has to read while it sends."""
    lanes: Lanes = request.app.state.lanes
    lane = await lane_of(request, context, project)
    folder = context.settings.home.resolve() / "spool"
    async with AsyncExitStack() as stack:
        stack.enter_context(lanes.bulk())
        upload = await receive(request, folder, context.settings.max_upload_bytes)
        stack.callback(upload.close)
        form = lane.form()
        if form is None:
            raise Problem(503, "no_champion", "The model was withdrawn.", remedy="Try again.")
        call = BulkCall(
            form=form,
            body=upload.file,
            media_type=media_type,
            limits=Limits.of(context.settings),
            folder=folder,
            observation=context.observation,
            metrics=context.metrics,
            clock=context.clock,
            keep=keep,
        )
        if not nulls:
            answer = await run_in_threadpool(call.whole)
            size = answer.seek(0, os.SEEK_END)
            answer.seek(0)
            return StreamingResponse(pieces(answer), media_type=ARROW, headers={"content-length": str(size)})
        return StreamingResponse(_while_open(call.with_nulls(), stack.pop_all()), media_type=ARROW)
    raise AssertionError("unreachable: the stack swallows nothing")


async def _while_open(parts: Iterator[bytes], stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for part in iterate_in_threadpool(parts):
            yield part


async def may_predict(request: Request, context: Context) -> None:
    if context.keys_required:
        headers = request.headers
        await run_in_threadpool(
            authorise, context, headers.get("authorization"), headers.get("x-api-key"), "predict"
        )


def deadline(request: Request, context: Context) -> float:
    header = request.headers.get("x-deadline-ms")
    return deadline_of(None if header is None else header.encode("latin-1"), context)


def _explained_within(request: Request) -> float:
    """Seconds for an explained call: what the caller asks for, within what an explanation may take."""
    header = request.headers.get("x-deadline-ms")
    return ANSWER_WITHIN if header is None else min(ANSWER_WITHIN, asked_seconds(header.encode("latin-1")))


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
    if is_forecasting(known):
        raise Problem(
            409,
            "forecasting_project",
            f"The project {project!r} forecasts series: it does not predict rows.",
            remedy=f"POST /v1/projects/{project}/forecast.",
        )
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
