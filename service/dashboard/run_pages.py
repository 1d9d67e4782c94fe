"""Runs and decisions, and the card of one run: what started it, what it learnt from, what it tried, how it was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from registry.records import Decision, Promotion, Run, TrialRecord
from service.api import runs as api
from service.api.approvals import shown as approval_shown
from service.api.context import Ctx, ProjectInPath
from service.api.schemas import NewRun
from service.dashboard import charts, words
from service.dashboard.access import Admin, Looks, Why
from service.dashboard.frame import PageRoute, page_of, to
from service.dashboard.sessions import say
from service.dashboard.trust import panels
from service.energy.reading import of_run
from service.trust_reports import trust_report

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_RUNS = 30
_DECISIONS = 60
_BAR = 48.0


@router.get("/projects/{project}/runs")
def runs_page(
    request: Request,
    context: Ctx,
    viewer: Looks,
    project: ProjectInPath,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    registry = context.registry
    runs = registry.runs.list(project.id, limit=_RUNS, before=before)
    return page_of(
        request,
        viewer,
        project,
        "runs.html",
        twin="/runs",
        runs=runs,
        active=registry.runs.active(project.id),
        older=runs[-1].number if len(runs) == _RUNS and runs[-1].number > 1 else None,
        decisions=grouped(registry.ledger.decisions(project.id, limit=_DECISIONS)),
    )


def grouped(decisions: Sequence[Decision]) -> list[list[Decision]]:
    """Decisions to wait that follow each other for the same reason are one group; the newest stands first."""
    groups: list[list[Decision]] = []
    for one in decisions:
        last = groups[-1][-1] if groups else None
        alike = last is not None and last.outcome == one.outcome == "refused" and last.trigger == one.trigger
        if alike:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


@router.post("/projects/{project}/runs")
def start(context: Ctx, viewer: Admin, project: ProjectInPath, reason: Why) -> Response:
    started = api.start(project, context, Response(), NewRun(reason=reason), viewer.actor)
    response = to(f"/projects/{project.name}/runs/{started['run']}")
    say(context, response, f"Run {started['run']} is queued.")
    return response


@router.post("/projects/{project}/runs/{run}/cancel")
def cancel(context: Ctx, viewer: Admin, project: ProjectInPath, run: int) -> Response:
    api.cancel(project, run, context)
    response = to(f"/projects/{project.name}/runs/{run}")
    say(context, response, f"Run {run} was asked to stop.")
    return response


@router.get("/projects/{project}/runs/{number}")
def run_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, number: int) -> Response:
    registry = context.registry
    run = registry.runs.get(project.id, number)
    trials = registry.runs.trials(run.id)
    promotions = registry.ledger.promotions(project.id, limit=200)
    metric = str((run.verdict or {}).get("metric") or project.task["metric"])
    lower = words.lower_is_better(metric)
    approval = registry.approvals.of_run(project.id, number)
    gates = (run.verdict or {}).get("gates", ())
    began = run.started_at or run.created_at
    challenger = None if run.challenger is None else registry.models.get(project.id, run.challenger)
    until = began + timedelta(seconds=float(run.plan["budget_seconds"]))
    return page_of(
        request,
        viewer,
        project,
        "run.html",
        twin=f"/runs/{number}",
        run=run,
        trials=trials,
        failed_trials=sum(1 for trial in trials if trial.error),
        search=charts.search(trials, run.started_at, lower_is_better=lower),
        engines=engines(run, trials, lower_is_better=lower),
        gates_passed=sum(1 for gate in gates if gate["passed"]),
        gates_failed=sum(1 for gate in gates if words.gate_state(gate)[0] == "no"),
        champion_then=champion_then(run, promotions),
        reigns=any(one.run == number and one.to_version == project.champion for one in promotions[:1]),
        energy=of_run(registry.energy.of_runs(project.id, (number,)).get(number, ()), run.verdict),
        approval=approval and approval_shown(context, project, approval),
        evidence=evidence(run.trigger.get("evidence") or {}),
        pseudo=pseudo(run),
        slices=slices(gates, lower_is_better=lower),
        trust=panels(None if challenger is None else trust_report(registry, challenger)),
        phase=phase(run, trials),
        until=until,
        spent=max(0.0, (context.clock() - began).total_seconds()) if run.started_at else 0,
    )


def engines(run: Run, trials: Sequence[TrialRecord], *, lower_is_better: bool) -> list[dict[str, Any]]:
    """One line for each engine that tried something, with its best."""
    told: Mapping[str, Any] = run.engines or {}
    found = []
    for name in dict.fromkeys(trial.engine for trial in trials):
        mine = [trial for trial in trials if trial.engine == name]
        scored = [trial for trial in mine if trial.score is not None]
        pick = min if lower_is_better else max
        best = pick(scored, key=lambda trial: trial.score or 0.0) if scored else None
        seconds = (told.get(name) or {}).get("seconds")
        found.append(
            {
                "name": name,
                "trials": len(mine),
                "best": None if best is None else best.estimator,
                "score": None if best is None else best.score,
                "seconds": sum(trial.seconds for trial in mine) if seconds is None else seconds,
            }
        )
    return found


def champion_then(run: Run, promotions: Sequence[Promotion]) -> int | None:
    """Who was champion when the run was judged; None while there was none."""
    at = run.finished_at or run.created_at
    before = [one for one in promotions if one.at < at and one.run != run.number]
    told = (run.trigger.get("evidence") or {}).get("champion")
    return before[0].to_version if before else told


_EVIDENCE = {
    "truths": "Rows with truth",
    "fresh_labels": "Fresh labels",
    "spent_seconds": "Search seconds spent in 24 h",
    "live_score": "Live quality",
    "sure_drop": "Sure drop",
    "estimated_score": "Estimated quality",
    "estimated_loss": "Estimated loss",
    "prediction_drift": "Answers moved by",
    "drift_share": "Share of columns that moved",
    "joint_auc": "Old and new rows told apart (AUC)",
    "loss_before": "Mean loss before",
    "loss_after": "Mean loss after",
}


def evidence(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was known when the run was decided on, in plain words."""
    told = []
    for name, label in _EVIDENCE.items():
        value = found.get(name)
        if value is not None:
            told.append((label, words.count(value) if isinstance(value, int) else f"{value:.4g}"))
    if found.get("drifted"):
        told.append(("Columns that moved", ", ".join(map(str, found["drifted"]))))
    return told


