"""The gate vector over real HTTP: what a hard gate does to a verdict, and where it can be read afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_server import Server
from problems_at_hand import FAST, rows

pytestmark = pytest.mark.slow


def parcels(n: int = 900) -> pd.DataFrame:
    """Late or not by distance and weight; one weight in twenty is in grams."""
    random = np.random.default_rng(0)
    distance, weight = random.gamma(2, 4, n).round(2), random.normal(8, 2, n).clip(2).round(2)
    late = random.random(n) < 1 / (1 + np.exp(8 - 0.7 * distance - 0.3 * weight))
    weight = np.where(random.random(n) < 0.05, weight * 1000, weight)
    return pd.DataFrame({"distance": distance, "weight": weight, "late": np.where(late, "yes", "no")})


def gate(run: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in run["verdict"]["gates"] if one["name"] == name)
    return found


def started(server: Server) -> int | None:
    """The number of a new run; None while one that began by itself is under way."""
    asked = {"reason": "grams are known", "budget_seconds": 4}
    answer = server.http.post("/v1/projects/parcels/runs", json=asked)
    return int(answer.json()["run"]) if answer.status_code == 202 else None


def test_a_planted_unit_error_blocks_as_hard_and_is_only_told_as_report(server: Server) -> None:
    policy = {
        **FAST,
        "triggers": {**FAST["triggers"], "new_labels": None},
        "search": {"budget_seconds": 4, "first_seconds": 4, "engines": {"portfolio": 1}},
        "gates": {"trust": {"robustness": {"unit_errors": "hard"}}},
        "answers": {"coverage": 0.9},
        "refit": False,
    }
    body = {"name": "parcels", "task": "classification", "target": "late", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/parcels/data", 201, json={"rows": rows(parcels())})
    first = server.ended_run("parcels", 1)
    assert first["verdict"]["outcome"] == "rejected", first
    assert first["verdict"]["reason"].startswith("Rejected: units: values in another unit? weight:")
    units = gate(first, "units")
    assert units["passed"] is False
    assert units["evidence"]["blocks"] is True
    assert gate(first, "robustness")["evidence"]["blocks"] is False
    told = server.get(f"/v1/projects/parcels/models/{first['challenger']}/trust")
    assert [one["column"] for one in told["robustness"]["unit_errors"]] == ["weight"]
    assert {curve["kind"] for curve in told["robustness"]["curves"]} == {"noise", "missing", "units"}
    assert told["seconds"]["robustness"] > 0

    change = {"policy": {"gates": {"trust": {"robustness": {"unit_errors": "report"}}}}}
    assert server.http.patch("/v1/projects/parcels", json=change).status_code == 200
    second = server.ended_run("parcels", server.wait_for(lambda: started(server), within=120))
    assert second["verdict"]["outcome"] == "promoted", second
    assert gate(second, "units")["passed"] is False
    assert gate(second, "units")["evidence"]["blocks"] is False
    server.wait_for(lambda: server.get("/v1/projects/parcels/champion")["served"] == second["challenger"])
    answer = server.post(
        "/v1/projects/parcels/predict", 200, json={"rows": [{"distance": 40.0, "weight": 9.0}]}
    )
    assert answer["predictions"][0]["set"] == ["yes"]
