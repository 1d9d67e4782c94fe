"""The policy as a form, saved or tried: a dry run plays it over the rows that are there, beside the one in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from registry.records import Project
from registry.store import Registry
from service.api import projects as api
from service.api import replays
from service.api.context import Ctx, ProjectInPath
from service.api.schemas import ProjectChange
from service.dashboard import words
from service.dashboard.access import Admin, Filled, Looks
from service.dashboard.frame import PageRoute, done, page_of
from service.dashboard.policy_form import GROUPS, change, shown
from service.dashboard.sessions import say
from service.forecasts.kind import refuse
from service.policy import Policy
from service.problems import Problem
from service.replay.plan import ReplayPlan

router = APIRouter(route_class=PageRoute, include_in_schema=False)

CURRENT, NEW = "now", "own"
_WINDOWS = 16
_LEAST_WINDOW = timedelta(minutes=1)
_ROWS = 20_000
"""A dry run is thinned to about so many rows, so that its answer comes within a minute or so."""


@router.get("/projects/{project}/settings")
def settings_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    return page_of(
        request,
        viewer,
        project,
        "settings.html",
        twin="",
        watched=False,
        groups=GROUPS,
        shown=lambda setting: shown(project.policy, setting),
        whole=json.dumps(dict(project.policy), indent=1),
        replays=context.registry.replays.list(project.id, limit=5),
    )


@router.post("/projects/{project}/settings")
def save(request: Request, context: Ctx, viewer: Admin, form: Filled, project: ProjectInPath) -> Response:
    api.change(project, ProjectChange(policy=_asked(form, project)), context)
    response = done(request, f"/projects/{project.name}/settings")
    say(context, response, "Saved. It holds from the next look at the triggers on.")
    return response


@router.post("/projects/{project}/settings/dry-run")
def dry_run(request: Request, context: Ctx, viewer: Admin, form: Filled, project: ProjectInPath) -> Response:
    """Queue a replay of the policy as it stands in the form beside the one in force, and of never retraining."""
    refuse(project, "replay")
    merged = api.merged(project, _asked(form, project))
    plan = plan_of(context.registry, project, merged)
    queued = replays.enqueue(context, project, plan)
    return done(request, f"/projects/{project.name}/replays/{queued}")


@router.get("/projects/{project}/replays/{number}")
def replay_page(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, number: int
) -> Response:
    found = context.registry.replays.get(project.id, number)
    return page_of(
        request,
        viewer,
        project,
        "replay.html",
        twin=f"/replays/{number}",
        watched=False,
        replay=found,
        policies=policies(found.result),
        drawn=drawn(found.result),
        sentence=sentence(found.result),
    )


def plan_of(registry: Registry, project: Project, policy: Policy) -> ReplayPlan:
    """Sixteen windows over the labelled rows that are there, thinned where they are many."""
    truths = registry.datasets.facts(project.id).truths
    return ReplayPlan(
        policies=["never", NEW],
        more={CURRENT: Policy.stored(project.policy)},
        policy=policy,
        window=_window(registry, project, truths),
        looks=2,
        keep_every=max(1, truths // _ROWS),
    )


def _window(registry: Registry, project: Project, truths: int) -> timedelta | int:
    """A sixteenth of the time that the newest run's rows span; of the rows, where they have no time."""
    newest = next((run.snapshot for run in registry.runs.list(project.id, limit=20) if run.snapshot), {})
    span = _span(newest) if project.task.get("time_column") else None
    return max(10, truths // _WINDOWS) if span is None else max(_LEAST_WINDOW, span / _WINDOWS)


def _span(snapshot: Mapping[str, Any]) -> timedelta | None:
    """From the first training row to the last judging one; None where their time is no date."""
    try:
        first, last = snapshot["train_span"][0], snapshot["holdout_span"][1]
        return datetime.fromisoformat(str(last)) - datetime.fromisoformat(str(first))
    except (KeyError, TypeError, ValueError):
        return None


def policies(result: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A line for each policy, the one that was tried first."""
    if result is None:
        return []
    names = {NEW: "with this policy", CURRENT: "with the one in force", "never": "never retrained"}
    order = list(names)
    found = [{**one, "title": names.get(one["name"], one["name"])} for one in result["policies"]]
    return sorted(found, key=lambda one: order.index(one["name"]) if one["name"] in order else 9)


def sentence(result: Mapping[str, Any] | None) -> str | None:
    """What would have come of it, in one sentence."""
    by_name = {one["name"]: one for one in (result or {}).get("policies", ())}
    new, now = by_name.get(NEW), by_name.get(CURRENT)
    if result is None or new is None or now is None:
        return None
    said = (
        f"With this policy there would have been {words.plural(new['runs'], 'run')} and "
        f"{words.plural(len(new['promotions']), 'promotion')}, in {words.span(new['search_seconds'])} of search"
    )
    a, b = new["mean_window_score"], now["mean_window_score"]
    if a is None or b is None:
        return said + "."
    name = words.metric_name(result["metric"])
    return f"{said}; {name} {words.score(a)} live, {words.score(b)} with the one in force."


def drawn(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Live quality by window for the chart."""
    if result is None or not result["windows"]:
        return None
    told = policies(result)
    return {
        "kind": "lines",
        "x": [one["number"] for one in result["windows"]],
        "names": [one["title"] for one in told],
        "lines": [one["window_scores"] for one in told],
    }


def _asked(form: FormData, project: Project) -> dict[str, Any]:
    """The change that the form stands for: its fields, or the whole policy where that was edited."""
    text = form.get("whole")
    if not isinstance(text, str):
        return change({name: value for name, value in form.items() if isinstance(value, str)}, project.policy)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _no_policy(f"That is not valid JSON: {error}.") from None
    if not isinstance(found, dict):
        raise _no_policy("A policy is a JSON object.")
    return found


def _no_policy(detail: str) -> Problem:
    return Problem(
        422, "invalid_policy", detail, field="policy", remedy="Correct it, or reload the page to begin anew."
    )
