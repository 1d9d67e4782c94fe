"""The prediction call: the one hot path of the service."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.context import Context, authorise, context_of, project_of
from service.api.explanations import explained
from service.batching import Batcher, Overloaded
from service.prediction import Answer, Predictor
from service.problems import Problem

router = APIRouter()


class Call(msgspec.Struct):
    rows: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


_decoder = msgspec.json.Decoder(Call)
_encoder = msgspec.json.Encoder()

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
async def predict(project: str, request: Request, explain: bool = False) -> Response:
    """Answers ``{model_version, predictions: [{id, value, probabilities?, explanation?}]}``, logged before it is sent.

    With ``explain`` each prediction says what each column of the row added to the model's raw score.
    """
    context = context_of(request)
    if context.keys_required:
        headers = request.headers
        await run_in_threadpool(
            authorise, context, headers.get("authorization"), headers.get("x-api-key"), "predict"
        )
    started = time.perf_counter()
    try:
        rows = _decode(await _body(request, context.settings.max_predict_bytes))
        if len(rows) > context.settings.max_predict_rows:
            raise _too_many(len(rows), context.settings.max_predict_rows)
        batcher = await _batcher(request, context, project)
        if explain:
            return await explained(request, context, project, rows)
        answer = await batcher.submit(rows, len(rows))
    except Overloaded:
        context.metrics.refused.labels(project, "overloaded").inc()
        raise Problem(
            503,
            "overloaded",
            "More rows wait for the model than the queue holds.",
            remedy="Send the call again in a second.",
            headers={"Retry-After": "1"},
        ) from None
    except Problem as problem:
        if problem.status != 404:
            context.metrics.refused.labels(project, problem.code).inc()
        raise
    context.metrics.predictions.labels(project, str(answer.model_version)).inc(len(rows))
    context.metrics.duration.labels(project).observe(time.perf_counter() - started)
    return Response(_encode(answer), media_type="application/json")


async def _body(request: Request, most: int) -> bytes:
    """The body, never more than ``most`` bytes of it in memory."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Problem(
                413,
                "body_too_large",
                f"The body is larger than {most} bytes.",
                remedy="Send the rows in several calls.",
            )
        parts.append(part)
    return b"".join(parts)


def _decode(body: bytes) -> list[dict[str, Any]]:
    try:
        return _decoder.decode(body).rows
    except msgspec.ValidationError as error:
        message = str(error)
        path = message.partition("`$")[2].partition("`")[0].lstrip(".")
        raise Problem(
            422,
            "invalid_rows",
            message,
            field=path or "rows",
            remedy='Send {"rows": [{"column": value, …}, …]} with at least one row.',
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(
            422,
            "invalid_json",
            f"The body is not JSON: {error}",
            field="body",
            remedy='Send {"rows": [{"column": value, …}, …]} as UTF-8 JSON; NaN is no JSON, send null.',
        ) from None


def _too_many(count: int, most: int) -> Problem:
    return Problem(
        413,
        "too_many_rows",
        f"{count} rows in one call; the most is {most}.",
        field="rows",
        remedy="Send the rows in several calls.",
    )


async def _batcher(request: Request, context: Context, project: str) -> Batcher[Any, Answer]:
    champions = context.serving.champions
    if project not in champions:
        known = await run_in_threadpool(project_of, project, context)
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
    batchers: dict[str, Batcher[Any, Answer]] = request.app.state.batchers
    if project not in batchers:
        batchers[project] = Batcher(
            Predictor(
                lambda: context.serving.champions.get(project), context.observation.log, context.shadow
            ),
            request.app.state.predict_executor,
            max_batch_rows=2_000,
            max_queue_rows=context.settings.queue_rows,
        )
    return batchers[project]


def _encode(answer: Answer) -> bytes:
    predictions: list[dict[str, Any]]
    if answer.probabilities is None:
        predictions = [
            {"id": name, "value": value} for name, value in zip(answer.ids, answer.values, strict=True)
        ]
    else:
        classes = answer.classes
        predictions = [
            {"id": name, "value": value, "probabilities": dict(zip(classes, shares, strict=True))}
            for name, value, shares in zip(answer.ids, answer.values, answer.probabilities, strict=True)
        ]
    return _encoder.encode({"model_version": answer.model_version, "predictions": predictions})
