"""FLAML's forecasters: what its search names can be followed at any origin."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest

from automl.engines.flaml_forecasts import KIND, forecaster, proposer
from automl.forecasting.backtest import Bench, backtest, origins
from automl.forecasting.histories import history
from automl.forecasting.panel import Panel, panel
from automl.forecasting.recipes import Recipe, forecast

pytestmark = pytest.mark.slow


def made(frequency: str, season: int) -> Panel:
    random = np.random.default_rng(2)
    at = np.arange(90)
    values = (
        50 + 0.2 * at + 5 * np.sin(2 * np.pi * at / max(season, 2)) * (season > 1) + random.normal(size=90)
    )
    return panel(pd.date_range("2010-01-01", periods=90, freq=frequency).to_numpy(), None, values)


@pytest.mark.parametrize(("frequency", "season"), [("MS", 12), ("YS", 1), ("D", 7)])
def test_what_flaml_names_is_json_and_forecasts_from_any_origin(frequency: str, season: int) -> None:
    one = made(frequency, season)
    assert one.season == season
    end = time.monotonic() + 60
    named = proposer(3.0, 0)(one, 4)
    assert named
    assert {recipe.kind for recipe in named} == {KIND}
    bench = Bench(one, 4, origins(one, 4, most=2), {KIND: forecaster(lambda: end - time.monotonic())})
    again = [Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) for recipe in named]
    done = backtest(bench, again)  # some of FLAML's own configurations fail on other lengths: each for itself
    assert done.recipes
    for recipe in done.recipes:
        told = done.forecasts[recipe.key]
        assert told.shape == (1, 2, 4)
        assert np.max(np.abs(told - 60)) < 30


def test_forecaster_stops_where_the_seconds_left_will_not_do() -> None:
    one = made("MS", 12)
    recipe = Recipe(
        kind=KIND, engine="flaml", config={"estimator": "arima", "settings": {"p": 1, "d": 1, "q": 1}}
    )
    with pytest.raises(TimeoutError, match="3 were needed in the 0 s left"):
        forecast(recipe, [history(one, one.series[0], 4)] * 3, 4, {KIND: forecaster(lambda: 0.0)})
