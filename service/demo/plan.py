"""How long the demo takes and what it asks of the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from service.demo import flights


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to play the year.

    ``seconds`` is for everything from start to table; the stream takes what the first champion and the table
    leave of it. ``every`` keeps each n-th flight, ``months`` are played from January on. Truth comes
    ``truth_days`` simulated days after the flight, delivered every ``deliver_days``.
    """

    seconds: float
    table_seconds: float
    every: int
    months: int
    batch_rows: int
    search_seconds: float
    engines: dict[str, float] = field(default_factory=lambda: {"flaml": 0.6, "tpot": 0.4})
    new_labels: int
    truth_days: int = 2
    deliver_days: int = 1
    clients: int = 2

    def table(self, year: pd.DataFrame) -> pd.DataFrame:
        """The flights to be played, still oldest first."""
        months = year[flights.TIME].dt.tz_convert(flights.NEW_YORK).dt.month
        chosen: pd.DataFrame = year[months <= self.months].iloc[:: self.every]
        return chosen.reset_index(drop=True)

    def policy(self) -> dict[str, Any]:
        """Learning compressed into minutes: a short search whenever enough truth is new, judged as ever."""
        return {
            "triggers": {"schedule": None, "new_labels": {"count": self.new_labels}},
            "min_fresh_share": 0,  # the flow of labels sets the pace
            "cooldown": "PT1S",
            "daily_budget_seconds": 3600,
            "search": {"budget_seconds": self.search_seconds, "engines": self.engines},
            "holdout": {"share": 0.2, "max_rows": 10_000},
            "gates": {"min_effect": 0.002, "max_latency_ms": 500},
            "refit": True,  # the newest flights matter most, and those that judge are the newest
        }


FULL = Plan(
    seconds=320,
    table_seconds=20,
    every=1,
    months=12,
    batch_rows=250,
    search_seconds=14,
    new_labels=20_000,
)
FAST = Plan(
    seconds=72,
    table_seconds=6,
    every=3,
    months=6,
    batch_rows=150,
    search_seconds=5,
    engines={"flaml": 1.0},  # so short a search leaves nothing for a second engine
    new_labels=5_000,
    deliver_days=3,
)
