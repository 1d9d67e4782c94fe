"""What every page's handler asks for: the viewer, the project, and that a form is the dashboard's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Form, Request

from service.dashboard.sessions import Viewer, check_token, viewer_of
from service.problems import Problem

Looks = Annotated[Viewer, Depends(viewer_of)]


def acting(scope: str) -> Callable[..., Viewer]:
    """A dependency for what changes something: the viewer, who may do this and sent a form of this dashboard."""

    def check(request: Request, viewer: Looks, csrf: Annotated[str | None, Form()] = None) -> Viewer:
        check_token(viewer, request, csrf)
        if not viewer.may(scope):
            raise Problem(
                403,
                "scope_missing",
                f"The key {viewer.key} may only look: this needs the scope '{scope}'.",
                remedy=f"Log out, and log in with a key made with --scope {scope}.",
            )
        return viewer

    return check


Admin = Annotated[Viewer, Depends(acting("admin"))]
Sends = Annotated[Viewer, Depends(acting("data"))]
