"""Every recipe forecasts what it is made for, from the past alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from series_at_hand import monthly_panel, seasonal

from automl.forecasting.histories import History, before, history
from automl.forecasting.recipes import NAIVE, Recipe, forecast, portfolio, trees

ALL = (*portfolio(12), *trees(12))


def past(count: int = 120, noise: float = 0.0) -> History:
    made = monthly_panel(count, noise=noise)
    return history(made, made.series[0], 12)


def test_seasonal_naive_repeats_the_last_season() -> None:
    one = past(noise=1.0)
    assert list(forecast(NAIVE, [one], 15)[0]) == [*one.values[-12:], *one.values[-12:-9]]


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_each_recipe_gives_a_number_for_every_step_of_every_history(recipe: Recipe) -> None:
    histories = [past(noise=1.0), before(past(noise=2.0), 60, 12), before(past(noise=3.0), 30, 12)]
    told = forecast(recipe, histories, 12)
    assert told.shape == (3, 12)
    assert np.all(np.isfinite(told))


@pytest.mark.parametrize("recipe", portfolio(12), ids=lambda recipe: recipe.name)
def test_no_recipe_sees_beyond_the_origin(recipe: Recipe) -> None:
    one = past(noise=1.0)
    cut = before(one, 96, 12)
    other = replace(one, values=np.concatenate([one.values[:96], 1e6 * np.ones(24)]))
    assert np.array_equal(forecast(recipe, [cut], 12), forecast(recipe, [before(other, 96, 12)], 12))


@pytest.mark.parametrize("kind", ["smoothing", "theta", "lag_ridge"])
def test_line_and_wave_are_followed_beyond_the_last_value(kind: str) -> None:
    one, truth = past(), seasonal(132, noise=0.0)[120:]
    errors = [
        float(np.mean(np.abs(forecast(recipe, [one], 12)[0] - truth)))
        for recipe in portfolio(12)
        if recipe.kind == kind
    ]
    naive = float(np.mean(np.abs(forecast(NAIVE, [one], 12)[0] - truth)))
    assert min(errors) < 0.4 * naive


def test_logarithms_are_only_taken_of_values_above_zero() -> None:
    recipe = Recipe(kind="smoothing", config={"trend": "damped", "seasonal": True, "log": True})
    one = past(noise=1.0)
    told = forecast(recipe, [one, replace(one, values=one.values - 110.0)], 6)
    assert np.all(np.isfinite(told[0]))
    assert np.all(np.isnan(told[1]))


def test_regression_learns_what_a_known_covariate_does() -> None:
    random = np.random.default_rng(3)
    promotion = (random.random(132) < 0.3).astype(float)
    values = seasonal(132, noise=0.5) + 20.0 * promotion
    one = past()
    shown = replace(one, values=values[:120], covariates=promotion[:, None])
    blind = replace(one, values=values[:120])
    recipe = Recipe(kind="lag_ridge", config={"differences": "season", "reach": "season", "direct": False})
    errors = [
        float(np.mean(np.abs(forecast(recipe, [each], 12)[0] - values[120:]))) for each in (shown, blind)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_recipe_is_json_and_back() -> None:
    for recipe in ALL:
        assert Recipe.from_json(recipe.to_json()).key == recipe.key
    assert len({recipe.key for recipe in ALL}) == len(ALL)


def test_unknown_kind_is_refused_with_the_kinds_there_are() -> None:
    with pytest.raises(ValueError, match="seasonal_naive"):
        forecast(Recipe(kind="oracle"), [past()], 3)
