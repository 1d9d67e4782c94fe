"""Approvals: what waits for people, with all that they decide on; approving and refusing it."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from registry.approval_records import Approval, ApprovalStatus
from registry.records import Project
from service.actors import NOBODY
from service.api.context import Caller, Context, Ctx, ProjectInPath, require
from service.api.schemas import Body
from service.approving import approvers_now

router = APIRouter()

_LOOKED_THROUGH = 500


class Approve(Body):
    """``reason`` goes into the ledger. ``version`` names the judged version where the refitted one is not wanted."""

    reason: str = Field(min_length=1, max_length=500)
    version: int | None = Field(default=None, ge=1)


class Refuse(Body):
    reason: str = Field(min_length=1, max_length=500)


@router.get("/{project}/approvals", dependencies=[Depends(require("data"))])
def list_approvals(
    project: ProjectInPath,
    context: Ctx,
    status: Literal["open", "approved", "refused", "expired", "stale"] | None = None,
    limit: int = Query(default=50, ge=1, le=500),
) -> dict[str, Any]:
    """Newest first. One whose time is up, or whose champion has changed, is `expired` or `stale` from that moment."""
    found = context.registry.approvals.list(project.id, limit=limit if status is None else _LOOKED_THROUGH)
    told = [shown(context, project, one) for one in found]
    return {"approvals": [one for one in told if status in (None, one["status"])][:limit]}


@router.get("/{project}/approvals/{approval}", dependencies=[Depends(require("data"))])
def get(project: ProjectInPath, approval: int, context: Ctx) -> dict[str, Any]:
    """One approval with its decision card: the verdict with all gates, and what the two models are."""
    found = context.registry.approvals.get(project.id, approval)
    return {**shown(context, project, found), "card": card(context, project, found)}


@router.post("/{project}/approvals/{approval}/approve", dependencies=[Depends(require("approve"))])
def approve(
    project: ProjectInPath, approval: int, body: Approve, context: Ctx, actor: Caller = NOBODY
) -> dict[str, Any]:
    """The challenger becomes champion, at once or when the second key has approved it too.

    409 where it has ended (`approval_ended`), its time is up (`approval_expired`), the champion changed since
    (`approval_stale`), it is about another version (`other_version`) or two keys are asked for and none was shown
    (`key_needed`). The same said again by the same one changes nothing.
    """
    kept = context.approving.approve(project, approval, actor, body.reason, version=body.version)
    return shown(context, context.registry.projects.by_id(project.id), kept)


@router.post("/{project}/approvals/{approval}/refuse", dependencies=[Depends(require("approve"))])
def refuse(
    project: ProjectInPath, approval: int, body: Refuse, context: Ctx, actor: Caller = NOBODY
) -> dict[str, Any]:
    """Nothing is promoted; one refusal is enough. The model stays, and so does what was said of it."""
    kept = context.approving.refuse(project, approval, actor, body.reason)
    return shown(context, context.registry.projects.by_id(project.id), kept)


def shown(context: Context, project: Project, one: Approval) -> dict[str, Any]:
    """An approval as it stands now."""
    standing = one.standing(project.epoch, context.clock())
    reason, approvers = one.reason, approvers_now(project, one)
    if standing is not one.status:
        reason = f"{standing.value.capitalize()}. It was: {one.reason}"
    return {
        "approval": one.number,
        "status": standing.value,
        "reason": reason,
        "run": one.run,
        "probation": one.probation,
        "version": one.version,
        "judged": one.judged,
        "champion": one.champion,
        "started_by": one.starter,
        "approvers": approvers,
        "missing": _missing(context, one, standing, approvers),
        "said": [
            {"word": said.word.value, "version": said.version, "by": said.who}
            | {"reason": said.reason, "at": said.at}
            for said in one.said
        ],
        "asked_at": one.asked_at,
        "expires_at": one.expires_at,
        "ended_at": one.ended_at,
    }


def card(context: Context, project: Project, one: Approval) -> dict[str, Any]:
    """What there is to decide on."""
    registry = context.registry
    run = None if one.run is None else registry.runs.get(project.id, one.run)
    models = {}
    for name, version in (("champion", one.champion), ("judged", one.judged), ("version", one.version)):
        model = None if version is None else registry.models.get(project.id, version)
        models[name] = model and {
            "version": model.version,
            "estimator": model.estimator,
            "score": model.details.get("score"),
            "train_rows": model.details.get("train_rows"),
            "size_bytes": model.details.get("size_bytes"),
            "refit_of": model.details.get("refit_of"),
        }
    probation = None if one.probation is None else registry.probations.get(project.id, one.probation)
    return {
        "verdict": None if run is None else run.verdict,
        "trigger": None if run is None else run.trigger,
        "snapshot": None if run is None else run.snapshot,
        "models": models,
        "probation": None if probation is None else {"reason": probation.reason, "state": probation.state},
    }


def _missing(context: Context, one: Approval, standing: ApprovalStatus, approvers: int) -> int:
    """How many have to approve it yet."""
    if standing is not ApprovalStatus.OPEN:
        return 0
    return max(1, approvers - len(context.registry.approvals.binding(one)))
