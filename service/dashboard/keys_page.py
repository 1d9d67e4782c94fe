"""API keys: who may do what, a new one shown once, and the end of one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response

from service.api.context import Ctx
from service.dashboard.access import Admin, Looks, demand
from service.dashboard.frame import PageRoute, page, to
from service.dashboard.sessions import Viewer, say

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/keys")
def keys_page(request: Request, context: Ctx, viewer: Looks) -> Response:
    return _page(request, context, viewer, None)


@router.post("/keys")
def make(
    request: Request,
    context: Ctx,
    viewer: Admin,
    label: Annotated[str, Form(min_length=1, max_length=100)],
    scope: Annotated[Literal["predict", "data", "approve", "admin"], Form()],
) -> Response:
    """The secret is in this answer alone; it is kept nowhere."""
    scopes = ["data", scope] if scope == "approve" else [scope]  # who approves looks first
    _, secret = context.registry.keys.create(scopes, label=label, at=context.clock())
    return _page(request, context, viewer, secret)


@router.post("/keys/{prefix}/revoke")
def revoke(context: Ctx, viewer: Admin, prefix: str) -> Response:
    context.registry.keys.revoke(prefix, context.clock())
    response = to("/keys")
    say(context, response, f"The key {prefix} is revoked; whoever used it is out.")
    return response


def _page(request: Request, context: Ctx, viewer: Viewer, secret: str | None) -> Response:
    demand(viewer, "admin")
    keys = sorted(context.registry.keys.list(), key=lambda key: (key.revoked_at is not None, -key.id))
    return page(request, "keys.html", viewer=viewer, twin="/v1/keys", keys=keys, secret=secret)
