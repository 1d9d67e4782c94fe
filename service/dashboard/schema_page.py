"""The schema: what every row is held to, and how the newest rows lie beside those trained on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from registry.records import Project
from service.api import schema as api
from service.api.context import Ctx, ProjectInPath
from service.dashboard.access import Admin, Filled, Looks
from service.dashboard.frame import PageRoute, done, page, page_of
from service.dashboard.histograms import Compared, kept_histograms
from service.dashboard.sessions import say

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_WIDTH, _HEIGHT = 190.0, 44.0


@router.get("/projects/{project}/schema")
def schema_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    return page_of(
        request,
        viewer,
        project,
        "schema.html",
        twin="/schema",
        watched=False,
        columns=(project.schema or {}).get("columns", ()),
        target=(project.schema or {}).get("target"),
        roles=roles(project),
        drawn=None,
    )


@router.get("/projects/{project}/schema/histograms")
def histograms(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    """The pictures alone, for a page that is there already."""
    found = kept_histograms(request).of(context.registry, project)
    return page(
        request,
        "histograms.html",
        viewer=viewer,
        columns=(project.schema or {}).get("columns", ()),
        drawn={name: picture(one) for name, one in found.items()},
    )


@router.post("/projects/{project}/schema")
def edit(request: Request, context: Ctx, viewer: Admin, form: Filled, project: ProjectInPath) -> Response:
    """Which columns may be absent, and further classes."""
    columns = (project.schema or {}).get("columns", ())
    optional = {str(value) for value in form.getlist("optional")}
    changes = [
        api.ColumnChange(name=column["name"], optional=column["name"] in optional)
        for column in columns
        if bool(column.get("optional")) != (column["name"] in optional)
    ]
    added = str(form.get("class") or "").strip()
    classes = list((project.schema or {}).get("target", {}).get("classes", ()))
    target = api.TargetChange(classes=[*classes, added]) if added else api.TargetChange()
    version = str(form.get("schema_version") or "")
    change = api.SchemaChange(
        columns=changes, target=target, schema_version=int(version) if version.isdigit() else None
    )
    api.edit_schema(change, project, context)
    response = done(request, f"/projects/{project.name}/schema")
    say(context, response, "The schema is changed; every upload and prediction is held to it from now on.")
    return response


def roles(project: Project) -> dict[str, str]:
    """What a column is besides a feature."""
    task = project.task
    told = {"time_column": "time", "id_column": "id", "entity_column": "entity"}
    found = {str(task[name]): role for name, role in told.items() if task.get(name)}
    return {**found, **dict.fromkeys(map(str, task.get("sensitive") or ()), "sensitive")}


def picture(one: Compared) -> dict[str, Any]:
    """Bars of those trained on, and thinner ones of the newest in front of them."""
    most = max((*one.trained, *(one.now or ())), default=0) or 1
    each = _WIDTH / max(len(one.trained), 1)
    bars = []
    for place, share in enumerate(one.trained):
        now = None if one.now is None else one.now[place]
        tall, tall_now = share / most * _HEIGHT, (now or 0) / most * _HEIGHT
        beside = "" if now is None else f", {now:.1%} of the newest"
        bars.append(
            {
                "x": round(place * each, 2),
                "y": round(_HEIGHT - tall, 2),
                "height": round(tall, 2),
                "width": round(each - 1, 2),
                "x_now": round(place * each + each * 0.28, 2),
                "y_now": round(_HEIGHT - tall_now, 2),
                "height_now": round(tall_now, 2),
                "width_now": round(max(each * 0.44 - 0.5, 1), 2),
                "title": f"{one.labels[place]}: {share:.1%} of those trained on{beside}",
            }
        )
    return {"width": _WIDTH, "height": _HEIGHT, "bars": bars, "one": one}
