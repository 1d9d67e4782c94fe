"""Runs: starting, watching and cancelling them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from registry.records import Run, TrialRecord
from service.actors import NOBODY
from service.api.approvals import shown
from service.api.context import Caller, Context, Ctx, ProjectInPath, require
from service.api.schemas import NewRun
from service.conclusion import ended
from service.energy.reading import of_run
from service.problems import Problem

router = APIRouter()

_LOOK_SECONDS = 0.5
_KEEP_ALIVE_SECONDS = 15.0


@router.post("/{project}/runs", status_code=202, dependencies=[Depends(require("admin"))])
def start(
    project: ProjectInPath,
    context: Ctx,
    response: Response,
    body: NewRun | None = None,
    actor: Caller = NOBODY,
) -> dict[str, Any]:
    """Queue a run now, whatever the triggers say. 409 while one is active."""
    asked = body or NewRun()
    if project.schema is None:
        raise Problem(
            409,
            "no_data",
            f"The project {project.name!r} has no data yet.",
            remedy=f"POST labelled rows to /v1/projects/{project.name}/data first.",
        )
    run = context.scheduler.request_run(
        project,
        reason=asked.reason,
        budget_seconds=asked.budget_seconds,
        engines=asked.shares,
        by=actor.name,
    )
    response.headers["Location"] = f"/v1/projects/{project.name}/runs/{run.number}"
    return {"run": run.number, "status": run.status.value}


@router.get("/{project}/runs", dependencies=[Depends(require("data"))])
def list_runs(
    project: ProjectInPath,
    context: Ctx,
    limit: int = Query(default=50, ge=1, le=500),
    before: int | None = None,
) -> dict[str, Any]:
    runs = context.registry.runs.list(project.id, limit=limit, before=before)
    energy = context.registry.energy.of_runs(project.id, [run.number for run in runs])
    return {
        "runs": [{**summary(run), "energy": of_run(energy.get(run.number, ()), run.verdict)} for run in runs]
    }


@router.get("/{project}/runs/{run}", dependencies=[Depends(require("data"))])
def get(project: ProjectInPath, run: int, context: Ctx) -> dict[str, Any]:
    found = context.registry.runs.get(project.id, run)
    trials = context.registry.runs.trials(found.id)
    energy = context.registry.energy.of_runs(project.id, (found.number,))
    approval = context.registry.approvals.of_run(project.id, found.number)
    return {
        **summary(found),
        "approval": approval and shown(context, project, approval),
        "energy": of_run(energy.get(found.number, ()), found.verdict),
        "trials": [_trial(trial) for trial in trials],
    }


@router.post("/{project}/runs/{run}/cancel", status_code=202, dependencies=[Depends(require("admin"))])
def cancel(project: ProjectInPath, run: int, context: Ctx) -> dict[str, Any]:
    """Cancel a queued or running run; its children end within a second. One that ended stays as it is (409)."""
    found = context.registry.runs.get(project.id, run)
    if not found.status.is_active:
        raise Problem(
            409,
            "run_ended",
            f"Run {run} has ended already: {found.status.value}.",
            remedy="Only a queued or running run can be cancelled.",
        )
    asked = context.registry.runs.request_cancel(
        found.id, tell=lambda run: ended(run, {project.id: project.name}), at=context.clock()
    )
    return {"run": asked.number, "status": asked.status.value, "cancel_requested": True}


@router.get("/{project}/runs/{run}/events", dependencies=[Depends(require("data"))])
async def events(project: ProjectInPath, run: int, request: Request, context: Ctx) -> StreamingResponse:
    """Server-sent events: ``trial`` for each trial, ``status`` for each change, and a last ``end``."""
    found = await run_in_threadpool(context.registry.runs.get, project.id, run)
    return StreamingResponse(
        _stream(context, found.id, request),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _stream(context: Context, run_id: int, request: Request) -> AsyncIterator[str]:
    last, status, quiet = 0, None, 0.0
    while not await request.is_disconnected() and not getattr(request.app.state, "closing", False):
        run = await run_in_threadpool(context.registry.runs.by_id, run_id)
        trials = await run_in_threadpool(context.registry.runs.trials, run_id, last)
        for trial in trials:
            last = trial.number
            yield _event("trial", _trial(trial), last)
        if run.status != status:
            status = run.status
            yield _event("status", summary(run), last)
        if not run.status.is_active:
            yield _event("end", {"run": run.number, "status": run.status.value}, last)
            return
        quiet = 0.0 if trials else quiet + _LOOK_SECONDS
        if quiet >= _KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _event(name: str, data: dict[str, Any], number: int) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, default=str)}\n\n"


def summary(run: Run) -> dict[str, Any]:
    return {
        "run": run.number,
        "status": run.status.value,
        "trigger": dict(run.trigger),
        "reason": run.reason,
        "attempt": run.attempt,
        "budget_seconds": run.plan["budget_seconds"],
        "dataset_version": run.dataset_version,
        "snapshot": run.snapshot,
        "engines": run.engines,
        "verdict": run.verdict,
        "challenger": run.challenger,
        "error": run.error,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        "number": trial.number,
        "engine": trial.engine,
        "estimator": trial.estimator,
        "score": trial.score,
        "seconds": trial.seconds,
        "config": dict(trial.config),
        "error": trial.error,
        "at": trial.at,
    }
