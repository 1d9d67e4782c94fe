"""What an endpoint may reach: one frozen object, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from registry.errors import NotFound
from registry.records import Project
from service.actors import Actor
from service.context import Context, authorise, shown_secret
from service.problems import Problem

__all__ = [
    "SCOPES",
    "Caller",
    "Context",
    "Ctx",
    "ProjectInPath",
    "authorise",
    "context_of",
    "project_of",
    "require",
    "unknown_project",
]

SCOPES = frozenset({"predict", "data", "approve", "admin"})


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(context_of)]


def project_of(project: str, context: Ctx) -> Project:
    """The project named in the path. Raises a 404 problem that says where the names are."""
    try:
        return context.registry.projects.get(project)
    except NotFound as error:
        raise unknown_project(error) from None


def unknown_project(error: NotFound) -> Problem:
    return Problem(
        404,
        "project_not_found",
        str(error),
        field="project",
        remedy="GET /v1/projects lists the projects; POST /v1/projects makes one.",
    )


ProjectInPath = Annotated[Project, Depends(project_of)]


def caller(request: Request) -> Actor:
    """Who calls: by the key they show, also where none is asked for."""
    secret = shown_secret(request.headers.get("authorization"), request.headers.get("x-api-key"))
    key = context_of(request).registry.keys.verify(secret) if secret else None
    return Actor(key=None if key is None else key.prefix)


Caller = Annotated[Actor, Depends(caller)]


def require(scope: str) -> Callable[[Request], None]:
    """A dependency that lets a request pass when its key has ``scope`` (``admin`` includes all)."""

    def check(request: Request) -> None:
        authorise(
            context_of(request), request.headers.get("authorization"), request.headers.get("x-api-key"), scope
        )

    return check
