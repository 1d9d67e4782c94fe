"""What the policy asks of a challenger, in the judge's terms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from automl.task import Task
from registry.records import Model
from service.conclusion import Challenger
from service.policy import Policy

_TRUST_SHARE = 0.12
"""Of a search's budget, for the whole gate vector."""
_LEAST_TRUST_SECONDS = 1.0


def rules(policy: Policy, task: Task, *, reversal: bool = False) -> dict[str, Any]:
    """The fields of :class:`automl.judge.Rules`, as JSON; ``alpha`` is still the whole of the holdout's account."""
    gates = policy.gates
    asked: dict[str, Any] = {
        "metric": task.metric,
        "min_effect": gates.min_effect,
        "alpha": gates.alpha,
        "resamples": gates.resamples,
        "max_latency_ms": gates.max_latency_ms,
        "max_size_bytes": gates.max_size_bytes,
        "required_effect_factor": gates.reversal_factor if reversal else 1.0,
        "blocks": None if task.time_column is None else gates.blocks,
    }
    if gates.slices is not None:
        asked |= {"slice_margin": gates.slices.margin, "slice_rows": gates.slices.min_rows}
    if gates.floor is not None:
        asked |= {"floor": gates.floor.score, "floor_margin": gates.floor.margin}
    return asked


def holdout_rule(policy: Policy) -> dict[str, Any]:
    """The fields of :class:`automl.snapshot.HoldoutRule`, as JSON."""
    return policy.holdout.model_dump(include={"share", "min_rows", "max_rows"})


def trust_rules(policy: Policy, *, budget_seconds: float) -> dict[str, Any]:
    """The rules of the gate vector, and how long one of its checks may take for a search of that length."""
    rules = policy.gates.trust.rules()
    asked = max(1, sum(rule is not None for rule in rules.values()))
    seconds = max(_LEAST_TRUST_SECONDS, _TRUST_SHARE * budget_seconds) / asked
    return {"rules": rules, "seconds": seconds}


def embargo_seconds(policy: Policy) -> float | str:
    """What the policy says, as JSON: seconds, or ``auto``."""
    embargo = policy.holdout.embargo
    return embargo.total_seconds() if isinstance(embargo, timedelta) else embargo


def is_reversal(challenger: Challenger, champion: Model | None, previous: Model | None) -> bool:
    """Would this promotion take back the last change of champion?

    It would where the challenger is of the kind that was dethroned then (the same estimator, or the same one with the
    same configuration) and the champion that took its place is not. Retraining one and the same kind is no
    reversal, whatever came before.
    """
    if champion is None or previous is None:
        return False
    if champion.estimator == previous.estimator:
        recipe = _recipe(challenger.estimator, challenger.config)
        return (
            recipe
            == _recipe(previous.estimator, previous.config)
            != _recipe(champion.estimator, champion.config)
        )
    return challenger.estimator == previous.estimator


def _recipe(estimator: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """An estimator with its configuration, numbers to three significant digits."""
    return estimator, {name: float(f"{v:.3g}") if isinstance(v, float) else v for name, v in config.items()}
