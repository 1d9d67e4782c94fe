"""Models, the champion, and who it was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Query

from registry.approval_records import Approval
from registry.records import Model, NewPromotion, Project, Promotion, PromotionKind
from service.actors import NOBODY, Actor
from service.api.context import Caller, Context, Ctx, ProjectInPath, require
from service.api.schemas import Reason
from service.approving import approvers_now
from service.forecasts.kind import served_version
from service.policy import Policy
from service.problems import Problem
from service.trust_reports import trust_report

router = APIRouter()


@router.get("/{project}/models", dependencies=[Depends(require("data"))])
def list_models(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    models = context.registry.models.list(project.id)
    return {"models": [shown(model, project) for model in models]}


@router.get("/{project}/models/{version}", dependencies=[Depends(require("data"))])
def get(project: ProjectInPath, version: int, context: Ctx) -> dict[str, Any]:
    model = context.registry.models.get(project.id, version)
    details = dict(model.details)
    return {
        **shown(model, project),
        "config": dict(model.config),
        "requirements": details.get("requirements"),
        "cut": details.get("cut"),
        "snapshot_hash": details.get("hash"),
        "compiled": details.get("compiled"),
        "blob": {"digest": model.blob.digest, "size": model.blob.size},
    }


@router.get("/{project}/models/{version}/trust", dependencies=[Depends(require("data"))])
def trust(project: ProjectInPath, version: int, context: Ctx) -> dict[str, Any]:
    """What the gate vector found of a version and of the champion of its time, on the same rows, check by check; 404 where
    no check was made of it."""
    report = trust_report(context.registry, context.registry.models.get(project.id, version))
    if report is None:
        raise Problem(
            404,
            "not_examined",
            f"Version {version} of {project.name!r} was not examined beyond its score.",
            remedy="Turn a check on in the policy's gates.trust; the next run makes it.",
        )
    return {"version": version, **report}


@router.post("/{project}/models/{version}/promote", dependencies=[Depends(require("admin"))])
def promote(
    project: ProjectInPath, version: int, context: Ctx, body: Reason | None = None, actor: Caller = NOBODY
) -> dict[str, Any]:
    """Make a version the champion on a person's word: it approves what awaits approval, and overrides the judge.

    `refitted` names the version that is this one trained on all rows, where there is one: that very version can
    be promoted instead. Where the policy asks two people, a version that never was champion has to be approved
    (409 `approval_needed`).
    """
    model = context.registry.models.get(project.id, version)
    reason = (body or Reason()).reason
    waiting = context.approving.waiting(project, version)
    _allow(context, project, version, waiting)
    if waiting is None:
        changed = _change(context, project, version, PromotionKind.MANUAL, reason, model.run, actor)
    else:
        context.approving.approve(project, waiting.number, actor, reason, version=version)
        changed = _promotion(context.registry.ledger.promotions(project.id, limit=1)[0])
    made = context.registry.models.list(project.id)
    refitted = next((one.version for one in made if one.details.get("refit_of") == version), None)
    return {**changed, "refitted": refitted}


@router.post("/{project}/rollback", dependencies=[Depends(require("admin"))])
def rollback(
    project: ProjectInPath, context: Ctx, body: Reason | None = None, actor: Caller = NOBODY
) -> dict[str, Any]:
    """Bring back the champion of before. A second rollback undoes the first."""
    if project.previous is None:
        raise Problem(
            409,
            "nothing_to_roll_back_to",
            f"The project {project.name!r} has had no other champion.",
            remedy=f"Choose a version: POST /v1/projects/{project.name}/models/{{version}}/promote.",
        )
    reason = (body or Reason()).reason
    changed = _change(context, project, project.previous, PromotionKind.ROLLBACK, reason, None, actor)
    context.metrics.rollbacks.labels(project.name).inc()
    return changed


@router.get("/{project}/promotions", dependencies=[Depends(require("data"))])
def promotions(
    project: ProjectInPath, context: Ctx, limit: int = Query(default=50, ge=1, le=500)
) -> dict[str, Any]:
    """Every change of champion, newest first, each with its reason."""
    entries = context.registry.ledger.promotions(project.id, limit=limit)
    return {"promotions": [_promotion(entry) for entry in entries]}


@router.get("/{project}/champion", dependencies=[Depends(require("predict"))])
def champion(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """Which version is the champion, and which one this process serves."""
    served = context.serving.champions.get(project.name)
    newest = next(iter(context.registry.ledger.deployments(project.id, limit=1)), None)
    model = None if project.champion is None else context.registry.models.get(project.id, project.champion)
    return {
        "champion": project.champion,
        "previous": project.previous,
        "epoch": project.epoch,
        "served": served_version(project, None if served is None else served.version),
        "compiled": None if served is None or served.compiled is None else served.compiled.description,
        "not_compiled": None if served is None else served.not_compiled,
        "certainty": None if served is None or served.certainty is None else served.certainty.to_json(),
        "model": None if model is None else shown(model, project),
        "last_deployment": None
        if newest is None
        else {"version": newest.version, "status": newest.status, "reason": newest.reason, "at": newest.at},
    }


def _allow(context: Context, project: Project, version: int, waiting: Approval | None) -> None:
    """Raises a 409 problem where two people have to say so, and one alone would."""
    policy = Policy.stored(project.policy)
    asked = policy.approval.approvers if waiting is None else approvers_now(project, waiting)
    if asked < 2 or (waiting is None and policy.promote_mode != "manual"):
        return
    reigned = context.registry.ledger.promotions(project.id, limit=10_000)
    if waiting is None and any(version in (one.to_version, one.from_version) for one in reigned):
        return
    at = f"/v1/projects/{project.name}/approvals"
    raise Problem(
        409,
        "approval_needed",
        f"Version {version} of {project.name!r} has to be approved by {asked} different keys.",
        remedy=f"POST {at}/{waiting.number}/approve with each of them."
        if waiting is not None
        else f"No approval of it is open (GET {at}). Start a run that asks for one: "
        f"POST /v1/projects/{project.name}/runs.",
    )


def _change(
    context: Context,
    project: Project,
    version: int,
    kind: PromotionKind,
    reason: str,
    run: int | None,
    actor: Actor,
) -> dict[str, Any]:
    new = NewPromotion(expected_epoch=project.epoch, kind=kind, reason=reason, actor=actor.name)
    data: Mapping[str, Any] = {
        "project": project.name,
        "from": project.champion,
        "to": version,
        "kind": kind.value,
        "reason": reason,
    }
    entry = context.registry.ledger.promote(
        project.id,
        version,
        new,
        run=run,
        events=(("incumbent.champion.changed", data),),
        at=context.clock(),
    )
    context.serving.nudge()
    return _promotion(entry)


def _promotion(entry: Promotion) -> dict[str, Any]:
    return {
        "epoch": entry.epoch,
        "kind": entry.kind.value,
        "from": entry.from_version,
        "to": entry.to_version,
        "reason": entry.reason,
        "run": entry.run,
        "actor": entry.actor,
        "at": entry.at,
    }


def shown(model: Model, project: Project) -> dict[str, Any]:
    aliases = [
        alias
        for alias, version in (("champion", project.champion), ("previous", project.previous))
        if version == model.version
    ]
    details = model.details
    return {
        "version": model.version,
        "aliases": aliases,
        "engine": model.engine,
        "estimator": model.estimator,
        "metric": details.get("metric"),
        "score": details.get("score"),
        "cv_score": details.get("cv_score"),
        "outcome": details.get("outcome"),
        "train_rows": details.get("train_rows"),
        "holdout_rows": details.get("holdout_rows"),
        "size_bytes": details.get("size_bytes"),
        "refit_of": details.get("refit_of"),
        "pseudo_labels": details.get("pseudo_labels"),
        "dataset_version": model.dataset_version,
        "run": model.run,
        "created_at": model.created_at,
    }
