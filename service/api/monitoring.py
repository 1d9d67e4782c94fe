"""What the service sees and decides: decisions, drift, live quality, events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Query

from registry.loss_monitors import LOSS_CHANGE
from registry.outliers import Look
from registry.records import DriftRecord, QualityRecord
from service.api.context import Ctx, ProjectInPath, require
from service.facts import gather
from service.fairness_reports import fairness
from service.forecasts.kind import NOT_WATCHED, is_forecasting, served_version
from service.forecasts.view import forecast_performance
from service.outliers import newest_share
from service.performance import performance, side_by_side
from service.policy import Policy
from service.probation_view import standing
from service.problems import Problem
from service.triggers import Trigger, due

router = APIRouter(dependencies=[Depends(require("data"))])


@router.get("/{project}/decisions")
def decisions(
    project: ProjectInPath,
    context: Ctx,
    limit: int = Query(default=50, ge=1, le=500),
    before: int | None = None,
) -> dict[str, Any]:
    """Every look at the triggers that came to a new answer, newest first: "did not retrain, because …" too."""
    entries = context.registry.ledger.decisions(project.id, limit=limit, before=before)
    return {
        "decisions": [
            {
                "number": entry.number,
                "outcome": entry.outcome,
                "trigger": entry.trigger,
                "reason": entry.reason,
                "evidence": dict(entry.evidence),
                "run": entry.run,
                "at": entry.at,
            }
            for entry in entries
        ]
    }


@router.get("/{project}/drift")
def drift(
    project: ProjectInPath, context: Ctx, limit: int = Query(default=20, ge=1, le=200)
) -> dict[str, Any]:
    """The newest drift reports: effect sizes by column, against the champion's training rows."""
    return {"reports": [_report(record) for record in context.registry.drift.list(project.id, limit=limit)]}


@router.get("/{project}/performance")
def live_quality(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """The metric on answered rows whose truth has come."""
    if project.schema is None:
        raise Problem(
            409,
            "no_data",
            f"The project {project.name!r} has no data yet.",
            remedy=f"POST labelled rows to /v1/projects/{project.name}/data first.",
        )
    if is_forecasting(project):
        return forecast_performance(context.registry, project)
    return performance(context.registry, project)


@router.get("/{project}/fairness")
def groups(
    project: ProjectInPath, context: Ctx, limit: int = Query(default=20, ge=1, le=200)
) -> dict[str, Any]:
    """The champion's rates and errors by group of the audited columns: as it was judged, and on its own answers whose
    truth has come (``live`` the newest look, ``looks`` the gaps of this and those before)."""
    return fairness(context.registry, project, limit=limit)


@router.get("/{project}/monitoring")
def monitoring(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """One page: what is served, what the data look like, and what the triggers would say now."""
    now = context.clock()
    policy = Policy.stored(project.policy)
    facts = context.registry.datasets.facts(project.id)
    answer = due(policy, gather(context.registry, project, policy, now), now)
    served = context.serving.champions.get(project.name)
    latest = context.registry.drift.latest(project.id)
    on_probation = context.registry.probations.current(project.id)
    return {
        "champion": project.champion,
        "served": served_version(project, None if served is None else served.version),
        "rows": facts.rows,
        "labelled": facts.truths,
        "predictions": facts.predictions,
        "last_row_at": facts.last_row_at,
        "last_truth_at": facts.last_truth_at,
        "drift": None if latest is None else _report(latest),
        "outliers": _odd_rows(context.registry.outliers.looks(project.id)),
        "loss_change": _loss_change(context.registry.quality.latest(project.id, LOSS_CHANGE)),
        "quality": side_by_side(context.registry, project),
        "next_scheduled_at": context.registry.due.get(project.id, "schedule"),
        "probation": None if on_probation is None else standing(on_probation),
        **({"not_watched": NOT_WATCHED} if is_forecasting(project) else {}),
        "due": isinstance(answer, Trigger),
        "because": answer.reason,
    }


def _odd_rows(looks: Sequence[Look]) -> dict[str, Any] | None:
    """The odd part of the newest rows, and which columns made them so in the newest look."""
    share = newest_share(looks)
    if share is None:
        return None
    return {
        "rows": share[1],
        "odd": share[0],
        "share": share[0] / share[1],
        "columns": dict(looks[0].columns),
    }


def _report(record: DriftRecord) -> dict[str, Any]:
    return {
        "at": record.at,
        "model_version": record.model_version,
        "share": record.share,
        "drifted": list(record.drifted),
        "columns": record.report["columns"],
        "rows_reference": record.report["rows_reference"],
        "rows_current": record.report["rows_current"],
        "joint": record.report.get("joint"),
        "top_columns": record.report.get("top_columns", list(record.drifted)),
    }


def _loss_change(record: QualityRecord | None) -> dict[str, Any] | None:
    """The newest change of a champion's mean loss, a fall or a rise."""
    if record is None:
        return None
    return {"at": record.at, "model_version": record.model_version, **record.report}
