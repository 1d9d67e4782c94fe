"""When is a run due? A pure function of policy, facts and time; every answer carries its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.policy import Decay, FeatureDrift, Policy
from service.trigger_facts import DriftFact, EstimateFact, Facts, PredictionDriftFact, QualityFact

DECAY = "decay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A reason to start. ``fired`` names every trigger that would have sufficed."""

    kind: str
    reason: str
    fired: tuple[str, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason not to start. ``guard`` is what stood in the way; ``uses_up_schedule`` when the due time is over."""

    guard: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    uses_up_schedule: bool = False


@dataclass(frozen=True, slots=True)
class _Rung:
    kind: str
    fires: bool
    text: str


def due(policy: Policy, facts: Facts, now: datetime) -> Trigger | Refusal:
    """Whether a run should start now.

    A lost run is tried again once, a project without champion starts as soon as it has enough labels, and a quick
    first run is followed by a full one; else
    the triggers of the policy are combined and then held back by cooldown, daily budget and minimum of
    fresh labels. With everything else equal, more labels, more drift or a later time never turn a trigger of
    the same day into "nothing fired".
    """
    evidence = _evidence(facts, now)
    if facts.active_run is not None:
        return Refusal(guard="active_run", reason=f"run {facts.active_run} is under way", evidence=evidence)
    if facts.broken is not None:
        reason = f"the data contract is broken: {facts.broken}"
        return Refusal(guard="data_contract", reason=reason, evidence=evidence)
    if facts.interrupted_run is not None:
        reason = f"run {facts.interrupted_run} was interrupted and is tried again once"
        return Trigger(kind="retry", reason=reason, fired=("retry",), evidence=evidence)
    if facts.champion is None and facts.truths_at_last_run is None:
        return _first(policy, facts, evidence)
    if facts.quick_start:
        reason = "the first run was a quick one, so that a model serves soon; the full search follows"
        return Trigger(kind="first_search", reason=reason, fired=("first_search",), evidence=evidence)
    rungs = _rungs(policy, facts, now)
    fired = tuple(rung for rung in rungs if rung.fires)
    needed = _needed(policy, len(rungs))
    if not rungs:
        return Refusal(guard="no_trigger", reason="the policy has no automatic trigger", evidence=evidence)
    if len(fired) < needed:
        idle = "; ".join(rung.text for rung in rungs if not rung.fires)
        return Refusal(guard="nothing_fired", reason=idle, evidence=evidence)
    held = _held_back(policy, facts, fired, now, evidence)
    if held is not None:
        return held
    return Trigger(
        kind=fired[0].kind,
        reason="; ".join(rung.text for rung in fired),
        fired=tuple(rung.kind for rung in fired),
        evidence=evidence,
    )


def _first(policy: Policy, facts: Facts, evidence: Mapping[str, Any]) -> Trigger | Refusal:
    wanted = policy.min_fresh_labels
    if facts.truths < wanted:
        reason = f"{facts.truths:,} of the {wanted:,} labelled rows that a first champion needs"
        return Refusal(guard="min_fresh_labels", reason=reason, evidence=evidence)
    if facts.without_label:
        named = ", ".join(repr(label) for label in facts.without_label[:5])
        reason = f"{facts.truths:,} labelled rows, but none of class {named}: a first champion needs every declared class"
        return Refusal(guard="missing_classes", reason=reason, evidence=evidence)
    reason = f"{facts.truths:,} labelled rows and no champion yet"
    return Trigger(kind="first_champion", reason=reason, fired=("first_champion",), evidence=evidence)


def _needed(policy: Policy, rungs: int) -> int:
    if isinstance(policy.combine, str):
        return rungs if policy.combine == "all" else 1
    return policy.combine.at_least


def _rungs(policy: Policy, facts: Facts, now: datetime) -> tuple[_Rung, ...]:
    triggers = policy.triggers
    rungs = []
    if triggers.schedule is not None:
        at = facts.schedule_due_at
        fires = at is not None and at <= now
        when = "not set yet" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
        rungs.append(
            _Rung("schedule", fires, f"schedule {triggers.schedule!r} {'was' if fires else 'is'} due {when}")
        )
    if triggers.new_labels is not None:
        rungs.append(_new_labels(policy, facts))
    if triggers.decay is not None and triggers.decay.retrains:
        rungs.append(_decay(triggers.decay, facts))
    if triggers.estimated_decay is not None and triggers.estimated_decay.action == "retrain":
        rungs.append(_estimated_decay(facts.estimate))
    if triggers.prediction_drift is not None and triggers.prediction_drift.action == "retrain":
        rungs.append(_prediction_drift(facts.prediction_drift))
    if triggers.drift is not None and triggers.drift.retrains:
        rungs.append(_drift(triggers.drift, facts.drift))
    return tuple(rungs)


def _new_labels(policy: Policy, facts: Facts) -> _Rung:
    rule = policy.triggers.new_labels
    assert rule is not None
    before = facts.truths_at_last_run or 0
    goals = []
    if rule.count is not None:
        goals.append(rule.count)
    if rule.share is not None:
        goals.append(max(1, round(rule.share * before)))
    goal = min(goals) if goals else 1
    verb = "reach" if facts.fresh >= goal else "of"
    return _Rung(
        "new_labels", facts.fresh >= goal, f"{facts.fresh:,} new labels {verb} the {goal:,} asked for"
    )


def _decay(rule: Decay, facts: Facts) -> _Rung:
    fact, loss = facts.decay, facts.loss
    if fact is None:
        text = "live quality: too little truth since the last run"
    else:
        text = f"live quality is {fact.score:.4g} on {fact.rows:,} answers, {_beside(fact)}"
    if loss is not None:
        text += f"; the mean loss rose from {loss.before:.4g} to {loss.after:.4g} over the newest {loss.rows:,} answers"
    dropped = rule.action == "retrain" and fact is not None and fact.sure_drop > fact.allowed
    rose = loss is not None and rule.loss is not None and rule.loss.action == "retrain"
    return _Rung(DECAY, dropped or rose, text)


def _beside(fact: QualityFact) -> str:
    if fact.drop <= 0:
        return f"no worse than the {fact.reference:.4g} of the promotion"
    told = f"worse by {fact.drop:.4g} than the {fact.reference:.4g} of the promotion, "
    sure = f"surely by {fact.sure_drop:.4g}" if fact.sure_drop > 0 else "not surely so"
    return f"{told}{sure}; {fact.allowed:.4g} is allowed"


def _estimated_decay(fact: EstimateFact | None) -> _Rung:
    if fact is None:
        return _Rung("estimated_decay", False, "estimated quality: too few answers since the last run")
    text = (
        f"{fact.metric} is estimated at {fact.score:.4g} on {fact.rows:,} answers without their truth, worse by "
        f"{fact.loss:.4g} than the usual {fact.usual:.4g}; {fact.allowed:.4g} is allowed"
        f"{'' if fact.decayed else ', and so many unchanged rows could do that'}"
    )
    return _Rung("estimated_decay", fact.decayed and fact.loss > fact.allowed, text)


def _prediction_drift(fact: PredictionDriftFact | None) -> _Rung:
    if fact is None:
        return _Rung("prediction_drift", False, "prediction drift: too few answers since the last run")
    text = (
        f"the newest {fact.rows:,} answers lie {fact.effect:.3g} standard deviations from those of the holdout, "
        f"{fact.threshold:.3g} asked for"
    )
    return _Rung("prediction_drift", fact.effect >= fact.threshold, text)


def _drift(rule: FeatureDrift, fact: DriftFact | None) -> _Rung:
    if fact is None:
        return _Rung("drift", False, "no drift report since the last run")
    names = ", ".join(fact.drifted[:5]) or "none"
    text = f"{fact.share:.0%} of the features moved ({names}), {rule.share:.0%} asked for"
    by_share = rule.action == "retrain" and fact.share >= rule.share
    joint = rule.joint is not None and rule.joint.action == "retrain" and fact.joint
    if fact.joint and fact.auc is not None:
        text += f"; together they tell new rows from old ones with an AUC of {fact.auc:.3f}"
    return _Rung("drift", by_share or joint, text)


def _held_back(
    policy: Policy, facts: Facts, fired: tuple[_Rung, ...], now: datetime, evidence: Mapping[str, Any]
) -> Refusal | None:
    urgent = not facts.decay_answered and any(rung.kind == DECAY for rung in fired)
    stale = _too_few_fresh(policy, facts, urgent=urgent)
    if stale is not None:
        return Refusal(guard="min_fresh_labels", reason=stale, evidence=evidence, uses_up_schedule=True)
    if facts.last_run_ended_at is not None and now < facts.last_run_ended_at + policy.cooldown:
        until = facts.last_run_ended_at + policy.cooldown
        return Refusal(guard="cooldown", reason=f"cooling down until {_clock(until)}", evidence=evidence)
    left = policy.daily_budget_seconds - facts.spent_seconds
    if left < policy.run_seconds:
        reason = (
            f"{facts.spent_seconds:.0f} of {policy.daily_budget_seconds:.0f} search seconds are spent in 24 hours, "
            f"a run needs {policy.run_seconds:.0f}"
        )
        return Refusal(guard="daily_budget", reason=reason, evidence=evidence, uses_up_schedule=True)
    allowed = policy.daily_energy_wh
    if allowed is not None and facts.spent_wh >= allowed:
        reason = f"{facts.spent_wh:.3g} of {allowed:g} Wh are used in 24 hours by searches"
        return Refusal(guard="daily_energy", reason=reason, evidence=evidence, uses_up_schedule=True)
    return None


def _too_few_fresh(policy: Policy, facts: Facts, *, urgent: bool) -> str | None:
    """A run on the rows of the last one would ask the same holdout again: it spends alpha and learns nothing."""
    least = policy.min_fresh_labels
    if facts.fresh < least:
        return f"only {facts.fresh:,} fresh labels, the policy wants {least:,}"
    before = facts.truths_at_last_run or 0
    share = math.ceil(policy.min_fresh_share * before)
    if urgent or facts.fresh >= share:
        return None
    return (
        f"only {facts.fresh:,} fresh labels, min_fresh_share asks for {policy.min_fresh_share:.0%} of the {before:,} that "
        f"the last run had: {share:,}"
    )


def _clock(moment: datetime) -> str:
    rounded = moment + timedelta(milliseconds=500)
    return f"{rounded:%Y-%m-%d %H:%M:%S} UTC"


def _evidence(facts: Facts, now: datetime) -> dict[str, Any]:
    return {
        "champion": facts.champion,
        "truths": facts.truths,
        "fresh_labels": facts.fresh,
        "spent_seconds": round(facts.spent_seconds, 1),
        "spent_wh": round(facts.spent_wh, 4),
        "schedule_due_at": facts.schedule_due_at.isoformat() if facts.schedule_due_at else None,
        "live_score": facts.decay.score if facts.decay else None,
        "sure_drop": facts.decay.sure_drop if facts.decay else None,
        "estimated_score": facts.estimate.score if facts.estimate else None,
        "estimated_loss": facts.estimate.loss if facts.estimate else None,
        "prediction_drift": facts.prediction_drift.effect if facts.prediction_drift else None,
        "drift_share": facts.drift.share if facts.drift else None,
        "drifted": list(facts.drift.drifted) if facts.drift else [],
        "joint_auc": facts.drift.auc if facts.drift else None,
        "joint_drift": facts.drift.joint if facts.drift else False,
        "loss_before": facts.loss.before if facts.loss else None,
        "loss_after": facts.loss.after if facts.loss else None,
    }
