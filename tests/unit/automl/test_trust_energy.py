"""What predictions cost: figures by hand from a clock that counts what models take, and what each mode makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trust_house import by_formula, exhibit_of

from automl.trust.energy import FEWEST, PASSES, EnergyRule, energy_gates
from automl.trust.examined import Examined, blocks
from automl.trust.exhibit import Standing
from automl.trust.mode import Mode

ROWS = pd.DataFrame({"x": np.arange(30.0)})
LABELS = (np.arange(30) > 14).astype(int)


class Processor:
    """Counts the seconds that models say they take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def model(self, passes: Iterable[float]) -> Standing:
        """A model whose passes take so many seconds each."""
        left = iter(passes)
        even = by_formula(ROWS, lambda asked: np.full((len(asked), 2), 0.5))

        def ask(asked: pd.DataFrame) -> Any:
            self.seconds += next(left)
            return even.ask(asked)

        return replace(even, ask=ask)


def examined(
    challenger: Iterable[float], champion: Iterable[float] | None = None, *, slow: float = 0.0, **rule: Any
) -> Examined:
    processor = Processor()
    reigns = None if champion is None else processor.model(champion)
    exhibit = exhibit_of(
        ROWS, LABELS, replace(processor.model(challenger), row_seconds=slow), champion=reigns
    )
    return energy_gates(exhibit, EnergyRule(**rule), processor)


def test_the_figures_are_those_by_hand() -> None:
    # 30 rows in 0.6, 0.3, 0.9, 0.6 and 1.2 s: the median is 20 s for 1,000 rows, at 3.6 W 72 J, which are 0.02 Wh.
    found = examined((0.6, 0.3, 0.9, 0.6, 1.2), (0.3,) * 5, watts_per_core=3.6)
    cost = found.report["wh_per_1000"]
    assert cost["challenger"] == pytest.approx({"median": 0.02, "low": 0.01, "high": 0.04})
    assert cost["champion"] == pytest.approx({"median": 0.01, "low": 0.01, "high": 0.01})
    assert (found.report["rows"], found.report["passes"], found.report["source"]) == (30, PASSES, "estimated")
    (gate,) = found.gates
    assert gate.evidence["challenger"] == pytest.approx(0.02)
    assert gate.evidence["champion"] == pytest.approx(0.01)
    assert gate.reason == (
        "1,000 predictions cost 0.02 Wh (estimated), 0.01 with the champion; 50% more are allowed"
    )


@pytest.mark.parametrize(("mode", "stops"), [(Mode.NON_INFERIOR, True), (Mode.REPORT, False)])
def test_who_costs_surely_more_than_the_champion_and_the_margin_is_stopped_by_the_mode(
    mode: Mode, stops: bool
) -> None:
    (gate,) = examined((0.9,) * 5, (0.3,) * 5, mode=mode).gates
    assert (gate.passed, blocks(gate)) == (False, stops)
    (within,) = examined((0.44,) * 5, (0.3,) * 5, mode=mode).gates
    assert within.passed


def test_one_dear_pass_is_chance() -> None:
    (ours,) = examined((0.9, 0.9, 0.9, 0.9, 0.4), (0.3,) * 5, mode=Mode.NON_INFERIOR).gates
    (theirs,) = examined((0.9,) * 5, (0.3, 0.3, 0.3, 0.3, 0.7), mode=Mode.NON_INFERIOR).gates
    assert ours.passed
    assert theirs.passed


@pytest.mark.parametrize(("limit", "passes"), [(0.02, True), (0.005, False)])
def test_a_hard_limit_is_kept_or_blocks(limit: float, passes: bool) -> None:
    found = examined((0.3,) * 5, mode=Mode.HARD, max_wh_per_1000=limit, watts_per_core=3.6)
    (gate,) = found.gates
    assert (gate.passed, blocks(gate)) == (passes, not passes)
    assert gate.reason == f"1,000 predictions cost 0.01 Wh (estimated), {limit:g} are allowed"


def test_a_first_model_is_told_and_held_against_nobody() -> None:
    (gate,) = examined((0.3,) * 5, mode=Mode.NON_INFERIOR).gates
    assert gate.passed is None
    assert not blocks(gate)
    assert "there is no champion" in gate.reason


def test_a_model_too_slow_for_the_time_there_is_is_not_measured() -> None:
    found = examined((), (), slow=1.0, mode=Mode.HARD, max_wh_per_1000=1.0)
    (gate,) = found.gates
    assert gate.passed is None
    assert f"answer {FEWEST} rows {PASSES} times" in gate.reason
    assert found.report == {"reason": gate.reason}


def test_the_rule_is_read_from_the_policy() -> None:
    told = {"mode": "hard", "max_wh_per_1000": 0.1, "margin": 0.2, "watts_per_core": 5.0}
    rule = EnergyRule.from_json(told)
    assert (rule.mode, rule.max_wh_per_1000, rule.margin, rule.watts_per_core) == (Mode.HARD, 0.1, 0.2, 5.0)
