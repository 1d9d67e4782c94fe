"""Policy replays: what a policy would have done over rows whose truth is known."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from registry.records import Project, ReplayRecord, RunStatus
from service.api.context import Context, Ctx, ProjectInPath, require
from service.chunks import Limits
from service.forecasts.kind import refuse
from service.problems import Problem
from service.replay.chart import chart
from service.replay.plan import ReplayPlan
from service.replay.room import ReplayRoom
from service.uploads import Upload, read_body, receive, storage_problems

router = APIRouter()

_OPTIONS_BYTES = 256 * 1024
_REQUEST_BODY = {
    "required": False,
    "content": {
        "application/json": {"schema": {"type": "object", "description": "options: docs/replay.md"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            }
        },
    },
}


@router.post(
    "/{project}/replays",
    status_code=202,
    dependencies=[Depends(require("admin"))],
    openapi_extra={"requestBody": _REQUEST_BODY},
)
async def start(
    request: Request,
    project: ProjectInPath,
    context: Ctx,
    response: Response,
    options: Annotated[str | None, Query(description="the options as JSON, beside a file")] = None,
) -> dict[str, Any]:
    """Queue a replay: of the project's own labelled rows (options as a JSON body, or none), or of a file sent
    as `file` in a form (options in the query). 409 while one is active.

    Policies compared: `never`, `every` (n windows, judged), `always` (n windows, unjudged), `drift`, `decay`,
    `own`, and any in `more`.
    """
    refuse(project, "replay")
    room = _room(context)
    folder = uuid.uuid4().hex
    if _has_file(request):
        plan = _plan(_json(options.encode()) if options else {})
        received = await receive(request, context.settings.home.resolve() / "spool", _most(context))
        try:
            source = await run_sync(_keep_file, context, room, folder, received)
        finally:
            received.close()
    else:
        body = await read_body(request, _OPTIONS_BYTES)
        plan = _plan(_json(body) if body.strip() else {})
        source = await run_sync(_stored, context, project)
    return await run_sync(_enqueue, context, room, project, plan, source, folder, response)


@router.get("/{project}/replays", dependencies=[Depends(require("data"))])
def list_replays(
    project: ProjectInPath,
    context: Ctx,
    limit: int = Query(default=50, ge=1, le=500),
    before: int | None = None,
) -> dict[str, Any]:
    """Newest first, without their results."""
    found = context.registry.replays.list(project.id, limit=limit, before=before)
    return {"replays": [summary(replay) for replay in found]}


@router.get("/{project}/replays/{replay}", dependencies=[Depends(require("data"))])
def get(project: ProjectInPath, replay: int, context: Ctx) -> dict[str, Any]:
    """Its progress, and once it is completed its result."""
    found = context.registry.replays.get(project.id, replay)
    return {**summary(found), "result": found.result}


@router.get("/{project}/replays/{replay}/chart", dependencies=[Depends(require("data"))])
def get_chart(project: ProjectInPath, replay: int, context: Ctx) -> Response:
    """Live quality by window, as SVG."""
    found = context.registry.replays.get(project.id, replay)
    if found.result is None:
        raise Problem(
            409,
            "replay_not_completed",
            f"Replay {replay} has no result: it is {found.status.value}.",
            remedy=f"Wait until GET /v1/projects/{project.name}/replays/{replay} says 'completed'.",
        )
    safe = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return Response(chart(found.result), media_type="image/svg+xml", headers=safe)


@router.post("/{project}/replays/{replay}/cancel", status_code=202, dependencies=[Depends(require("admin"))])
def cancel(project: ProjectInPath, replay: int, context: Ctx) -> dict[str, Any]:
    """Cancel a queued or running replay; one that ended stays as it is (409)."""
    found = context.registry.replays.get(project.id, replay)
    if not found.status.is_active:
        raise Problem(
            409,
            "replay_ended",
            f"Replay {replay} has ended already: {found.status.value}.",
            remedy="Only a queued or running replay can be cancelled.",
        )
    asked = context.registry.replays.request_cancel(found.id, at=context.clock())
    if asked.status is RunStatus.CANCELLED:
        _room(context).forget(asked.folder)
    return {"replay": asked.number, "status": asked.status.value, "cancel_requested": True}


def summary(replay: ReplayRecord) -> dict[str, Any]:
    source = {
        name: replay.source[name] for name in ("kind", "name", "dataset_version") if name in replay.source
    }
    return {
        "replay": replay.number,
        "status": replay.status.value,
        "source": source,
        "plan": dict(replay.plan),
        "progress": dict(replay.progress),
        "attempt": replay.fence,
        "error": replay.error,
        "created_at": replay.created_at,
        "started_at": replay.started_at,
        "finished_at": replay.finished_at,
    }


def _enqueue(
    context: Context,
    room: ReplayRoom,
    project: Project,
    plan: ReplayPlan,
    source: dict[str, Any],
    folder: str,
    response: Response,
) -> dict[str, Any]:
    policy = dict(project.policy) if plan.policy is None else plan.policy.model_dump(mode="json")
    whole = {**source, "task": dict(project.task), "schema": project.schema, "policy": policy}
    try:
        queued = context.registry.replays.enqueue(
            project.id, plan=plan.to_json(), source=whole, folder=folder, at=context.clock()
        )
    except BaseException:
        room.forget(folder)
        raise
    room.nudge()
    response.headers["Location"] = f"/v1/projects/{project.name}/replays/{queued.number}"
    return {"replay": queued.number, "status": queued.status.value}


def enqueue(context: Context, project: Project, plan: ReplayPlan) -> int:
    """Queue a replay of the project's own rows; its number."""
    source = _stored(context, project)
    queued = _enqueue(context, _room(context), project, plan, source, uuid.uuid4().hex, Response())
    return int(queued["replay"])


