"""What the triggers read, gathered from the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from automl.schema import Schema
from automl.task import Task
from registry.loss_monitors import LOSS_CHANGE
from registry.records import BatchKind, Project, QualityRecord, Run, RunStatus
from registry.store import Registry
from service.policy import Contract, Policy
from service.trigger_facts import DriftFact, EstimateFact, Facts, LossFact, PredictionDriftFact, QualityFact
from service.triggers import DECAY

_RECENT_RUNS = 20
MOST_ATTEMPTS = 2
_FEW_ROWS = 20


def gather(registry: Registry, project: Project, policy: Policy, now: datetime) -> Facts:
    """The facts about a project at this moment."""
    runs = registry.runs.list(project.id, limit=_RECENT_RUNS)
    newest = runs[0] if runs else None
    last = next((run for run in runs if _counts(run)), None)
    truths = registry.datasets.facts(project.id).truths
    return Facts(
        champion=project.champion,
        truths=truths,
        # labels may have been revoked since: what comes after that is fresh
        truths_at_last_run=None if last is None else min(int(last.plan["truths"]), truths),
        active_run=newest.number if newest is not None and newest.status.is_active else None,
        last_run_ended_at=None if last is None else last.finished_at,
        interrupted_run=newest.number if newest is not None and may_retry(newest) else None,
        spent_seconds=registry.runs.spent_seconds(project.id, now - timedelta(days=1)),
        spent_wh=registry.energy.spent_wh(project.id, now - timedelta(days=1)),
        schedule_due_at=registry.due.get(project.id, "schedule"),
        drift=_drift(registry, project, last),
        decay=_decay(registry, project, last),
        decay_answered=_decay_answered(registry, project, runs),
        loss=_loss(registry, project, last),
        estimate=_estimate(registry, project, last),
        prediction_drift=_prediction_drift(registry, project, last),
        quick_start=last is not None and bool(last.plan.get("quick")),
        without_label=_without_label(registry, project) if last is None else (),
        broken=_broken(registry, project, policy),
    )


def was_interrupted(run: Run) -> bool:
    """Whether the run ended because its process was lost or stopped, not because of itself."""
    return run.status is RunStatus.FAILED and (run.error or "").startswith("interrupted")


def may_retry(run: Run) -> bool:
    """Whether the run is to be started again by itself: once, when it was interrupted."""
    return was_interrupted(run) and run.attempt < MOST_ATTEMPTS


def _counts(run: Run) -> bool:
    return not run.status.is_active and not may_retry(run)


def _without_label(registry: Registry, project: Project) -> tuple[str, ...]:
    """Classes that their owner declared and of which there is no label yet; looked for until there is a champion."""
    task = Task.from_json(project.task)
    if not task.declared or project.champion is not None or project.schema is None:
        return ()
    text = Schema.from_json(project.schema).target.text
    known = registry.datasets.truth_counts(project.id)
    return tuple(text(label) for label in task.classes if text(label) not in known)


def _drift(registry: Registry, project: Project, last: Run | None) -> DriftFact | None:
    report = registry.drift.latest(project.id)
    if report is None or report.model_version != project.champion:
        return None
    if last is not None and report.at <= last.created_at:
        return None
    joint = report.report.get("joint") or {}
    return DriftFact(
        share=report.share,
        drifted=report.drifted,
        at=report.at,
        auc=joint.get("auc"),
        joint=bool(joint.get("drifted", False)),
    )


def _decay(registry: Registry, project: Project, last: Run | None) -> QualityFact | None:
    report = _newest(registry, project, last, "realised")
    if report is None:
        return None
    found = report.report
    return QualityFact(
        score=report.score,
        reference=report.reference,
        drop=float(found["drop"]),
        sure_drop=float(found["sure_drop"]),
        allowed=float(found["allowed"]),
        rows=int(found["rows"]),
        at=report.at,
    )


def _decay_answered(registry: Registry, project: Project, runs: Sequence[Run]) -> bool:
    """Whether one of the newest runs was started by the decay of the model that is still champion."""
    reign = registry.ledger.promotions(project.id, limit=1)
    if not reign:
        return False
    since = reign[0].at
    return any(DECAY in run.trigger.get("fired", ()) and run.created_at > since for run in runs)


def _loss(registry: Registry, project: Project, last: Run | None) -> LossFact | None:
    report = _newest(registry, project, last, LOSS_CHANGE)
    if report is None or report.score <= report.reference:
        return None
    return LossFact(
        before=report.reference, after=report.score, rows=int(report.report["rows"]), at=report.at
    )


def _estimate(registry: Registry, project: Project, last: Run | None) -> EstimateFact | None:
    report = _newest(registry, project, last, "estimated")
    if report is None:
        return None
    found = report.report
    return EstimateFact(
        metric=str(found["metric"]),
        score=report.score,
        usual=report.reference,
        loss=float(found["loss"]),
        allowed=float(found["allowed"]),
        decayed=bool(found["decayed"]),
        rows=int(found["rows"]),
        at=report.at,
    )


def _prediction_drift(registry: Registry, project: Project, last: Run | None) -> PredictionDriftFact | None:
    report = _newest(registry, project, last, "prediction_drift")
    if report is None:
        return None
    return PredictionDriftFact(
        effect=report.score,
        threshold=report.reference,
        rows=int(report.report["rows_current"]),
        at=report.at,
    )


def _newest(registry: Registry, project: Project, last: Run | None, kind: str) -> QualityRecord | None:
    """The newest report of a kind on the champion that no run has answered yet."""
    report = registry.quality.latest(project.id, kind)
    if report is None or report.model_version != project.champion:
        return None
    return None if last is not None and report.at <= last.created_at else report


def _broken(registry: Registry, project: Project, policy: Policy) -> str | None:
    """How the newest data break the contract, or None."""
    rule = policy.triggers.contract
    if rule is None:
        return None
    upload = next(
        (one for one in registry.datasets.batches(project.id, limit=20) if one.kind == BatchKind.UPLOAD), None
    )
    if upload is not None:
        sent = upload.rows + upload.quarantined
        if sent >= _FEW_ROWS and upload.quarantined > rule.max_quarantined * sent:
            return f"{upload.quarantined} of the {sent} rows of upload {upload.number} were refused"
    report = registry.drift.latest(project.id)
    if report is None or report.model_version != project.champion:
        return None
    return moved_too_far(report.report, rule)


def moved_too_far(report: Mapping[str, Any], rule: Contract) -> str | None:
    """Which number of a drift report moved so far that its unit must have changed, or None."""
    for column in report["columns"]:
        if column["method"] == "wasserstein" and column["score"] > rule.max_shift:
            return (
                f"{column['name']!r} moved by {column['score']:.3g} standard deviations in the newest window; "
                "has a unit changed?"
            )
    return None
