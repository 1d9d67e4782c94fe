"""Is it alive, is it ready, and its metrics."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api.context import Ctx

router = APIRouter()


@router.get("/healthz")
def alive(context: Ctx) -> dict[str, Any]:
    """The process answers: with its version, and its time."""
    return {"status": "ok", "version": version("incumbent"), "time": context.clock()}


@router.get("/readyz")
def ready(context: Ctx, response: Response) -> dict[str, Any]:
    """The registry is there and every champion was loaded or refused; 503 until then."""
    if not context.serving.caught_up:
        response.status_code = 503
        return {"status": "starting", "remedy": "Ask again in a second."}
    context.registry.projects.list()
    return {
        "status": "ready",
        "champions": {name: one.version for name, one in context.serving.champions.items()},
    }


@router.get("/metrics", response_class=Response)
def metrics(context: Ctx) -> Response:
    """Prometheus text."""
    return Response(context.metrics.text(), media_type=CONTENT_TYPE_LATEST)
