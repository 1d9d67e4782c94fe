"""Forecasts are kept in order before they are told, and closed once everything they were about has come."""

from __future__ import annotations

import pytest
from registry_builders import NOW, after, at_once

from registry.database import Database
from registry.errors import NotFound
from registry.forecasts import Forecasts, NewForecast
from registry.records import Project


def new(series: str = "a", steps: int = 2, origin: int = 10, version: int = 1) -> NewForecast:
    return NewForecast(
        series=series,
        model_version=version,
        origin=origin,
        scale=2.0,
        coverage=0.8,
        steps=[{"time": f"2026-0{step + 1}-01", "value": 1.5 * step} for step in range(steps)],
    )


@pytest.fixture
def forecasts(db: Database) -> Forecasts:
    return Forecasts(db)


def test_forecasts_are_numbered_in_the_order_given(forecasts: Forecasts, project: Project) -> None:
    first = forecasts.add(project.id, [new("a"), new("b")], at=NOW)
    second = forecasts.add(project.id, [new("a", origin=11)], at=after(60))
    assert [(one.number, one.series) for one in (*first, *second)] == [(1, "a"), (2, "b"), (3, "a")]
    kept = forecasts.get(project.id, 2)
    assert (kept.scale, kept.coverage, kept.origin, kept.made_at) == (2.0, 0.8, 10, NOW)
    assert list(kept.steps) == new().steps
    assert list(kept.actuals) == [None, None]
    assert kept.open
    with pytest.raises(NotFound):
        forecasts.get(project.id, 4)


def test_actual_values_close_a_forecast_once_all_have_come(forecasts: Forecasts, project: Project) -> None:
    forecasts.add(project.id, [new("a"), new("b")], at=NOW)
    forecasts.score(project.id, {1: [3.0, None]}, at=after(1))
    assert [one.number for one in forecasts.list(project.id, open=True)] == [2, 1]
    forecasts.score(project.id, {1: [3.0, 4.5]}, at=after(2))
    closed = forecasts.get(project.id, 1)
    assert (closed.open, list(closed.actuals), closed.scored_at) == (False, [3.0, 4.5], after(2))
    assert [one.number for one in forecasts.list(project.id, open=True)] == [2]


def test_listing_narrows_by_series_model_time_and_number(forecasts: Forecasts, project: Project) -> None:
    forecasts.add(project.id, [new("a"), new("b")], at=NOW)
    forecasts.add(project.id, [new("a", version=2), new("b", version=2)], at=after(60))
    assert [one.number for one in forecasts.list(project.id)] == [4, 3, 2, 1]
    assert [one.number for one in forecasts.list(project.id, series="a")] == [3, 1]
    assert [one.number for one in forecasts.list(project.id, model_version=2, since=after(30))] == [4, 3]
    assert [one.number for one in forecasts.list(project.id, before=3, limit=1)] == [2]


def test_of_many_who_store_at_once_each_gets_numbers_of_its_own(db: Database, project: Project) -> None:
    made = at_once(lambda number: Forecasts(db).add(project.id, [new(f"s{number}")] * 3, at=NOW))
    numbers = sorted(one.number for some in made for one in some)
    assert numbers == list(range(1, 3 * len(made) + 1))
