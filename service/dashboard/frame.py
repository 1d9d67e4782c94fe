"""The frame around every page: templates, headers, errors as pages, and who may see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from registry.records import Project
from service.api.context import Context, context_of
from service.dashboard import pictures, words
from service.dashboard.sessions import SAYING, LoginNeeded, Viewer, said
from service.dashboard.turns import in_pieces, turn
from service.problems import Problem, problem_of

if TYPE_CHECKING:
    import jinja2

STATIC = Path(__file__).parent.parent / "static"
_TEMPLATES = Path(__file__).parent / "templates"


HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageRoute(APIRoute):
    """A route whose answers carry the dashboard's headers, and whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except LoginNeeded:
                response = _to_login(request)
            except Exception as error:
                response = _error_page(request, problem_of(error))
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return answer


def page(
    request: Request,
    template: str,
    *,
    viewer: Viewer | None,
    twin: str | None = None,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """The template, filled. ``twin`` is the API's path for the same as JSON."""
    context = context_of(request)
    saying = said(context, request)
    with turn():
        parts = (
            environment()
            .get_template(template)
            .generate(
                viewer=viewer,
                twin=twin,
                saying=saying,
                path=request.url.path,
                now=context.clock(),
                keys_required=context.keys_required,
                asset=asset,
                **values,
            )
        )
        text = "".join(in_pieces(parts))
    answer = HTMLResponse(text, status_code=status)
    if saying is not None:
        answer.delete_cookie(SAYING, path="/", httponly=True, samesite="strict")
    return answer


def page_of(
    request: Request, viewer: Viewer | None, project: Project, template: str, *, twin: str, **values: Any
) -> HTMLResponse:
    """A page of the project. ``twin`` is the rest of its API's path below the project's."""
    return page(
        request,
        template,
        viewer=viewer,
        twin=f"/v1/projects/{project.name}{twin}",
        project=project,
        projects=_known(context_of(request)),
        **values,
    )


def to(path: str) -> RedirectResponse:
    """Where a form leads when it was done."""
    return RedirectResponse(path, status_code=303)


def done(request: Request, path: str) -> Response:
    """The same for a form that may have been sent by htmx: the browser goes there, the page isn't merged."""
    if "hx-request" in request.headers:
        return Response(headers={"HX-Redirect": path})
    return to(path)


@cache
def environment() -> jinja2.Environment:
    """Templates with everything escaped. Imported with the first page: a server that only predicts needs no templates."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        score=words.score,
        signed=words.signed,
        count=words.count,
        short_count=words.short_count,
        share=words.share,
        size=words.size,
        span=words.span,
        clock=words.clock,
        short=words.short,
        metric=words.metric_name,
        ms=words.milliseconds,
        upper_first=words.upper,
        trimmed=words.trimmed,
        moment=words.moment,
        q=lambda value: quote(str(value), safe=""),
    )
    made.globals.update(
        ago=words.ago,
        plural=words.plural,
        sparkline=pictures.sparkline,
        bars=pictures.bars,
        interval=pictures.interval,
        lower_is_better=words.lower_is_better,
        gate_state=words.gate_state,
    )
    return made


@cache
def asset(name: str) -> str:
    """The address of a static file, with its content's hash, so that it may be kept for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _to_login(request: Request) -> Response:
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if not wants_page or "hx-request" in request.headers:
        answer = Response("Log in first.", status_code=401, media_type="text/plain")
        answer.headers["HX-Redirect"] = "/login"
        return answer
    return to(f"/login?next={quote(request.url.path, safe='/')}")


def _error_page(request: Request, problem: Problem) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers
    if not wants_page:
        return problem.response(request.url.path)
    template = "problem.html" if "hx-request" in request.headers else "error.html"
    return page(request, template, viewer=None, status=problem.status, problem=problem.document())


def _known(context: Context) -> Mapping[str, str]:
    """The projects, for the switch at the top."""
    return {project.name: f"/projects/{project.name}" for project in context.registry.projects.list()}
