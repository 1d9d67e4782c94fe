"""The policies of a replay: the project's triggers on a simulated clock, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from automl.embargo import LONGEST_DELAY
from automl.replay_roles import Choice, DecayRule, Player, Sight
from automl.snapshot import HoldoutRule
from automl.task import Task
from automl.verdict import Rules
from service.demands import holdout_rule, rules
from service.policy import Decay, FeatureDrift, Policy, Triggers
from service.replay.plan import ReplayPlan
from service.schedule import next_due
from service.trigger_facts import DriftFact, Facts, QualityFact
from service.triggers import DECAY, Trigger, due

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEDULE = "schedule_due_at"
_DECAYED = "champion_whose_decay_was_answered"

WORDS = {
    "never": "the first champion, never retrained",
    "every": "a run every n windows, promoted if proven better",
    "always": "trained on everything every n windows and promoted without judgement",
    "drift": "a run when enough features moved",
    "decay": "a run when live quality is surely down",
    "own": "the project's own policy",
}


def moment(nanoseconds: int) -> datetime:
    """The stream's clock as a time."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def players(plan: ReplayPlan, own: Policy, task: Task) -> tuple[Player, ...]:
    """The players of a plan, in its order, further policies last."""
    return (
        *(_built_in(name, plan, own, task) for name in plan.policies),
        *(_by_policy(plan, name, policy, task) for name, policy in plan.more.items()),
    )


def _built_in(name: str, plan: ReplayPlan, own: Policy, task: Task) -> Player:
    if name in ("every", "always"):
        return _player(plan, name, own, task, every(plan.every), judged=name == "every")
    if name == "own":
        return _by_policy(plan, name, own, task)
    return _by_policy(plan, name, own.model_copy(update={"triggers": _only(name, own.triggers)}), task)


def _only(name: str, triggers: Triggers) -> Triggers:
    """One trigger of the project's own, as a reason to retrain; its other parts as they are, or the defaults."""
    drift = triggers.drift or FeatureDrift()
    decay = triggers.decay or Decay()
    chosen: dict[str, Any] = dict.fromkeys(Triggers.model_fields)
    if name == "drift":
        chosen |= {"drift": drift.model_copy(update={"action": "retrain"}), "contract": triggers.contract}
    if name == "decay":
        chosen["decay"] = decay.model_copy(update={"action": "retrain"})
    return Triggers(**chosen)


def _by_policy(plan: ReplayPlan, name: str, policy: Policy, task: Task) -> Player:
    return _player(plan, name, policy, task, by_triggers(policy), judged=True)


def _player(
    plan: ReplayPlan,
    name: str,
    policy: Policy,
    task: Task,
    decide: Callable[[Sight, dict[str, Any]], Choice],
    *,
    judged: bool,
) -> Player:
    triggers, lookback, embargo = policy.triggers, policy.lookback_window, policy.holdout.embargo
    decay = triggers.decay
    plain = name in ("every", "always")
    # Latency and size are left out: they are the replaying machine's, not the stream's.
    asked = {**rules(policy, task), "max_latency_ms": None, "max_size_bytes": None}
    return Player(
        name=name,
        decide=decide,
        rules=Rules(**asked),
        holdout=HoldoutRule(**holdout_rule(policy)),
        slices=None if policy.gates.slices is None else policy.gates.slices.max,
        embargo=_delay(plan) if embargo == "auto" else _nanos(embargo),
        embargo_gives_way=embargo == "auto",
        judged=judged,
        refit=policy.refit,
        lookback=None if lookback is None else _nanos(lookback),
        budget_seconds=policy.run_seconds,
        decay=None
        if decay is None or plain
        else DecayRule(
            window=decay.window, min_rows=decay.min_rows, alpha=decay.alpha, max_drop=decay.max_drop
        ),
        shift_window=None if triggers.drift is None or plain else triggers.drift.window,
    )


def _nanos(span: timedelta) -> int:
    return round(span / timedelta(microseconds=1)) * 1000


