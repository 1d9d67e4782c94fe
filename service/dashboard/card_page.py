"""A model's card as a page, and as files to take along."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response

from service.api.context import Ctx, ProjectInPath
from service.card.bom import bom
from service.card.facts import card_facts
from service.card.markdown import markdown
from service.card.sections import sections
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute, page_of
from service.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_FILES = {
    "card.md": "text/markdown; charset=utf-8",
    "card.json": "application/json",
    "bom.json": "application/json",
}


@router.get("/projects/{project}/models/{version}/card")
def card_page(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, version: int
) -> Response:
    card = card_facts(context.registry, project, version)
    return page_of(
        request,
        viewer,
        project,
        "card.html",
        twin=f"/models/{version}/card",
        watched=False,
        card=card,
        sections=sections(card),
        files=tuple(_FILES),
    )


@router.get("/projects/{project}/models/{version}/card/{file}")
def card_file(context: Ctx, viewer: Looks, project: ProjectInPath, version: int, file: str) -> Response:
    """The same bytes as the API's, for a browser that is logged in."""
    if file not in _FILES:
        raise Problem(
            404, "no_such_file", f"A card has no file {file!r}.", remedy=f"There are {', '.join(_FILES)}."
        )
    card = card_facts(context.registry, project, version)
    made = {
        "card.md": lambda: markdown(card),
        "card.json": lambda: json.dumps(card, indent=2),
        "bom.json": lambda: json.dumps(bom(card), indent=2),
    }
    name = f"{project.name}-v{version}-{file}"
    return Response(
        made[file](),
        media_type=_FILES[file],
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
        },
    )
