"""Are the models of the flights demo made again from their records? A real server learns month after month with different
engines; then every version is rebuilt and compared.

    python benchmarks/reproduce.py [--versions 10] [--budget SECONDS] [--every N] [--home FOLDER]

``--every`` keeps each n-th flight. With ``--home`` the folder is kept, and ``incumbent reproduce --all --home FOLDER`` says
the same again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from service.client import Incumbent, IncumbentError
from service.demo import flights
from service.demo.child import server

PROJECT = "flights"
ENGINES: tuple[dict[str, float], ...] = (
    {"flaml": 0.6, "tpot": 0.4},
    {"portfolio": 1.0},
    {"flaml": 1.0},
    {"tpot": 1.0},
    {"sklearn": 1.0},
)
POLICY: dict[str, Any] = {
    "triggers": {"schedule": None, "new_labels": None, "drift": None},
    "cooldown": "PT0S",
    "search": {"budget_seconds": 5, "engines": {"portfolio": 1.0}},
    "min_fresh_labels": 1,
    "min_fresh_share": 0,
    "daily_budget_seconds": 36_000,
    "holdout": {"share": 0.2, "max_rows": 10_000},
    # lenient, so that few rows give versions that were refitted too
    "gates": {"min_effect": 0, "alpha": 0.45, "max_latency_ms": 2000},
    "refit": True,
}


def learn(client: Incumbent, versions: int, budget: float, every: int) -> None:
    """Upload a month, search, and so on, until there are so many versions."""
    year = flights.flights().iloc[::every]
    months = year[flights.TIME].dt.tz_convert(flights.NEW_YORK).dt.month
    client.create_project(
        PROJECT,
        task="classification",
        target=flights.TARGET,
        metric="roc_auc",
        time_column=flights.TIME,
        id_column=flights.ID,
        policy=POLICY,
    )
    for month in range(1, 13):
        client.upload(PROJECT, year[months == month])
        engines = ENGINES[month % len(ENGINES)]
        *_, ended = client.watch(PROJECT, started(client, engines, budget))
        outcome = (ended["verdict"] or {}).get("outcome") or ended.get("error")
        made = len(client.models(PROJECT))
        print(f"month {month}: {'+'.join(engines)}, {outcome}; {made} versions", flush=True)
        if made >= versions:
            return


def started(client: Incumbent, engines: dict[str, float], budget: float) -> int:
    """The number of a run, once nothing else runs: the first upload starts a quick search and a full one by itself."""
    while True:
        for run in client.runs(PROJECT):
            list(client.watch(PROJECT, run["run"]))
        try:
            return int(client.start_run(PROJECT, engines=engines, budget_seconds=budget)["run"])
        except IncumbentError as error:
            if error.code != "run_active":
                raise


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--budget", type=float, default=6.0)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = asked.home or Path(scratch) / "home"
        with server(home, 0) as (url, _), Incumbent(url) as client:
            learn(client, asked.versions, asked.budget, asked.every)
        command = [sys.executable, "-m", "service.cli", "reproduce", "--all", "--home", str(home)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
