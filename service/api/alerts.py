"""Alert channels: of the whole installation, and of one project."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, field_validator

from registry.errors import NotFound
from service.alerts.desk import Asked, Desk, shown, shown_delivery
from service.alerts.kinds import KINDS
from service.api.context import Ctx, project_of, require, unknown_project
from service.api.schemas import Body, is_name

router = APIRouter()
"""Included twice: under ``/v1/alerts``, and under a project's path, where it has that project's channels only."""


def desk_of(request: Request, context: Ctx) -> Desk:
    """The desk at which the path leads."""
    assert context.alerts is not None
    project = request.path_params.get("project")
    return Desk(
        registry=context.registry,
        settings=context.settings,
        clock=context.clock,
        room=context.alerts,
        project=None if project is None else project_of(project, context),
    )


AtDesk = Annotated[Desk, Depends(desk_of)]


class NewAlertChannel(Body):
    """``POST …/alerts/channels``."""

    name: str = Field(description="letters, digits, '.', '_' and '-'; unique in the installation")
    kind: Literal["webhook", "slack", "email"]
    url: str | None = Field(default=None, max_length=2000, description="webhook, slack: where to POST")
    to: list[Annotated[str, Field(max_length=254)]] = Field(
        default=[], max_length=50, description="email: the recipients"
    )
    secret: str | None = Field(
        default=None, max_length=200, description="webhook: signs the calls; one is made where none is given"
    )
    events: list[str] | None = Field(
        default=None,
        max_length=100,
        description="kinds of event, see /v1/alerts/kinds; the usual ones if left out",
    )
    project: str | None = Field(default=None, description="only what happens in this project")
    enabled: bool = True

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        return is_name(value)


class AlertChannelChange(Body):
    """``PATCH …/alerts/channels/{channel}``: what is left out stays."""

    url: str | None = Field(default=None, max_length=2000)
    to: list[Annotated[str, Field(max_length=254)]] | None = Field(default=None, max_length=50)
    events: list[str] | None = Field(default=None, max_length=100)
    enabled: bool | None = None


@router.get("/kinds", dependencies=[Depends(require("data"))])
def list_kinds() -> dict[str, Any]:
    """The kinds of event there are, each with an example of its data; `usual` are those of a channel that names none."""
    return {"kinds": [kind.to_json() for kind in KINDS]}


@router.get("/channels", dependencies=[Depends(require("data"))])
def list_channels(desk: AtDesk) -> dict[str, Any]:
    """All channels, those of single projects too; under a project's path, its own."""
    return {"channels": [shown(channel) for channel in desk.channels()]}


@router.post("/channels", status_code=201, dependencies=[Depends(require("admin"))])
def add(body: NewAlertChannel, desk: AtDesk, response: Response) -> dict[str, Any]:
    """Make a channel. It hears of what happens from now on. A secret that was made for it is in this answer alone."""
    channel, secret = for_project(desk, body.project).add(
        Asked(
            name=body.name,
            kind=body.kind,
            url=body.url,
            to=body.to,
            secret=body.secret,
            events=body.events,
            enabled=body.enabled,
        )
    )
    response.headers["Location"] = f"/v1/alerts/channels/{channel.name}"
    response.headers["Cache-Control"] = "no-store"
    return {**shown(channel), **({} if secret is None else {"secret": secret})}


@router.get("/channels/{channel}", dependencies=[Depends(require("data"))])
def get(channel: str, desk: AtDesk) -> dict[str, Any]:
    """One channel. Its secret, and what of its address may be a token, are never given back."""
    return shown(desk.channel(channel))


@router.patch("/channels/{channel}", dependencies=[Depends(require("admin"))])
def change(channel: str, body: AlertChannelChange, desk: AtDesk) -> dict[str, Any]:
    """Another address, other kinds of event, or a pause: `{"enabled": false}`. What was to be told waits meanwhile."""
    changed = desk.change(channel, url=body.url, to=body.to, events=body.events, enabled=body.enabled)
    return shown(changed)


@router.delete("/channels/{channel}", status_code=204, dependencies=[Depends(require("admin"))])
def remove(channel: str, desk: AtDesk) -> None:
    """Forget the channel with its address and secret; what it was not told yet is given up."""
    desk.remove(channel)


@router.post("/channels/{channel}/secret", dependencies=[Depends(require("admin"))])
def renew_secret(channel: str, desk: AtDesk, response: Response) -> dict[str, Any]:
    """A new signing secret, in this answer alone. For a day, calls carry a signature by the old one as well."""
    response.headers["Cache-Control"] = "no-store"
    return {"name": channel, "secret": desk.renew_secret(channel)}


@router.post("/channels/{channel}/test", status_code=202, dependencies=[Depends(require("admin"))])
def test(channel: str, desk: AtDesk) -> dict[str, Any]:
    """Send a test, as any alert is sent: signed, checked, tried again. What came of it stands among the deliveries."""
    return shown_delivery(desk.test(channel, by="A call of the API"))


@router.get("/channels/{channel}/deliveries", dependencies=[Depends(require("data"))])
def deliveries(
    channel: str,
    desk: AtDesk,
    limit: int = Query(default=50, ge=1, le=500),
    before: int | None = None,
) -> dict[str, Any]:
    """What the channel was told in the last 30 days, newest first: `pending`, `delivered` or `gave_up`, and why."""
    found = desk.deliveries(channel, limit=limit, before=before)
    return {"deliveries": [shown_delivery(delivery) for delivery in found]}


def for_project(desk: Desk, project: str | None) -> Desk:
    """The desk of that project; this one where none is named. Raises a 404 problem."""
    if project is None or (desk.project is not None and desk.project.name == project):
        return desk
    try:
        return replace(desk, project=desk.registry.projects.get(project))
    except NotFound as error:
        raise unknown_project(error) from None
