"""AutoARIMA or AutoETS of statsforecast on one series, in an environment of its own: ``peer.py MODEL FILE``.

Reads ``FILE`` (values, season, horizon, origins as counts of values) and writes ``FILE`` with ``.MODEL.npz``: forecasts with
80% bounds from each origin, each after a fit to all values before it, and the seconds they took.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from statsforecast.models import AutoARIMA, AutoETS

COVERAGE = 80


def main(model: str, file: str) -> None:
    warnings.simplefilter("ignore")
    given = np.load(file)
    values, season, horizon = given["values"], int(given["season"]), int(given["horizon"])
    made = {"auto_arima": AutoARIMA, "auto_ets": AutoETS}[model](season_length=season)
    made.forecast(values[: int(given["origins"][0])], horizon)  # compiles; that is not counted
    began = time.perf_counter()
    told = [made.forecast(values[:origin], horizon, level=[COVERAGE]) for origin in given["origins"].tolist()]
    seconds = time.perf_counter() - began
    np.savez(
        f"{file}.{model}.npz",
        values=[one["mean"] for one in told],
        lower=[one[f"lo-{COVERAGE}"] for one in told],
        upper=[one[f"hi-{COVERAGE}"] for one in told],
        seconds=seconds,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
