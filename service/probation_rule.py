"""Who is put on probation beside whom, and by which rule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from automl.contest import Contest
from automl.judge import spent_alpha
from automl.live_losses import LiveLoss
from automl.task import Task
from registry.probations import Probation, ProbationMode
from registry.records import Model, Project, PromotionKind
from registry.store import Registry
from service.policy import Policy
from service.policy import Probation as Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A probation that should begin now."""

    mode: ProbationMode
    other: int
    rule: dict[str, Any]
    reason: str
    ends_at: datetime


def proposal(registry: Registry, project: Project, policy: Policy, now: datetime) -> Proposal | None:
    """The probation that a project without an open one is due, or None.

    After a promotion (not after a rollback: that goes back to what was known) the new champion beside the old;
    by policy, when that is over, the champion beside a challenger that the holdout left untested.
    """
    if project.champion is None or policy.shadow is None:
        return None
    earlier = registry.probations.of_epoch(project.id, project.epoch)
    return _after_promotion(registry, project, policy, earlier, now) or _beside_challenger(
        registry, project, policy, earlier, now
    )


def contest_so_far(registry: Registry, probation: Probation) -> Contest:
    """What the probation has seen so far, or its start."""
    if probation.state is not None and probation.state["contest"] is not None:
        return Contest.from_json(probation.state["contest"])
    rule = probation.rule
    found = _rivalry(registry, probation.project_id, probation.champion, probation.other)
    return Contest.over(
        metric_name=rule["metric"],
        alpha=rule["alpha"],
        margin=rule["margin"],
        min_rows=rule["min_rows"],
        loss=None if found is None else LiveLoss.from_json(found[0]["loss"]),
        shadow_is_new=found is not None and found[1] == probation.other,
        classes=rule["classes"],
    )


def _after_promotion(
    registry: Registry,
    project: Project,
    policy: Policy,
    earlier: tuple[Probation, ...],
    now: datetime,
) -> Proposal | None:
    newest = next(iter(registry.ledger.promotions(project.id, limit=1)), None)
    rule = policy.probation
    if rule is None or newest is None or newest.from_version is None or earlier:
        return None
    ends_at = newest.at + rule.watch
    if newest.kind is PromotionKind.ROLLBACK or newest.epoch != project.epoch or now >= ends_at:
        return None
    return Proposal(
        mode=ProbationMode.PREVIOUS,
        other=newest.from_version,
        rule=_rule(registry, project, policy, rule, newest.from_version, rule.alpha),
        reason=f"version {newest.to_version} took the place of version {newest.from_version}",
        ends_at=ends_at,
    )


def _beside_challenger(
    registry: Registry,
    project: Project,
    policy: Policy,
    earlier: tuple[Probation, ...],
    now: datetime,
) -> Proposal | None:
    if policy.shadow is None or policy.shadow.mode != "challenger":
        return None
    run = registry.runs.last_completed(project.id)
    if run is None or run.challenger is None or (run.verdict or {}).get("outcome") != "inconclusive":
        return None
    trials = [one for one in earlier if one.mode is ProbationMode.CHALLENGER]
    if run.challenger == project.champion or any(one.other == run.challenger for one in trials):
        return None
    model = registry.models.get(project.id, run.challenger)
    if model.details.get("judged_against") != project.champion:
        return None
    rule = policy.probation or Rule()
    # each challenger is another chance of a false promotion: together they have one alpha
    alpha = spent_alpha(rule.alpha, len(trials) + 1)
    return Proposal(
        mode=ProbationMode.CHALLENGER,
        other=run.challenger,
        rule=_rule(registry, project, policy, rule, run.challenger, alpha),
        reason=f"run {run.number} could not tell version {run.challenger} from the champion",
        ends_at=now + rule.watch,
    )


def _rule(
    registry: Registry, project: Project, policy: Policy, rule: Rule, other: int, alpha: float
) -> dict[str, Any]:
    """All that the probation goes by, fixed when it begins: bounds that move after a look are none."""
    assert project.champion is not None
    found = _rivalry(registry, project.id, project.champion, other)
    task = Task.from_json(project.task)
    return {
        **rule.model_dump(mode="json"),
        "alpha": alpha,
        "metric": task.metric,
        "classes": len(task.classes),
        "promote_mode": policy.promote_mode,
        "max_latency_ms": policy.gates.max_latency_ms,
        "judged_shift": None if found is None else found[0]["shift"],
    }


def _rivalry(registry: Registry, project_id: int, one: int, other: int) -> tuple[dict[str, Any], int] | None:
    """What the judge left about these two models, and which of them it judged as the new one."""
    for new, old in ((one, other), (other, one)):
        model: Model = registry.models.get(project_id, new)
        if model.details.get("judged_against") == old and "rivalry" in model.attachments:
            found: dict[str, Any] = json.loads(registry.blobs.open(model.attachments["rivalry"].digest))
            return found, new
    return None
