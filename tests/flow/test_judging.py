"""What a verdict over real HTTP tells of slices, blocks, golden rows and the embargo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_server import Server
from problems_at_hand import FAST, rows

pytestmark = pytest.mark.slow


def deliveries(n: int = 1200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    distance, district = random.gamma(2, 4, n).round(2), random.choice(["north", "south"], n)
    late = random.random(n) < 1 / (1 + np.exp(6 - 0.7 * distance))
    hours = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(n) // 4, unit="h")
    return pd.DataFrame(
        {
            "at": hours.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "distance": distance,
            "carrier": random.choice(["bike", "van"], n),
            "district": district,
            "late": np.where(late, "yes", "no"),
        }
    )


def by_name(run: dict[str, Any]) -> dict[str, Any]:
    return {gate["name"]: gate for gate in run["verdict"]["gates"]}


def test_verdict_shows_slices_blocks_cross_checks_golden_rows_and_the_embargo(server: Server) -> None:
    policy = {
        **FAST,
        "triggers": {**FAST["triggers"], "new_labels": None},
        "search": {"budget_seconds": 4, "engines": {"flaml": 1}},
        "holdout": {"embargo": "PT6H"},
    }
    body = {
        "name": "deliveries",
        "task": "classification",
        "target": "late",
        "time_column": "at",
        "sensitive": ["district"],
        "policy": policy,
    }
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/deliveries/data", 201, json={"rows": rows(deliveries())})
    first = server.ended_run("deliveries", 1)
    assert first["verdict"]["outcome"] == "promoted", first
    gates = by_name(first)
    assert gates["golden"]["passed"] is True
    assert gates["holdout"]["evidence"]["block_rows"] >= 6
    assert gates["slices"]["passed"] is None
    snapshot = first["snapshot"]
    assert snapshot["embargo_seconds"] == 6 * 3600
    assert 24 <= snapshot["left_out_rows"] <= 28  # four rows an hour, and those of the hour that is cut
    assert snapshot["train_rows"] + snapshot["left_out_rows"] + snapshot["holdout_rows"] == 1200

    server.post("/v1/projects/deliveries/runs", 202, json={"reason": "a second look", "budget_seconds": 3})
    second = server.ended_run("deliveries", 2)
    assert second["status"] == "completed", second
    gates = by_name(second)
    assert gates["slices"]["passed"] is not None
    told = {(row["column"], row["value"]) for row in gates["slices"]["evidence"]["slices"]}
    assert ("district", "north") in told
    assert {"delong"} == set(gates["cross_checks"]["evidence"])
    assert gates["improvement"]["evidence"]["factor"] == 1.0
    if second["verdict"]["outcome"] == "inconclusive":
        assert "more labels won't help" in second["verdict"]["reason"] or second["verdict"]["rows_needed"]
