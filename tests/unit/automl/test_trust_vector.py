"""The gate vector: who is asked, what blocks, and what a check that fails does to the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trust_house import by_formula, exhibit_of

from automl.judge import Outcome, Verdict
from automl.trust.examined import Examined, blocks, trust_gate
from automl.trust.exhibit import Exhibit, drawn
from automl.trust.mode import Mode
from automl.trust.vector import examined, guarded

PROMOTES = Verdict(
    outcome=Outcome.PROMOTED,
    reason="Promoted: it is better.",
    gates=(),
    metric="accuracy",
    champion_score=0.7,
    challenger_score=0.8,
    baseline_score=0.5,
    difference=None,
    min_effect=0.002,
    rows=100,
    rows_needed=None,
)


def shown() -> Exhibit:
    rows = pd.DataFrame({"x": np.arange(30.0)})
    return exhibit_of(
        rows, (np.arange(30) > 14).astype(int), by_formula(rows, lambda asked: np.ones((len(asked), 2)) / 2)
    )


def fine(exhibit: Exhibit, rule: Any) -> Examined:
    gate = trust_gate("fine", mode=Mode(rule["mode"]), passed=True, reason="it is")
    return Examined(gates=(gate,), report={"rows": len(exhibit.y)})


def broken(exhibit: Exhibit, rule: Any) -> Examined:
    raise RuntimeError("no such column")


def test_every_check_with_a_rule_is_made_and_timed_and_null_turns_one_off() -> None:
    rules = {"first": {"mode": "report"}, "second": None, "third": {"mode": "hard"}}
    found = examined(shown(), rules, {"first": fine, "second": fine, "third": fine, "fourth": fine})
    assert list(found) == ["first", "third"]
    assert all(one.seconds > 0 and one.report == {"rows": 30} for one in found.values())


@pytest.mark.parametrize(("mode", "stops"), [("hard", True), ("non_inferior", False), ("report", False)])
def test_a_check_that_fails_leaves_the_others_and_blocks_only_a_hard_gate(mode: str, stops: bool) -> None:
    found = examined(
        shown(), {"first": {"mode": mode}, "second": {"mode": "report"}}, {"first": broken, "second": fine}
    )
    (gate,) = found["first"].gates
    assert gate.passed is None
    assert "RuntimeError: no such column" in gate.reason
    assert blocks(gate) is stops
    assert found["second"].gates[0].passed
    assert (guarded(PROMOTES, found["first"].gates).outcome is Outcome.REJECTED) is stops


@pytest.mark.parametrize(
    ("mode", "stops"), [(Mode.HARD, True), (Mode.NON_INFERIOR, True), (Mode.REPORT, False)]
)
@pytest.mark.parametrize("outcome", [Outcome.PROMOTED, Outcome.AWAITING_APPROVAL])
def test_a_failed_gate_turns_a_promotion_into_a_rejection_unless_it_only_reports(
    mode: Mode, stops: bool, outcome: Outcome
) -> None:
    gate = trust_gate("data_health", mode=mode, passed=False, reason="the column price says the label")
    verdict = guarded(replace(PROMOTES, outcome=outcome), [gate])
    assert verdict.gates == (gate,)
    assert verdict.outcome is (Outcome.REJECTED if stops else outcome)
    if stops:
        assert verdict.reason == "Rejected: data health: the column price says the label."


def test_a_verdict_that_does_not_promote_keeps_its_outcome_and_reason() -> None:
    gate = trust_gate("fairness", mode=Mode.HARD, passed=False, reason="a gap")
    before = replace(
        PROMOTES, outcome=Outcome.INCONCLUSIVE, reason="Inconclusive: too few rows.", rows_needed=900
    )
    after = guarded(before, [gate])
    assert (after.outcome, after.reason, after.rows_needed) == (before.outcome, before.reason, 900)
    assert after.gates == (gate,)


def test_gate_rows_are_drawn_once_for_a_seed_in_their_order() -> None:
    assert drawn(5, 9, seed=1).tolist() == [0, 1, 2, 3, 4]
    some = drawn(10_000, 2_000, seed=1)
    assert len(some) == 2_000
    assert np.all(np.diff(some) > 0)
    assert np.array_equal(some, drawn(10_000, 2_000, seed=1))
    assert not np.array_equal(some, drawn(10_000, 2_000, seed=2))
