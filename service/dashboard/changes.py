"""Something has changed: server-sent events that make a page look again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.api.context import Context, Ctx, ProjectInPath
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LOOK_SECONDS = 1.0
_KEEP_ALIVE_LOOKS = 15


@router.get("/changes")
async def all_changes(request: Request, context: Ctx, viewer: Looks) -> Response:
    return _events(request, context, None)


@router.get("/projects/{project}/changes")
async def project_changes(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    return _events(request, context, project.id)


def _events(request: Request, context: Context, project_id: int | None) -> Response:
    # A reconnecting browser says what it saw last, so that nothing is missed in between.
    seen = request.headers.get("last-event-id")
    return StreamingResponse(
        _stream(request, context, project_id, seen),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _stream(
    request: Request, context: Context, project_id: int | None, seen: str | None
) -> AsyncIterator[str]:
    quiet = 0
    while not await request.is_disconnected() and not getattr(request.app.state, "closing", False):
        pulse = await run_in_threadpool(context.registry.pulse.of, project_id)
        if seen is None:
            yield f"id: {pulse}\nevent: hello\ndata:\n\n"
        elif pulse != seen:
            yield f"id: {pulse}\nevent: change\ndata:\n\n"
        quiet = 0 if pulse != seen else quiet + 1
        seen = pulse
        if quiet >= _KEEP_ALIVE_LOOKS:
            quiet = 0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)
