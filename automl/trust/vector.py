"""The gate vector: every check that the policy asks for, each on the same rows, and what follows for the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from automl.trust.examined import Examined, blocks, trust_gate
from automl.trust.exhibit import Exhibit
from automl.trust.mode import Mode
from automl.verdict import Gate, Outcome, Verdict

Rule = Mapping[str, Any]
"""A check's part of the policy, as JSON. Each has its ``mode``."""
Check = Callable[[Exhibit, Rule], Examined]


def _robustness(exhibit: Exhibit, rule: Rule) -> Examined:
    from automl.trust.robustness import RobustnessRule, robustness_gates

    return robustness_gates(exhibit, RobustnessRule.from_json(rule))


def _fairness(exhibit: Exhibit, rule: Rule) -> Examined:
    from automl.trust.audit import FairnessRule
    from automl.trust.fairness import fairness_gates

    return fairness_gates(exhibit, FairnessRule.from_json(rule))


def _explanation(exhibit: Exhibit, rule: Rule) -> Examined:
    from automl.trust.explain import ExplanationRule, explanation_gates

    return explanation_gates(exhibit, ExplanationRule.from_json(rule))


def _data_health(exhibit: Exhibit, rule: Rule) -> Examined:
    from automl.trust.data_health import DataHealthRule, data_health_gates

    return data_health_gates(exhibit, DataHealthRule.from_json(rule))


def _energy(exhibit: Exhibit, rule: Rule) -> Examined:
    from automl.trust.energy import EnergyRule, energy_gates

    return energy_gates(exhibit, EnergyRule.from_json(rule))


# Each imports its check when it is asked for: a check may rest on a heavy library, which nobody else should wait for.
CHECKS: Mapping[str, Check] = {
    "robustness": _robustness,
    "fairness": _fairness,
    "explanation": _explanation,
    "data_health": _data_health,
    "energy": _energy,
}


def examined(
    exhibit: Exhibit, rules: Mapping[str, Rule | None], checks: Mapping[str, Check] = CHECKS
) -> dict[str, Examined]:
    """What every check found whose rule is not None, in the order of ``checks``.

    A check that fails is a gate that says so: undecided, and blocking only where its mode is ``hard``, since then a limit
    was asked for that nobody knows to be kept. The others are made all the same.
    """
    found: dict[str, Examined] = {}
    for name, check in checks.items():
        rule = rules.get(name)
        if rule is None:
            continue
        started = time.perf_counter()
        try:
            one = check(exhibit, rule)
        except (
            Exception
        ) as error:  # whatever a model's or a library's code raises, the other checks are still made
            one = _failed(name, rule, error)
        found[name] = replace(one, seconds=time.perf_counter() - started)
    return found


def guarded(verdict: Verdict, gates: Iterable[Gate]) -> Verdict:
    """The verdict with these gates too. One that promotes, or waits for a word, is rejected where a gate blocks."""
    more = tuple(gates)
    against = [gate for gate in more if blocks(gate)]
    joined = replace(verdict, gates=(*verdict.gates, *more))
    if not against or verdict.outcome not in (Outcome.PROMOTED, Outcome.AWAITING_APPROVAL):
        return joined
    reason = "; ".join(f"{gate.name.replace('_', ' ')}: {gate.reason}" for gate in against)
    return replace(joined, outcome=Outcome.REJECTED, reason=f"Rejected: {reason}.", rows_needed=None)


def _failed(name: str, rule: Rule, error: Exception) -> Examined:
    mode = Mode(rule["mode"])
    reason = f"not examined, the check failed with {type(error).__name__}: {error}"
    gate = trust_gate(
        name, mode=mode, passed=None, reason=reason, evidence={"blocks": mode is Mode.HARD, "failed": True}
    )
    return Examined(gates=(gate,), report={"failed": reason})
