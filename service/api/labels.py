"""The truth about rows comes in: feedback."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response

from automl.schema import Schema
from registry.records import LabelSource, Project
from service.answers import read_answers
from service.api.context import Context, Ctx, ProjectInPath, require
from service.api.data import Key
from service.feedback import FeedbackDesk, Outcome
from service.uploads import read_body, storage_problems

router = APIRouter(dependencies=[Depends(require("data"))])

_making = threading.Lock()

_LABEL = {
    "type": "object",
    "required": ["id", "label"],
    "properties": {
        "id": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "label": {"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
    },
}
_REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["labels"],
                "properties": {
                    "labels": {"type": "array", "minItems": 1, "items": _LABEL},
                    "replace": {
                        "type": "boolean",
                        "default": False,
                        "description": "let these labels stand against other truths already stored",
                    },
                    "origin": {
                        "type": "string",
                        "description": "who says so, where several do: 'crm' is kept as 'feedback:crm'",
                    },
                },
            }
        }
    },
}


@router.post("/{project}/feedback", openapi_extra={"requestBody": _REQUEST_BODY})
async def feedback(
    request: Request, project: ProjectInPath, context: Ctx, response: Response, key: Key = None
) -> dict[str, Any]:
    """Tell the true labels of rows by their ids.

    Labels are stored before the answer. `unknown` ids were never seen; `conflicting` ones keep another true
    label they have, unless `replace` is true; `unchanged` counts those that had this very label.
    """
    body = await read_body(request, context.settings.max_predict_bytes)
    outcome = await run_sync(_deliver, request, context, project, body, key)
    if outcome.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return outcome.to_json()


def desk_of(request: Request, context: Context) -> FeedbackDesk:
    """The app's one desk, where deliveries that come together are stored together."""
    with _making:
        desk: FeedbackDesk | None = getattr(request.app.state, "feedback_desk", None)
        if desk is None:
            flush = context.observation.flush if context.observation is not None else None
            desk = FeedbackDesk(context.registry, flush)
            request.app.state.feedback_desk = desk
        return desk


def _deliver(request: Request, context: Context, project: Project, body: bytes, key: str | None) -> Outcome:
    schema = Schema.from_json(project.schema) if project.schema is not None else None
    answers, replace, origin = read_answers(body, schema)
    with storage_problems():
        outcome = desk_of(request, context).deliver(
            project,
            answers,
            digest=hashlib.sha256(body).hexdigest(),
            at=context.clock(),
            key=key,
            replace=replace,
            origin=None if origin is None else f"feedback:{origin.removeprefix('feedback:')}",
        )
    if outcome.accepted and not outcome.replayed:
        if context.metrics is not None:
            source = LabelSource.FEEDBACK.value
            context.metrics.labels.labels(project.name, source).inc(outcome.accepted)
        if context.scheduler is not None:
            context.scheduler.nudge()
    return outcome
