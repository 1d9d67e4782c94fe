"""Two challengers and the champion: what is asked between whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from automl.arms import Arm, Arms, three_arms
from automl.judge import Rules, Scored
from automl.slices import Slice
from automl.task import Task, TaskKind

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="accuracy", classes=(0, 1))
N = 2000


def right_on(rows: Any) -> Scored:
    y = np.arange(N) % 2
    return Scored(predictions=np.eye(2)[np.where(rows, y, 1 - y)] * 0.8 + 0.1)


def arms(
    champion: Any, true_only: Any, with_pseudo: Any, *, slices: Any = (), factors: Any = None, **rules: Any
) -> Arms:
    return three_arms(
        right_on(champion),
        right_on(true_only),
        right_on(with_pseudo),
        np.arange(N) % 2,
        Rules(metric="accuracy", **rules),
        truly_labelled=np.ones(N, dtype=bool),
        seed=1,
        task=BINARY,
        train_prior=np.full(2, 0.5),
        slices=slices,
        effect_factors=factors,
    )


def test_floor_of_the_champion_and_a_reversal_are_no_matter_between_the_challengers() -> None:
    rows = np.arange(N)
    barely = arms(rows < 1000, rows < 1200, rows < 1202, floor=0.9)
    assert barely.challenger is Arm.TRUE_ONLY  # two rows more: not for a floor that is the champion's
    clearly = arms(rows < 1000, rows < 1200, rows < 1232, min_effect=0.01, required_effect_factor=100.0)
    assert clearly.challenger is Arm.WITH_PSEUDO
    assert not clearly.verdict.promotes


def test_no_slice_pays_for_pseudo_labels() -> None:
    rows = np.arange(N)
    part = Slice(column="place", value="here", rows=rows < 300)
    found = arms(rows < 1000, rows < 1200, (rows >= 100) & (rows < 1400), slices=(part,))
    assert found.challenger is Arm.TRUE_ONLY
    assert found.pseudo is not None
    assert "slices: where place = here" in found.pseudo.reason


def test_only_the_arm_that_is_a_reversal_has_to_show_more() -> None:
    rows = np.arange(N)
    for stands, with_pseudo in ((Arm.WITH_PSEUDO, rows < 1232), (Arm.TRUE_ONLY, rows < 1000)):
        for reverses in Arm:
            found = arms(rows < 1000, rows < 1200, with_pseudo, min_effect=0.01, factors={reverses: 100.0})
            assert found.challenger is stands
            assert found.verdict.promotes is (stands is not reverses)
