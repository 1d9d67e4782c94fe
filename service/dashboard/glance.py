"""What is known of a project at one look, gathered from the registry's facts: no table is read for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from registry.approval_records import ApprovalStatus
from registry.records import (
    DatasetFacts,
    Decision,
    DriftRecord,
    Model,
    Project,
    Promotion,
    PromotionKind,
    QualityRecord,
    Run,
    RunStatus,
)
from registry.traffic import Slice
from service.api.context import Context
from service.attribution_watch import ATTRIBUTED
from service.dashboard.health import Health, Signs, health
from service.dashboard.turns import turn
from service.facts import gather, may_retry
from service.forecasts.kind import is_forecasting, served_version
from service.policy import Policy
from service.quality_windows import WINDOW
from service.triggers import Refusal, Trigger, due

_RECENT_RUNS = 20
_WINDOWS = 60
HOUR = 3600
TRAFFICHOURS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """``live`` is the newest realised score of the champion, ``promised`` what it was promoted with."""

    project: Project
    policy: Policy
    now: datetime
    facts: DatasetFacts
    health: Health
    champion: Model | None
    served: int | None
    since: Promotion | None
    live: float | None
    live_rows: int | None
    promised: float | None
    metric: str
    windows: tuple[QualityRecord, ...]
    realised: QualityRecord | None
    estimate: QualityRecord | None
    drift: DriftRecord | None
    traffic: tuple[int, ...]
    runs: tuple[Run, ...]
    active: Run | None
    decision: Decision | None
    answer: Trigger | Refusal
    next_scheduled_at: datetime | None


def _leaned(record: QualityRecord | None) -> tuple[str, ...]:
    """The columns by which the champion answers otherwise than in training, most first."""
    return () if record is None else tuple(record.report["moved"])


def glance(context: Context, project: Project) -> Glance:
    """Everything at once, in some twenty small queries."""
    with turn():
        return _gathered(context, project)


def _gathered(context: Context, project: Project) -> Glance:
    registry, now = context.registry, context.clock()
    policy = Policy.stored(project.policy)
    facts = registry.datasets.facts(project.id)
    runs = registry.runs.list(project.id, limit=_RECENT_RUNS)
    champion = None if project.champion is None else registry.models.get(project.id, project.champion)
    since = next(iter(registry.ledger.promotions(project.id, limit=1)), None)
    windows = tuple(
        one
        for one in reversed(registry.quality.list(project.id, WINDOW, limit=_WINDOWS))
        if one.model_version == project.champion
    )
    realised = _of_champion(project, registry.quality.latest(project.id, "realised"))
    estimate = _of_champion(project, registry.quality.latest(project.id, "estimated"))
    drift = registry.drift.latest(project.id)
    drift = drift if drift is not None and drift.model_version == project.champion else None
    served = context.serving.champions.get(project.name)
    gathered = gather(registry, project, policy, now)
    live, live_rows = _live(realised, windows)
    signs = Signs(
        name=project.name,
        target=str(project.task["target"]),
        champion=project.champion,
        served=served_version(project, None if served is None else served.version),
        load_error=_load_error(context, project),
        has_schema=project.schema is not None,
        truths=facts.truths,
        unlabelled=max(0, facts.rows - facts.truths),
        labelling=not is_forecasting(project),
        truths_wanted=policy.min_fresh_labels,
        running=gathered.active_run,
        broken=gathered.broken,
        metric=_metric(project, champion),
        live=live,
        promised=_promised(champion),
        sure_drop=None if realised is None else float(realised.report["sure_drop"]),
        allowed=None if realised is None else float(realised.report["allowed"]),
        estimate_decayed=_decayed(estimate, realised),
        estimate=None if estimate is None else estimate.score,
        drift_share=None if drift is None else drift.share,
        drift_limit=None if policy.triggers.drift is None else policy.triggers.drift.share,
        drifted=() if drift is None else drift.drifted,
        leaned=_leaned(_of_champion(project, registry.quality.latest(project.id, ATTRIBUTED))),
        on_probation=registry.probations.current(project.id) is not None,
        retrains_on_decay=policy.triggers.decay is not None and policy.triggers.decay.retrains,
        rolled_back=since is not None and since.kind is PromotionKind.ROLLBACK,
        looked_run=_looked(runs, realised),
        **_of_runs(project, runs),
        **_waiting(context, project, runs),
    )
    return Glance(
        project=project,
        policy=policy,
        now=now,
        facts=facts,
        health=health(signs),
        champion=champion,
        served=signs.served,
        since=since,
        live=live,
        live_rows=live_rows,
        promised=signs.promised,
        metric=signs.metric,
        windows=windows,
        realised=realised,
        estimate=estimate,
        drift=drift,
        traffic=by_hour(
            registry.traffic.by_slice(project.id, since=now - timedelta(hours=TRAFFICHOURS), seconds=HOUR),
            now,
        ),
        runs=runs,
        active=next((run for run in runs if run.status.is_active), None),
        decision=registry.ledger.last_decision(project.id),
        answer=due(policy, gathered, now),
        next_scheduled_at=registry.due.get(project.id, "schedule"),
    )


def by_hour(slices: Sequence[Slice], now: datetime) -> tuple[int, ...]:
    """Predictions in each of the last hours, oldest first, the hour that runs among them."""
    this = int(now.timestamp()) // HOUR
    found = {int(one.at.timestamp()) // HOUR: one.predictions for one in slices}
    return tuple(found.get(this - back, 0) for back in range(TRAFFICHOURS - 1, -1, -1))


def _of_champion(project: Project, record: QualityRecord | None) -> QualityRecord | None:
    return record if record is not None and record.model_version == project.champion else None


def _live(
    realised: QualityRecord | None, windows: Sequence[QualityRecord]
) -> tuple[float | None, int | None]:
    """The newest of both: a look at thousands of answers, or the windows kept since."""
    if windows and (realised is None or windows[-1].at > realised.at):
        newest = windows[-3:]
        rows = sum(int(one.report["rows"]) for one in newest)
        return sum(one.score * int(one.report["rows"]) for one in newest) / rows, rows
    if realised is None:
        return None, None
    return realised.score, int(realised.report["rows"])


def _metric(project: Project, champion: Model | None) -> str:
    return str((champion and champion.details.get("metric")) or project.task["metric"])


def _promised(champion: Model | None) -> float | None:
    score: Any = None if champion is None else champion.details.get("score")
    return None if score is None else float(score)


def _decayed(estimate: QualityRecord | None, realised: QualityRecord | None) -> bool:
    """Whether the newest word on the champion is that it got worse without anyone having seen the truth."""
    if estimate is None or (realised is not None and realised.at >= estimate.at):
        return False
    found = estimate.report
    return bool(found["decayed"]) and float(found["loss"]) > float(found["allowed"])


def _load_error(context: Context, project: Project) -> str | None:
    newest = next(iter(context.registry.ledger.deployments(project.id, limit=1)), None)
    if newest is None or newest.status != "failed" or newest.version != project.champion:
        return None
    return newest.reason


def _looked(runs: Sequence[Run], realised: QualityRecord | None) -> int | None:
    """The newest run that was judged after quality was last tested: nothing came of the loss but that."""
    newest = next((run for run in runs if run.status is RunStatus.COMPLETED), None)
    if newest is None or realised is None or newest.created_at < realised.at:
        return None
    return newest.number


def _of_runs(project: Project, runs: Sequence[Run]) -> dict[str, Any]:
    """The run that failed last, while it still matters."""
    found: dict[str, Any] = {}
    newest = next((run for run in runs if not run.status.is_active), None)
    if newest is None:
        return found
    if newest.status is RunStatus.FAILED and not may_retry(newest) and not runs[0].status.is_active:
        found.update(failed_run=newest.number, failure=newest.error)
    return found


def _waiting(context: Context, project: Project, runs: Sequence[Run]) -> dict[str, Any]:
    """The newest challenger that waits for approval; also one from before approvals were kept."""
    now = context.clock()
    for one in reversed(context.registry.approvals.open(project.id)):
        if one.standing(project.epoch, now) is ApprovalStatus.OPEN:
            return {"approval_run": one.run, "challenger": one.version}
    newest = next((run for run in runs if not run.status.is_active), None)
    if newest is None or (newest.verdict or {}).get("outcome") != "awaiting_approval":
        return {}
    if newest.challenger is None or (project.champion or 0) >= newest.challenger:
        return {}
    if context.registry.approvals.of_run(project.id, newest.number) is not None:
        return {}
    return {"approval_run": newest.number, "challenger": newest.challenger}
