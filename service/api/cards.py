"""A model's card, made from what the registry remembers when it is asked for: Markdown, JSON, a bill of materials."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from service.api.context import Ctx, ProjectInPath, require
from service.card.bom import MEDIA_TYPE as BOM_TYPE
from service.card.bom import bom
from service.card.facts import card_facts
from service.card.markdown import markdown
from service.problems import Problem

router = APIRouter()

MARKDOWN_TYPE = "text/markdown"
_JSON_TYPE = "application/json"


@router.get(
    "/{project}/models/{version}/card",
    dependencies=[Depends(require("data"))],
    responses={200: {"content": {MARKDOWN_TYPE: {}}}},
)
def card(request: Request, project: ProjectInPath, version: int, context: Ctx) -> Response:
    """The version's card: JSON, or with `Accept: text/markdown` Markdown with Hugging Face front matter."""
    wanted = preferred(request.headers.get("accept"), (_JSON_TYPE, MARKDOWN_TYPE))
    if wanted is None:
        raise Problem(
            406,
            "not_acceptable",
            "A card is to be had as text/markdown or as application/json.",
            field="accept",
            remedy="Ask for one of the two, or take GET …/bom for CycloneDX.",
        )
    facts = card_facts(context.registry, project, version)
    varies = {"vary": "accept"}
    if wanted == MARKDOWN_TYPE:
        return Response(markdown(facts), media_type=f"{MARKDOWN_TYPE}; charset=utf-8", headers=varies)
    return JSONResponse(facts, headers=varies)


@router.get("/{project}/models/{version}/bom", dependencies=[Depends(require("data"))])
def bill_of_materials(project: ProjectInPath, version: int, context: Ctx) -> Response:
    """The version's CycloneDX 1.6 ML-BOM: the model with its card, its data with their hashes, its libraries."""
    facts: dict[str, Any] = card_facts(context.registry, project, version)
    return JSONResponse(bom(facts), media_type=BOM_TYPE)


def preferred(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """Which of the media types an ``Accept`` header asks for most, the first where it says nothing or likes two as much;
    None where it refuses all (RFC 9110, 12.5.1).

    >>> preferred("application/json;q=0.5, text/*", ("application/json", "text/markdown"))
    'text/markdown'
    """
    if not accept:
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")]
    weighed = [(_quality(kind, ranges), -place, kind) for place, kind in enumerate(offered)]
    quality, _, kind = max(weighed)
    return kind if quality > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (one.strip() for one in part.split(";"))
    given = [one.partition("=")[2] for one in parameters if one.lower().startswith("q=")]
    try:
        return name.lower(), float(given[0]) if given else 1.0
    except ValueError:
        return name.lower(), 0.0


def _quality(kind: str, ranges: list[tuple[str, float]]) -> float:
    """That of the closest range that names the kind."""
    for pattern in (kind, kind.partition("/")[0] + "/*", "*/*"):
        found = [quality for name, quality in ranges if name == pattern]
        if found:
            return max(found)
    return 0.0
