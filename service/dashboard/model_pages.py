"""Models: all of them, one, two beside each other; and who is to be champion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from registry.records import Project
from service.api import models as api
from service.api.context import Context, Ctx, ProjectInPath
from service.api.schemas import Reason
from service.dashboard import words
from service.dashboard.access import Admin, Looks, Why
from service.dashboard.frame import PageRoute, page_of, to
from service.dashboard.sessions import say
from service.dashboard.trust import panels
from service.forecasts.kind import served_version
from service.problems import Problem
from service.quality_windows import WINDOW
from service.trust_reports import trust_report

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MODELS = 50
_WINDOWS = 200
_COMPARED = (
    ("Model", "engine", None),
    ("Estimator", "estimator", None),
    ("Judged", "score", words.score),
    ("Live", "live_score", words.score),
    ("Answers with truth", "live_rows", words.count),
    ("In the folds", "cv_score", words.score),
    ("Rows judged on", "holdout_rows", words.count),
    ("Trained on", "train_rows", words.count),
    ("Size", "size_bytes", words.size),
    ("Dataset version", "dataset_version", words.count),
    ("Run", "run", None),
    ("Verdict", "outcome", None),
)


@router.get("/projects/{project}/models")
def models_page(
    request: Request,
    context: Ctx,
    viewer: Looks,
    project: ProjectInPath,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    registry = context.registry
    made = registry.models.list(project.id, limit=_MODELS, before=before)
    served = context.serving.champions.get(project.name)
    return page_of(
        request,
        viewer,
        project,
        "models.html",
        twin="/models",
        models=[api.shown(model, project) for model in made],
        older=made[-1].version if len(made) == _MODELS and made[-1].version > 1 else None,
        served=served_version(project, None if served is None else served.version),
        promotions=registry.ledger.promotions(project.id, limit=30),
    )


@router.get("/projects/{project}/models/compare")
def compare_page(
    request: Request,
    context: Ctx,
    viewer: Looks,
    project: ProjectInPath,
    v: Annotated[list[int] | None, Query(max_length=50)] = None,
) -> Response:
    a, b, same_rows, table = beside(context, project, v or ())
    return page_of(
        request,
        viewer,
        project,
        "compare.html",
        twin=f"/models/compare?v={a['version']}&v={b['version']}",
        watched=False,
        a=a,
        b=b,
        same_rows=same_rows,
        table=table,
    )


def beside(
    context: Context, project: Project, versions: Sequence[int]
) -> tuple[dict[str, Any], dict[str, Any], bool, list[dict[str, Any]]]:
    """Two versions, whether they were judged on the same rows, and what they differ in. Raises a 422 problem unless
    there are two."""
    chosen = sorted(set(versions))
    if len(chosen) != 2:
        raise Problem(
            422,
            "two_versions_needed",
            f"{words.plural(len(chosen), 'version was', 'versions were')} chosen.",
            field="v",
            remedy="Choose two versions: v=1&v=2.",
        )
    a, b = (_with_live(context, project, version) for version in chosen)
    same_rows = a["snapshot_hash"] is not None and a["snapshot_hash"] == b["snapshot_hash"]
    return a, b, same_rows, compared(a, b)


@router.get("/projects/{project}/models/{version}")
def model_page(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, version: int
) -> Response:
    model = api.get(project, version, context)
    live, rows = _live(context, project, version)
    report = trust_report(context.registry, context.registry.models.get(project.id, version))
    return page_of(
        request,
        viewer,
        project,
        "model.html",
        twin=f"/models/{version}",
        model=model,
        compiled=model["compiled"],
        settings=flattened(model["config"]),
        live=live,
        live_rows=rows,
        trust=panels(report),
    )


@router.post("/projects/{project}/models/{version}/promote")
def promote(context: Ctx, viewer: Admin, project: ProjectInPath, version: int, reason: Why) -> Response:
    api.promote(project, version, context, Reason(reason=reason), viewer.actor)
    response = to(f"/projects/{project.name}/models/{version}")
    say(context, response, f"v{version} is champion now; it answers as soon as it is loaded.")
    return response


@router.post("/projects/{project}/rollback")
def rollback(context: Ctx, viewer: Admin, project: ProjectInPath, reason: Why) -> Response:
    changed = api.rollback(project, context, Reason(reason=reason), viewer.actor)
    response = to(f"/projects/{project.name}")
    say(context, response, f"Rolled back to v{changed['to']}; it answers as soon as it is loaded.")
    return response


def _with_live(context: Context, project: Project, version: int) -> dict[str, Any]:
    live, rows = _live(context, project, version)
    return {**api.get(project, version, context), "live_score": live, "live_rows": rows}


def compared(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Line by line: what both are, then every setting that either has."""
    lines: list[dict[str, Any]] = []
    for label, name, write in _COMPARED:
        one, two = a.get(name), b.get(name)
        numbers = isinstance(one, int | float) and isinstance(two, int | float) and name.endswith("score")
        difference = words.signed(two - one) if numbers and one is not None and two is not None else ""
        lines.append(_line(label, one, two, write or _plain, difference))
    facts = len(lines)
    first, second = dict(flattened(a["config"])), dict(flattened(b["config"]))
    for name in sorted({*first, *second}, key=_natural):
        lines.append(_line(name, first.get(name), second.get(name), _plain, ""))
    return [{**line, "setting": place >= facts} for place, line in enumerate(lines)]


def flattened(config: Any, prefix: str = "", most: int = 200) -> list[tuple[str, str]]:
    """Nested settings as one list of dotted names, at most ``most`` of them."""
    if isinstance(config, Mapping):
        parts = [(f"{prefix}.{name}" if prefix else str(name), value) for name, value in config.items()]
    elif isinstance(config, list):
        parts = [(f"{prefix}[{place}]", value) for place, value in enumerate(config)]
    else:
        return [(prefix or "value", _plain(config))]
    return [line for name, value in parts for line in flattened(value, name, most)][:most]


def _natural(name: str) -> list[tuple[int, str]]:
    """Names in the order a person puts them: ``[2]`` before ``[10]``."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _line(label: str, a: Any, b: Any, write: Any, difference: str) -> dict[str, Any]:
    return {"name": label, "a": write(a), "b": write(b), "difference": difference, "changed": a != b}


def _live(context: Context, project: Project, version: int) -> tuple[float | None, int]:
    """The mean over the newest windows of its answers."""
    found = context.registry.quality.list(project.id, WINDOW, limit=_WINDOWS, model_version=version)
    rows = sum(int(one.report["rows"]) for one in found)
    return (sum(one.score * int(one.report["rows"]) for one in found) / rows if rows else None), rows