def pseudo(run: Run) -> str | None:
    """What became of pseudo-labels in this run."""
    gates = (run.verdict or {}).get("gates", ())
    gate = next((one for one in gates if "pseudo" in str(one["name"])), None)
    if gate is not None:
        return str(gate["reason"])
    pool = (run.snapshot or {}).get("pool_rows")
    return None if not pool else f"{pool:,} unlabelled rows were offered to the teacher"


def slices(gates: Sequence[Mapping[str, Any]], *, lower_is_better: bool) -> list[dict[str, Any]]:
    """Every slice with its change, the worst first, and its bar."""
    gate = next((one for one in gates if one["name"] == "slices"), None)
    found: list[dict[str, Any]] = [
        dict(one) for one in ((gate or {}).get("evidence") or {}).get("slices", ())
    ]
    for one in found:
        before, after = one["champion"], one["challenger"]
        plain = None if before is None or after is None else after - before
        gain = plain if plain is None or not lower_is_better else -plain
        one["change"] = gain
        one["better"] = (gain or 0) >= 0
    most = max((abs(one["change"] or 0) for one in found), default=0) or 1
    for one in found:
        width = abs(one["change"] or 0) / most * _BAR
        one["width"] = round(width, 2)
        one["x"] = 0 if one["better"] else round(-width, 2)
    return sorted(found, key=lambda one: one["change"] if one["change"] is not None else 0.0)


def phase(run: Run, trials: Sequence[TrialRecord]) -> str:
    """What a run that is under way does now."""
    if run.started_at is None:
        return "Queued"
    if run.cancel_requested:
        return "Stopping"
    if run.snapshot is None:
        return "Freezing the rows"
    if not trials:
        return "Starting the search"
    return "Judging" if run.engines is not None else "Searching"
