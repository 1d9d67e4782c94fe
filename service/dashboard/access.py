"""What every page's handler asks for: the viewer, the project, and that a form is the dashboard's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.datastructures import FormData

from service.dashboard.sessions import Viewer, check_token, viewer_of
from service.problems import Problem

Looks = Annotated[Viewer, Depends(viewer_of)]


def acting(scope: str) -> Callable[..., Viewer]:
    """A dependency for what changes something: the viewer, who may do this and sent a form of this dashboard."""

    def check(request: Request, viewer: Looks, csrf: Annotated[str | None, Form()] = None) -> Viewer:
        check_token(viewer, request, csrf)
        demand(viewer, scope)
        return viewer

    return check


def demand(viewer: Viewer, scope: str) -> None:
    """Raises a 403 problem unless the viewer may do what takes this scope."""
    if not viewer.may(scope):
        raise Problem(
            403,
            "scope_missing",
            f"The key {viewer.key} may only look: this needs the scope '{scope}'.",
            remedy=f"Log out, and log in with a key made with --scope {scope}.",
        )


def sender(request: Request, viewer: Looks, csrf: str = "") -> Viewer:
    """For a body that is streamed: its token comes in a header or, from a browser without scripts, in the address."""
    check_token(viewer, request, request.headers.get("x-csrf-token") or csrf)
    demand(viewer, "data")
    return viewer


async def filled(request: Request, viewer: Looks) -> FormData:
    """The fields of a form whose names are not known before. Its sender may label and ask for predictions."""
    form = await request.form(max_fields=5_000)
    given = form.get("csrf")
    check_token(viewer, request, given if isinstance(given, str) else None)
    demand(viewer, "data")
    return form


Uploads = Annotated[Viewer, Depends(sender)]
Filled = Annotated[FormData, Depends(filled)]
Admin = Annotated[Viewer, Depends(acting("admin"))]
Sends = Annotated[Viewer, Depends(acting("data"))]
Why = Annotated[str, Form(min_length=1, max_length=500)]
"""The sentence that goes into the ledger with what a person does."""
