"""In and out: where a browser is led, logging in with an API key, logging out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from service.api.context import Ctx
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute, page, to
from service.dashboard.sessions import check_login_token, check_token, log_in, log_out, login_token

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def front(request: Request) -> Response:
    """The dashboard for browsers; for programs, where everything is."""
    if "text/html" in request.headers.get("accept", ""):
        return to("/projects")
    from fastapi.responses import JSONResponse

    links = {"dashboard": "/projects", "api": "/v1/projects", "docs": "/docs", "metrics": "/metrics"}
    return JSONResponse({"service": "incumbent", **links})


@router.get("/login")
def ask(request: Request, context: Ctx, next: str = "/projects") -> Response:
    if not context.keys_required:
        return to("/projects")
    return _form(request, context, next, wrong=False)


@router.post("/login")
def enter(
    request: Request,
    context: Ctx,
    key: Annotated[str, Form(max_length=200)],
    csrf: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/projects",
) -> Response:
    check_login_token(context, request, csrf)
    response = to(_within(next))
    if not log_in(context, response, key, secure=request.url.scheme == "https"):
        return _form(request, context, next, wrong=True)
    return response


@router.post("/logout")
def leave(request: Request, viewer: Looks, csrf: Annotated[str, Form()] = "") -> Response:
    check_token(viewer, request, csrf)
    response = to("/login")
    log_out(response)
    return response


def _form(request: Request, context: Ctx, after: str, *, wrong: bool) -> Response:
    values: dict[str, Any] = {"token": login_token(context), "next": _within(after), "wrong": wrong}
    return page(request, "login.html", viewer=None, status=401 if wrong else 200, **values)


def _within(path: str) -> str:
    """The path, when it stays on this server; browsers read a backslash as a slash."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/projects"
