"""What happened, newest first, each with its why: the ledgers of a project told as one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry.approval_records import Approval, ApprovalStatus
from registry.probations import Probation, ProbationStatus
from registry.records import (
    Batch,
    BatchKind,
    Decision,
    DriftRecord,
    Project,
    Promotion,
    PromotionKind,
    Run,
    RunStatus,
)
from registry.store import Registry
from service.dashboard import words
from service.facts import was_interrupted

_EACH = 30
_BATCHES = 60
_TITLES = {
    "promoted": "proved better and was promoted",
    "rejected": "found nothing better",
    "inconclusive": "could not tell",
    "awaiting_approval": "proved better and waits for approval",
}
_ENDINGS = {
    (RunStatus.FAILED, True): ("plain", "was interrupted"),
    (RunStatus.FAILED, False): ("bad", "failed"),
    (RunStatus.CANCELLED, False): ("plain", "was cancelled"),
    (RunStatus.COMPLETED, False): ("plain", "ended without a verdict"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """``tone`` is good, bad, watch or plain; ``page`` lies below the project's."""

    at: datetime
    project: str
    tone: str
    title: str
    why: str
    page: str


def story(
    registry: Registry,
    project: Project,
    *,
    since: datetime | None = None,
    most: int = 20,
    waits: bool = True,
) -> list[Happening]:
    """The newest ``most`` happenings after ``since``. Where ``waits``, the newest decision to wait is among them."""
    name = project.name
    promotions = registry.ledger.promotions(project.id, limit=_EACH)
    promoting = {one.run for one in promotions if one.kind is PromotionKind.PROMOTION}
    told = [_promoted(name, one) for one in promotions]
    # A run that promoted is told by its promotion.
    told += [
        _ran(name, one) for one in registry.runs.list(project.id, limit=_EACH) if one.number not in promoting
    ]
    told += [
        _answered(name, one)
        for one in registry.approvals.list(project.id, limit=_EACH)
        if one.ended_at and one.status is not ApprovalStatus.APPROVED
    ]
    told += [_tried(name, one) for one in registry.probations.list(project.id, limit=_EACH) if one.ended_at]
    told += [
        _moved(name, one) for one in registry.drift.list(project.id, limit=_EACH) if one.report["drifted"]
    ]
    told += [
        _uploaded(name, one)
        for one in registry.datasets.batches(project.id, limit=_BATCHES)
        if one.kind is BatchKind.UPLOAD
    ]
    last = registry.ledger.last_decision(project.id)
    if waits and last is not None and last.outcome == "refused":
        told.append(_refused(name, last))
    kept = [one for one in told if since is None or one.at >= since]
    return sorted(kept, key=lambda one: one.at, reverse=True)[:most]


def _promoted(project: str, entry: Promotion) -> Happening:
    before = "" if entry.from_version is None else f" in place of v{entry.from_version}"
    titles = {
        PromotionKind.PROMOTION: ("good", f"v{entry.to_version} became champion{before}"),
        PromotionKind.MANUAL: ("plain", f"v{entry.to_version} was made champion by hand{before}"),
        PromotionKind.ROLLBACK: ("bad", f"Rolled back to v{entry.to_version}"),
    }
    tone, title = titles[entry.kind]
    page = f"/models/{entry.to_version}" if entry.run is None else f"/runs/{entry.run}"
    return Happening(at=entry.at, project=project, tone=tone, title=title, why=entry.reason, page=page)


def _ran(project: str, run: Run) -> Happening:
    page = f"/runs/{run.number}"
    if run.status.is_active:
        title = f"Run {run.number} is {run.status.value}"
        at = run.started_at or run.created_at
        return Happening(at=at, project=project, tone="plain", title=title, why=run.reason, page=page)
    at = run.finished_at or run.created_at
    if run.status is RunStatus.COMPLETED and run.verdict is not None:
        outcome = str(run.verdict["outcome"])
        tone = {"promoted": "good", "awaiting_approval": "watch"}.get(outcome, "plain")
        title = f"Run {run.number} {_TITLES.get(outcome, outcome)}"
        return Happening(
            at=at, project=project, tone=tone, title=title, why=str(run.verdict["reason"]), page=page
        )
    tone, ending = _ENDINGS[run.status, was_interrupted(run)]
    title = f"Run {run.number} {ending}"
    return Happening(at=at, project=project, tone=tone, title=title, why=run.error or run.reason, page=page)


def _answered(project: str, one: Approval) -> Happening:
    """One that was approved is told by its promotion."""
    said = {
        ApprovalStatus.REFUSED: f"v{one.version} was refused",
        ApprovalStatus.EXPIRED: f"v{one.version} was not approved in time",
        ApprovalStatus.STALE: f"v{one.version} is no longer asked about",
    }
    page = "/monitoring" if one.run is None else f"/runs/{one.run}"
    at, title = one.ended_at or one.asked_at, said[one.status]
    return Happening(at=at, project=project, tone="plain", title=title, why=one.reason, page=page)


def _tried(project: str, one: Probation) -> Happening:
    tones = {
        ProbationStatus.CONFIRMED: ("good", f"v{one.champion} passed its probation"),
        ProbationStatus.ROLLED_BACK: ("bad", f"v{one.champion} failed its probation"),
        ProbationStatus.PROMOTED: ("good", f"v{one.other} proved better in shadow"),
        ProbationStatus.ANNOTATED: ("watch", f"v{one.champion} would have failed its probation"),
        ProbationStatus.EXPIRED: ("plain", f"The probation of v{one.champion} ended without an answer"),
    }
    tone, title = tones.get(one.status, ("plain", f"Probation of v{one.champion}"))
    at = one.ended_at or one.began_at
    return Happening(
        at=at, project=project, tone=tone, title=title, why=one.reason, page=f"/models/{one.champion}"
    )


def _moved(project: str, record: DriftRecord) -> Happening:
    names = ", ".join(words.short(name, 24) for name in record.drifted[:4])
    more = f" and {len(record.drifted) - 4} more" if len(record.drifted) > 4 else ""
    title = f"{words.share(record.share)} of the columns moved"
    return Happening(
        at=record.at, project=project, tone="watch", title=title, why=f"{names}{more}", page="/monitoring"
    )


def _uploaded(project: str, batch: Batch) -> Happening:
    title = f"{words.plural(batch.rows, 'row')} uploaded"
    why = "none with its label"
    if batch.labelled:
        why = (
            "all with their label" if batch.labelled == batch.rows else f"{batch.labelled:,} with their label"
        )
    tone = "plain"
    if batch.quarantined:
        tone = "watch"
        why += f", {batch.quarantined:,} refused into quarantine"
    page = f"/data/{batch.number}"
    return Happening(at=batch.created_at, project=project, tone=tone, title=title, why=why, page=page)


def _refused(project: str, decision: Decision) -> Happening:
    return Happening(
        at=decision.at,
        project=project,
        tone="plain",
        title="Did not retrain",
        why=f"because {decision.reason}",
        page="/runs",
    )