def _delay(plan: ReplayPlan) -> int:
    """The embargo that the service would find by itself: the delay of the labels, at most a day."""
    delay = plan.delay
    return min(_nanos(delay), LONGEST_DELAY) if isinstance(delay, timedelta) else 0


def every(windows: int) -> Callable[[Sight, dict[str, Any]], Choice]:
    """A run at the end of each n-th window, whatever happens."""

    def decide(sight: Sight, memory: dict[str, Any]) -> Choice:
        if sight.look.ends_window and (sight.look.window + 1) % windows == 0:
            return Choice(start=True, kind="every", reason=f"{windows} window(s) are over")
        return Choice(start=False, kind="not_due", reason="the window is not over")

    return decide


def by_triggers(policy: Policy) -> Callable[[Sight, dict[str, Any]], Choice]:
    """The service's own :func:`service.triggers.due` on the stream's clock; runs take no time on it."""

    def decide(sight: Sight, memory: dict[str, Any]) -> Choice:
        now = moment(sight.look.at)
        facts = _facts(policy, sight, memory, now)
        answer = due(policy, facts, now)
        started = isinstance(answer, Trigger)
        if started or (not isinstance(answer, Trigger) and answer.uses_up_schedule):
            _use_up(policy, facts, memory, now)
        if isinstance(answer, Trigger) and DECAY in answer.fired:
            memory[_DECAYED] = sight.champion
        kind = answer.kind if isinstance(answer, Trigger) else answer.guard
        return Choice(start=started, kind=kind, reason=answer.reason)

    return decide


def _facts(policy: Policy, sight: Sight, memory: dict[str, Any], now: datetime) -> Facts:
    expression = policy.triggers.schedule
    if expression is not None and _SCHEDULE not in memory:
        memory[_SCHEDULE] = next_due(expression, now).isoformat()
    ended = moment(sight.runs[-1].at) if sight.runs else None
    day = now - timedelta(days=1)
    return Facts(
        champion=sight.champion,
        truths=sight.look.matured,
        truths_at_last_run=sight.matured_at_last_run,
        last_run_ended_at=ended,
        spent_seconds=sum(run.budget_seconds for run in _newest(sight) if moment(run.at) > day),
        schedule_due_at=datetime.fromisoformat(memory[_SCHEDULE]) if expression is not None else None,
        drift=_drift(sight),
        decay=_decay(sight),
        decay_answered=memory.get(_DECAYED) == sight.champion,
        broken=_broken(policy, sight),
    )


def _newest(sight: Sight) -> Iterator[Any]:
    """Runs from the newest back to the first that is older than a day."""
    for run in reversed(sight.runs):
        yield run
        if sight.look.at - run.at > 86_400 * 10**9:
            return


def _use_up(policy: Policy, facts: Facts, memory: dict[str, Any], now: datetime) -> None:
    at = facts.schedule_due_at
    if policy.triggers.schedule is not None and at is not None and at <= now:
        memory[_SCHEDULE] = next_due(policy.triggers.schedule, now).isoformat()


def _drift(sight: Sight) -> DriftFact | None:
    found = sight.shift
    if found is None:
        return None
    return DriftFact(share=found["share"], drifted=tuple(found["drifted"]), at=moment(found["at"]))


def _decay(sight: Sight) -> QualityFact | None:
    found = sight.decay
    if found is None:
        return None
    return QualityFact(
        score=found["score"],
        reference=found["reference"],
        drop=found["drop"],
        sure_drop=found["sure_drop"],
        allowed=found["allowed"],
        rows=found["rows"],
        at=moment(found["at"]),
    )


def _broken(policy: Policy, sight: Sight) -> str | None:
    rule = policy.triggers.contract
    if rule is None or sight.shift is None:
        return None
    for column in sight.shift["columns"]:
        if column["method"] == "wasserstein" and column["score"] > rule.max_shift:
            return f"{column['name']!r} moved by {column['score']:.3g} standard deviations"
    return None
