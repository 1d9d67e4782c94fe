"""Something has changed: server-sent events that make a page look again."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from registry.pulse import Beat
from registry.store import Registry
from service.api.context import Context, Ctx, ProjectInPath
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LOOK_SECONDS = 1.0
_KEEP_ALIVE_SECONDS = 15.0
NEWS_SECONDS = 2.0
"""Changes are told at most so often. It is the server that waits, as it tells the last of them all the same; a browser
that passes over what comes too soon would miss a run's verdict right after its last trial."""
ROWS_SECONDS = 10.0
"""Rows and answers alone are told at most so often: under traffic they come all the time, and every look costs calls."""


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
        _stream(request, context, project_id, None if seen is None else Beat.parse(seen)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _stream(
    request: Request, context: Context, project_id: int | None, seen: Beat | None
) -> AsyncIterator[str]:
    pulses: Pulses = request.app.state.pulses
    # What comes first is told at once.
    told, quiet = -math.inf, time.monotonic()
    while not await request.is_disconnected() and not getattr(request.app.state, "closing", False):
        beat = await run_in_threadpool(pulses.of, context.registry, project_id)
        now = time.monotonic()
        if seen is None:
            seen, quiet = beat, now
            yield f"id: {beat}\nevent: hello\ndata:\n\n"
        elif beat != seen and now - told >= (ROWS_SECONDS if beat.news == seen.news else NEWS_SECONDS):
            seen, told, quiet = beat, now, now
            yield f"id: {beat}\nevent: change\ndata:\n\n"
        elif now - quiet >= _KEEP_ALIVE_SECONDS:
            quiet = now
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


class Pulses:
    """One look a second at each project, however many pages are open."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._seen: dict[int | None, tuple[float, Beat]] = {}

    def of(self, registry: Registry, project_id: int | None) -> Beat:
        with self._guard:
            at, beat = self._seen.get(project_id, (-math.inf, None))
            if beat is None or time.monotonic() - at >= _LOOK_SECONDS * 0.9:
                beat = registry.pulse.of(project_id)
                self._seen[project_id] = (time.monotonic(), beat)
        return beat
