"""Alert channels: who is told of what, what became of it, and a test. One page for all projects, one for each."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import FormData

from service.alerts.desk import Asked, Desk
from service.alerts.kinds import KINDS, USUAL
from service.api.alerts import desk_of, for_project
from service.api.context import Ctx
from service.api.schemas import is_name
from service.dashboard.access import Admin, Filled, Looks
from service.dashboard.frame import PageRoute, page, page_of, to
from service.dashboard.sessions import Viewer, say
from service.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

ALL, OF_PROJECT = "/alerts", "/projects/{project}/settings/alerts"
_SHOWN = 8
_SEVERAL = re.compile(r"[,;\s]+")

AtDesk = Annotated[Desk, Depends(desk_of)]


@router.get(ALL)
@router.get(OF_PROJECT)
def alerts_page(request: Request, viewer: Looks, desk: AtDesk) -> Response:
    return _page(request, viewer, desk, None)


@router.post(ALL)
@router.post(OF_PROJECT)
def add(request: Request, viewer: Admin, form: Filled, desk: AtDesk) -> Response:
    """A secret that is made is in this answer alone."""
    channel, secret = for_project(desk, _text(form, "project") or None).add(_asked(form))
    made = None if secret is None else (channel.name, secret)
    return _page(request, viewer, desk, made)


@router.post(ALL + "/{channel}/secret")
@router.post(OF_PROJECT + "/{channel}/secret")
def renew_secret(request: Request, viewer: Admin, desk: AtDesk, channel: str) -> Response:
    return _page(request, viewer, desk, (channel, desk.renew_secret(channel)))


@router.post(ALL + "/{channel}/test")
@router.post(OF_PROJECT + "/{channel}/test")
def test(context: Ctx, viewer: Admin, desk: AtDesk, channel: str) -> Response:
    desk.test(channel, by="Somebody at the dashboard")
    return _back(context, desk, f"A test is on its way to {channel}; what came of it stands below.")


@router.post(ALL + "/{channel}/pause")
@router.post(OF_PROJECT + "/{channel}/pause")
def pause(context: Ctx, viewer: Admin, desk: AtDesk, channel: str) -> Response:
    desk.change(channel, enabled=False)
    return _back(context, desk, f"The channel {channel} is paused.")


@router.post(ALL + "/{channel}/resume")
@router.post(OF_PROJECT + "/{channel}/resume")
def resume(context: Ctx, viewer: Admin, desk: AtDesk, channel: str) -> Response:
    desk.change(channel, enabled=True)
    return _back(context, desk, f"The channel {channel} is told again.")


@router.post(ALL + "/{channel}/remove")
@router.post(OF_PROJECT + "/{channel}/remove")
def remove(context: Ctx, viewer: Admin, desk: AtDesk, channel: str) -> Response:
    desk.remove(channel)
    return _back(context, desk, f"The channel {channel} is removed, with its address and secret.")


def _page(request: Request, viewer: Viewer, desk: Desk, made: tuple[str, str] | None) -> Response:
    channels = [(one, desk.deliveries(one.name, limit=_SHOWN)) for one in desk.channels()]
    values: dict[str, Any] = {
        "here": _here(desk),
        "channels": channels,
        "waits": any(told.ended_at is None for _, deliveries in channels for told in deliveries),
        "made": made,
        "kinds": KINDS,
        "usual": USUAL,
        "watched": False,
    }
    if desk.project is not None:
        return page_of(request, viewer, desk.project, "alerts.html", twin="/alerts/channels", **values)
    names = [project.name for project in desk.registry.projects.list()]
    twin = "/v1/alerts/channels"
    return page(request, "alerts.html", viewer=viewer, twin=twin, project=None, names=names, **values)


def _back(context: Ctx, desk: Desk, sentence: str) -> Response:
    response = to(_here(desk))
    say(context, response, sentence)
    return response


def _here(desk: Desk) -> str:
    return ALL if desk.project is None else OF_PROJECT.format(project=desk.project.name)


def _asked(form: FormData) -> Asked:
    """The channel that the form describes; its one field for an address holds a URL, or recipients."""
    kind, address = _text(form, "kind"), _text(form, "address")
    events = [value for value in form.getlist("events") if isinstance(value, str)]
    try:
        name = is_name(_text(form, "name"))
    except ValueError as error:
        raise Problem(
            422, "invalid_channel", f"Name: {error}.", field="name", remedy="Go back and choose another name."
        ) from None
    if kind == "email":
        return Asked(name=name, kind=kind, to=[one for one in _SEVERAL.split(address) if one], events=events)
    secret = _text(form, "secret") or None
    return Asked(
        name=name, kind=kind, url=address, secret=secret if kind == "webhook" else None, events=events
    )


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""
