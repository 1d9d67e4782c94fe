"""What is tried before an engine begins: the champion's parts, then others of the past and the portfolio by turns."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sklearn.linear_model import Ridge

from automl.candidate import Candidate
from automl.engines.allowance import Allowance
from automl.engines.choosing import Limits
from automl.engines.contract import problems
from automl.engines.evaluation import Prepared, prepare
from automl.engines.past import Again, with_zero_shots
from automl.engines.past_phase import try_the_past
from automl.engines.pool import Pool
from automl.engines.protocol import Start
from automl.engines.rebuilding import described
from automl.engines.trials import Trials
from automl.engines.turns import FairTurns


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(problems.regression(), seed=0)


def boosted(rounds: int) -> dict[str, Any]:
    return {"class": "lightgbm.sklearn.LGBMRegressor", "params": {"n_estimators": rounds, "num_leaves": 7}}


def ridge(alpha: float, share: float = 0.0, seconds: float = 0.0) -> Start:
    return Start(
        engine="gone",
        estimator="ridge",
        config={"alpha": alpha},
        model=described(Ridge(alpha=alpha)),
        share=share,
        seconds=seconds,
    )


def tried_again(
    starts: list[Start], prepared: Prepared, *, whole: float, left: float | None = None
) -> list[float]:
    """The seconds that those were told to take that were tried, one after the other; the first is given ``whole``, the
    others find so many seconds ``left``."""
    clock = itertools.chain([0.0, 0.0], itertools.repeat(0.0 if left is None else whole - left))

    def trials_of(start: Start) -> Trials:
        allowance = Allowance(budget_seconds=60.0)
        return Trials(
            engine=start.engine,
            prepared=prepared,
            allowance=allowance,
            report=lambda trial: None,
            model=start.model,
        )

    time = Allowance(budget_seconds=whole, clock=lambda: next(clock))
    again = Again(starts, trials_of, at_once=1, seed=0, time=time)
    while again.another():
        pass
    return [start.seconds for start, _ in again.done]


def test_the_champions_parts_come_first_and_no_model_twice(prepared: Prepared) -> None:
    starts = [
        Start(engine="flaml", estimator="lgbm", config={"rounds": rounds}, model=boosted(rounds), share=share)
        for rounds, share in ((40, 1.0), (80, 0.0))
    ]
    found = with_zero_shots(starts, prepared, seed=0)
    assert found[0] is starts[0]
    assert starts[1] not in found  # it differs in its rounds alone, which are found anew


def test_the_portfolio_and_the_rest_of_the_past_are_tried_by_turns(prepared: Prepared) -> None:
    starts = [ridge(1000.0, share=1.0), *(ridge(alpha) for alpha in (2000.0, 3000.0, 4000.0, 5000.0))]
    found = with_zero_shots(starts, prepared, seed=0)
    assert [one.engine for one in found[:7]] == ["gone", *(("portfolio", "gone", "gone") * 2)]
    assert [one.config for one in found[2:4]] == [{"alpha": 2000.0}, {"alpha": 3000.0}]
    assert {one.engine for one in found[7:]} == {"portfolio"}
    assert not {"forest", "extra_trees"} & {one.estimator for one in found}  # these are slow on many rows


def test_where_the_past_has_no_models_nothing_is_added(prepared: Prepared) -> None:
    starts = [Start(engine="flaml", estimator="lgbm", config={"n_estimators": 4})]
    assert with_zero_shots(starts, prepared, seed=0) == starts


def test_what_would_not_end_in_the_time_left_is_passed_over(prepared: Prepared) -> None:
    """Told 1 s, the first takes some milliseconds; by that pace a million times as long is too long, and twice is not."""
    starts = [ridge(1.0, seconds=1.0), ridge(2.0, seconds=1e6), ridge(3.0, seconds=2.0)]
    assert tried_again(starts, prepared, whole=60.0, left=30.0) == [1.0, 2.0]


def test_the_champions_parts_are_tried_where_all_of_the_time_would_be_enough(prepared: Prepared) -> None:
    starts = [ridge(alpha, share=1 / 3, seconds=told) for alpha, told in ((1.0, 1.0), (2.0, 1e6), (3.0, 2.0))]
    assert tried_again(starts, prepared, whole=60.0, left=1e-9) == [1.0, 2.0]


def test_nothing_is_begun_when_less_is_left_than_the_others_took(prepared: Prepared) -> None:
    assert tried_again([ridge(1.0), ridge(2.0)], prepared, whole=30.0, left=1e-9) == [0.0]


def test_a_past_that_makes_nothing_better_leaves_the_time_to_the_engines(prepared: Prepared) -> None:
    offers: list[Candidate] = []
    pool = Pool(prepared=prepared, turns=FairTurns({}, at_once=1), offer=offers.append)
    limits = Limits(allowance=Allowance(budget_seconds=60.0), at_once=1, seed=0)
    worse_and_worse = [ridge(100.0 * 1.5**power, share=float(power == 0)) for power in range(60)]
    done = try_the_past(
        worse_and_worse, prepared, limits, pool, lambda trial: None, zero_shots=False, standing=None
    )
    assert 9 <= len(done) <= 30
    assert len(offers) == 1
