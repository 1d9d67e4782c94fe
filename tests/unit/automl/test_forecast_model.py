"""From a search to forecasts: the mix beats the baseline, its intervals hold, and it is judged on origins it never saw."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from series_at_hand import monthly_panel

from automl.errors import SearchFailed, SplitError
from automl.forecasting.backtest import Bench, backtest, origins
from automl.forecasting.blend import blend
from automl.forecasting.intervals import Misses, radius
from automl.forecasting.judging import cut_of, judged, judging_origins
from automl.forecasting.model import ForecastModel
from automl.forecasting.recipes import NAIVE, Recipe
from automl.forecasting.search import Tried, search
from automl.judge import Outcome, Rules

RULES = Rules(metric="mase", min_effect=0.0)


def within(seconds: float):  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


@pytest.fixture(scope="module")
def found() -> tuple[ForecastModel, list[Tried]]:
    tried: list[Tried] = []
    panel = monthly_panel(120, series=2)
    return search(
        panel.until(panel.series[0].end - 24), 6, seed=0, left=within(20), report=tried.append
    ), tried


def test_search_tells_each_trial_and_beats_the_seasonal_naive_forecast(
    found: tuple[ForecastModel, list[Tried]],
) -> None:
    model, tried = found
    naive = next(one for one in tried if one.recipe.key == NAIVE.key)
    assert len({one.recipe.key for one in tried}) == len(tried) > 20
    assert naive.score is not None
    assert model.score < 0.8 * naive.score


def test_model_is_json_and_forecasts_the_same_when_it_is_read_again(
    found: tuple[ForecastModel, list[Tried]],
) -> None:
    model, panel = found[0], monthly_panel(120, series=2)
    again = ForecastModel.from_json(json.loads(json.dumps(model.to_json())))
    for one, other in zip(
        model.forecast(panel, coverage=0.8), again.forecast(panel, coverage=0.8), strict=True
    ):
        assert np.allclose(one.values, other.values)
        assert np.allclose(one.upper, other.upper, rtol=1e-4)
        assert np.all((one.lower < one.values) & (one.values < one.upper))


def test_series_that_came_after_the_search_is_forecast_like_the_others(
    found: tuple[ForecastModel, list[Tried]],
) -> None:
    told = found[0].forecast(monthly_panel(120, series=3), coverage=0.8)
    assert [one.series for one in told] == ["s0", "s1", "s2"]
    assert np.all(np.isfinite(told[2].values))
    assert np.all(told[2].upper > told[2].lower)


def test_challenger_is_promoted_over_the_baseline_but_not_over_itself(
    found: tuple[ForecastModel, list[Tried]],
) -> None:
    panel, model = monthly_panel(120, series=2), found[0]
    cut = panel.series[0].end - 24
    first = judged(panel, model, None, RULES, cut=cut, coverage=0.8, seed=0)
    assert first.verdict.outcome is Outcome.PROMOTED
    assert min(first.origins) >= cut
    again = judged(panel, model, model, RULES, cut=cut, coverage=0.8, seed=0)
    assert again.verdict.outcome is not Outcome.PROMOTED
    assert again.verdict.champion_score == again.verdict.challenger_score


def test_seasonal_naive_forecast_does_not_beat_itself() -> None:
    panel = monthly_panel(120, series=2)
    bench = Bench(panel, 6, origins(panel, 6, most=8))
    naive = blend(backtest(bench, [NAIVE]))
    model = ForecastModel(horizon=6, step=panel.step, season=12, blend=naive, misses={})
    cut = panel.series[0].end - 24
    assert (
        judged(panel, model, None, RULES, cut=cut, coverage=0.8, seed=0).verdict.outcome
        is not Outcome.PROMOTED
    )


def test_judging_never_goes_back_behind_what_the_champion_was_chosen_on() -> None:
    panel = monthly_panel(120)
    end = panel.series[0].end
    usual = cut_of(panel, 6, share=0.2, trained_until=None)
    assert end - 24 <= usual <= end - 13
    assert cut_of(panel, 6, share=0.2, trained_until=end - 14) == end - 14
    assert min(judging_origins(panel, 6, end - 14)) >= end - 14
    with pytest.raises(SplitError, match="13 are needed to judge"):
        cut_of(panel, 6, share=0.2, trained_until=end - 5)


def test_short_series_are_refused_with_the_length_that_is_needed() -> None:
    with pytest.raises(SplitError, match="45 are needed"):
        cut_of(monthly_panel(30), 6, share=0.2, trained_until=None)
    with pytest.raises(SearchFailed, match="needs 32"):
        search(monthly_panel(28), 6, seed=0, left=within(5))


def test_failing_recipe_is_told_and_the_others_go_on() -> None:
    panel = monthly_panel(80)
    told: list[str | None] = []
    bench = Bench(panel, 6, origins(panel, 6, most=4))
    done = backtest(
        bench, [Recipe(kind="oracle"), NAIVE], report=lambda recipe, found, seconds, error: told.append(error)
    )
    assert [recipe.key for recipe in done.recipes] == [NAIVE.key]
    assert told[0] is not None
    assert "oracle" in told[0]


def test_forecaster_that_cannot_take_a_series_leaves_its_weight_to_the_others() -> None:
    panel = monthly_panel(90, series=2)
    low = replace(panel.series[1], values=panel.series[1].values - 300.0)
    mixed = replace(panel, series=(panel.series[0], low))
    logged = Recipe(kind="theta", config={"log": True})
    tried = backtest(Bench(mixed, 6, origins(mixed, 6, most=6)), [NAIVE, logged])
    chosen = blend(tried)
    assert chosen.of("s1")[[recipe.key for recipe in chosen.recipes].index(NAIVE.key)] == 1.0


@pytest.mark.parametrize("growing", [False, True])
def test_intervals_hold_the_share_asked_for(growing: bool) -> None:
    random = np.random.default_rng(5)
    held = []
    for _ in range(200):
        level = np.linspace(1.0, 6.0, 30) if growing else np.ones(30)
        errors = random.normal(size=(30, 6)) * np.sqrt(np.arange(1, 7)) * level[:, None]
        known = Misses(
            positions=tuple(range(29)),
            errors=errors[:29],
            told=np.repeat(level[:29, None] * 10, 6, axis=1),
            recent=level[:29],
        )
        reach = radius(known, np.full(6, level[29] * 10), level[29], coverage=0.8)
        held.append(np.abs(errors[29]) <= reach)
        assert reach[5] > reach[0]
    assert 0.75 <= np.mean(held) <= 0.88
