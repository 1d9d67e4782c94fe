"""All projects at a glance, what happened in the last day, and what waits for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError

from service.api import projects as api
from service.api.context import Context, Ctx
from service.api.schemas import NewProject
from service.dashboard import words
from service.dashboard.access import Admin, Looks
from service.dashboard.frame import PageRoute, page, to
from service.dashboard.glance import Glance
from service.dashboard.health import Need, State
from service.dashboard.kept_glances import KeptGlances
from service.dashboard.sessions import say
from service.dashboard.story import Happening
from service.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MOST = 40
_SHOWN = 10
_WORST_FIRST = (State.NEEDED, State.WATCH, State.LEARNING, State.HEALTHY, State.EMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All projects, the one that needs most first; happenings of the last day, newest first."""

    headline: str
    glances: tuple[Glance, ...]
    needs: tuple[tuple[str, Need], ...]
    happenings: tuple[Happening, ...]


def look(request: Request, context: Context) -> Overview:
    looks: KeptGlances = request.app.state.kept_glances
    kept = looks.of(context, context.registry.projects.list())
    since = context.clock() - timedelta(days=1)
    glances = sorted((one.glance for one in kept), key=lambda one: _WORST_FIRST.index(one.health.state))
    happenings = [one for each in kept for one in each.happenings if one.at >= since]
    return Overview(
        headline=headline(glances),
        glances=tuple(glances),
        needs=tuple((one.project.name, need) for one in glances for need in one.health.needs),
        happenings=tuple(sorted(happenings, key=lambda one: one.at, reverse=True)[:_MOST]),
    )


@router.get("/projects")
def overview(request: Request, context: Ctx, viewer: Looks) -> Response:
    seen = look(request, context)
    base = str(request.base_url).rstrip("/")
    return page(
        request, "overview.html", viewer=viewer, twin="/v1/overview", seen=seen, shown=_SHOWN, base=base
    )


@router.post("/projects")
def create(
    context: Ctx,
    viewer: Admin,
    name: Annotated[str, Form()],
    target: Annotated[str, Form()],
    task: Annotated[Literal["classification", "regression"], Form()],
) -> Response:
    try:
        body = NewProject(name=name.strip(), target=target.strip(), task=task)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise Problem(422, "invalid_request", f"{field}: {first['msg']}", field=field) from None
    api.create(body, context, Response())
    response = to(f"/projects/{body.name}/data")
    say(context, response, "The project is made. Now give it rows: the first upload becomes its schema.")
    return response


def headline(glances: Sequence[Glance]) -> str:
    """
    >>> headline([])
    'No project yet'
    """
    if not glances:
        return "No project yet"
    states = [one.health.state for one in glances]
    needed = states.count(State.NEEDED) + sum(
        1 for one in glances if one.health.state is State.EMPTY and one.health.needs
    )
    watched = states.count(State.WATCH)
    if needed:
        if len(glances) == 1:
            return "Your project needs you"
        return f"{needed} of {len(glances)} projects {'needs' if needed == 1 else 'need'} you"
    if watched:
        return f"{words.plural(watched, 'project')} to keep an eye on, nothing to do"
    if all(state is State.HEALTHY for state in states):
        return "All is well" if len(states) > 1 else "Your model is healthy"
    return "Nothing needs you"
