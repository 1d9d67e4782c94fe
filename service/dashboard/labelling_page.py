"""One row at a time, for the keyboard: the row most worth a label, its classes, and the guess only when asked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request, Response

from service.answers import LONGEST_NAME
from service.api import labeling as api
from service.api.context import Ctx, ProjectInPath
from service.dashboard.access import Looks, Sends
from service.dashboard.frame import PageRoute, page_of, to
from service.dashboard.sessions import Viewer, say

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_KEYS = "123456789"
Name = Annotated[str | None, Query(alias="as", min_length=1, max_length=LONGEST_NAME)]


@router.get("/projects/{project}/labeling")
def labelling_page(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, who: Name = None
) -> Response:
    """The page at once; it asks for its first row by itself, since ranking rows anew may take seconds."""
    return page_of(
        request,
        viewer,
        project,
        "labelling_soon.html",
        twin="/labeling?limit=1",
        watched=False,
        annotator=who or _default(viewer),
    )


@router.get("/projects/{project}/labeling/next")
def next_row(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, who: Name = None
) -> Response:
    annotator = who or _default(viewer)
    found = api.labeling(project, request, context, limit=1, annotator=annotator)
    row = found["rows"][0] if found["rows"] else None
    classes = list(found["classes"])
    return page_of(
        request,
        viewer,
        project,
        "labelling.html",
        twin="/labeling?limit=1",
        watched=False,
        annotator=annotator,
        found=found,
        row=row,
        classes=[
            (_KEYS[place] if place < len(_KEYS) else "", _text(one)) for place, one in enumerate(classes)
        ],
        is_number=project.task["kind"] != "classification",
        target=project.task["target"],
    )


@router.post("/projects/{project}/labeling")
def answer(
    request: Request,
    context: Ctx,
    viewer: Sends,
    project: ProjectInPath,
    row: Annotated[str, Form(min_length=1)],
    who: Annotated[str, Form(alias="as", min_length=1, max_length=LONGEST_NAME)],
    label: Annotated[str | None, Form()] = None,
    skip: Annotated[str | None, Form()] = None,
) -> Response:
    one = api.OneAnswer(id=row, label=None if skip else (label or ""), skip=bool(skip))
    told = api.answer(api.Answers(answers=[one], annotator=who), project, request, context)
    response = to(f"/projects/{project.name}/labeling/next?as={quote(who, safe='')}")
    if told["conflicting"]:
        say(context, response, "That row had its truth already, and another one: it was left as it is.")
    return response


def _default(viewer: Viewer) -> str:
    return viewer.key or "dashboard"


def _text(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
