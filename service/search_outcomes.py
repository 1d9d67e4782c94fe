"""What a search is told to do, and what is told of its engines afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.search import EngineOutcome, Plan
from service.children import Ended
from service.conclusion import Challenger
from service.policy import Policy


def search_order(policy: Policy, plan: Plan) -> dict[str, Any]:
    """What the search stage reads, as JSON."""
    rule, latency = policy.search, policy.gates.max_latency_ms
    blend = None
    if rule.blend is not None:
        row_seconds = None if latency is None else latency / 2000
        blend = {**rule.blend.model_dump(), "row_seconds": row_seconds}
    return {
        "budget_seconds": plan.budget_seconds,
        "shares": {engine: plan.shares[engine] for engine, _ in plan.allotments()},
        "parallel": rule.parallel,
        "patience": rule.patience,
        "blend": blend,
    }


def engine_outcomes(
    plan: Plan, told: Mapping[str, Any] | None, ended: Ended, *, trials: int
) -> list[EngineOutcome[Challenger]]:
    """How each engine's part ended. Of a search that was ended early only that much is known for all."""
    names = [engine for engine, _ in plan.allotments()]
    if told is None:
        reason = ended.reason or "ended without a candidate"
        return [
            EngineOutcome(engine=name, error=reason, seconds=ended.seconds, trials=trials) for name in names
        ]
    return [
        EngineOutcome(
            engine=name,
            candidate=None if part["score"] is None else _card(name, part),
            error=part["error"],
            seconds=part["seconds"],
            trials=part["trials"],
        )
        for name, part in told["parts"].items()
    ]


def told_outcomes(
    outcomes: Sequence[EngineOutcome[Challenger]],
    told: Mapping[str, Any] | None,
    found: Challenger | None,
    ended: Ended,
    *,
    arm: str,
) -> dict[str, Any]:
    """The run's report on its engines; ``blend`` among them where one was considered."""
    report: dict[str, Any] = {
        outcome.engine + arm: {
            "seconds": round(outcome.seconds, 2),
            "trials": outcome.trials,
            "peak_mib": ended.peak_bytes // 1024**2,
            "held_seconds": round(ended.held_seconds, 2),
            "score": outcome.candidate.score if outcome.candidate else None,
            "estimator": outcome.candidate.estimator if outcome.candidate else None,
            "partial": found.partial if found is not None and found.engine == outcome.engine else None,
            "error": outcome.error,
        }
        for outcome in outcomes
    }
    if told is not None and "members" in told["blend"]:
        report["blend" + arm] = dict(told["blend"])
    return report


def _card(engine: str, part: Mapping[str, Any]) -> Challenger:
    """An engine's best, of which no file is kept: the search leaves one model."""
    return Challenger(
        engine=engine,
        estimator=part["estimator"],
        score=part["score"],
        config={},
        requirements={},
        size_bytes=0,
        partial=False,
        file="",
    )