def _stored(context: Context, project: Project) -> dict[str, Any]:
    version = context.registry.datasets.latest(project.id)
    if project.schema is None or version is None:
        raise Problem(
            409,
            "no_data",
            f"The project {project.name!r} has no data yet.",
            remedy="Send labelled rows first, or a file to replay in the part 'file' of a form.",
        )
    return {"kind": "stored", "dataset_version": version.number}


def _keep_file(context: Context, room: ReplayRoom, folder: str, received: Upload) -> dict[str, Any]:
    place = room.folder(folder)
    with storage_problems():
        place.mkdir(parents=True)
        received.file.seek(0)
        with (place / "upload").open("wb") as kept:
            shutil.copyfileobj(received.file, kept, 1 << 20)
            kept.flush()
            os.fsync(kept.fileno())
    limits = Limits.of(context.settings)
    return {
        "kind": "file",
        "name": received.filename or "upload",
        "limits": {"expanded_bytes": limits.expanded_bytes, "rows": limits.rows, "columns": limits.columns},
    }


def _room(context: Context) -> ReplayRoom:
    if context.replays is None:
        raise Problem(503, "no_replays", "This server plays no replays.", remedy="Ask another one.")
    return context.replays


def _most(context: Context) -> int:
    return context.settings.max_upload_bytes


def _has_file(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Problem(
            400, "not_json", "The options are not valid JSON.", field="options", remedy="Send valid JSON."
        ) from None


def _plan(given: Any) -> ReplayPlan:
    try:
        return ReplayPlan.model_validate(given)
    except ValidationError as error:
        errors = [
            {"field": ".".join(map(str, one["loc"])) or "options", "detail": one["msg"], "code": one["type"]}
            for one in error.errors()[:20]
        ]
        raise Problem(
            422,
            "invalid_options",
            f"{errors[0]['field']}: {errors[0]['detail']}",
            field=errors[0]["field"],
            remedy="See docs/replay.md for the options.",
            errors=errors,
        ) from None
