"""A planted gap between groups stops a model over real HTTP, its clean twin serves and is watched by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_server import Server
from problems_at_hand import rows

pytestmark = pytest.mark.slow

POLICY: dict[str, Any] = {
    "triggers": {"schedule": None, "new_labels": None},
    "search": {"budget_seconds": 3, "engines": {"portfolio": 1}},
    "gates": {
        "max_latency_ms": 2000,
        "trust": {"fairness": {"mode": "hard"}, "robustness": None, "explanation": None, "data_health": None},
    },
    "refit": False,
}


def loans(count: int, *, apart: float) -> pd.DataFrame:
    """Whether a loan was repaid depends on income and district; ``apart`` is how much districts tell of the sex."""
    random = np.random.default_rng(5)
    sex, income = random.choice(["f", "m"], count), random.normal(30, 6, count)
    north = random.random(count) < np.where(sex == "m", 0.5 + apart, 0.5 - apart)
    tends = (income - 30) / 6 + np.where(north, 1.2, -1.2)
    repaid = random.random(count) < 1 / (1 + np.exp(-tends))
    return pd.DataFrame(
        {
            "sex": sex,
            "district": np.where(north, "north", "south"),
            "income": income.round(1),
            "repaid": np.where(repaid, "yes", "no"),
        }
    )


def judged(server: Server, name: str, frame: pd.DataFrame) -> Any:
    body = {"task": "classification", "target": "repaid", "sensitive": ["sex"], "policy": POLICY}
    server.post("/v1/projects", 201, json={"name": name, **body})
    server.post(f"/v1/projects/{name}/data", 201, json={"rows": rows(frame)})
    return server.ended_run(name, 1)["verdict"]


def test_a_planted_gap_is_stopped_by_name_and_its_clean_twin_serves_and_is_watched(server: Server) -> None:
    verdict = judged(server, "planted", loans(3_000, apart=0.4))
    assert verdict["outcome"] == "rejected"
    assert verdict["reason"].startswith("Rejected: fairness: by sex the selection rate of yes is")
    report = server.get("/v1/projects/planted/models/1/trust")["fairness"]
    assert [one["group"] for one in report["columns"][0]["groups"]] == ["f", "m"]

    verdict = judged(server, "twin", loans(3_000, apart=0.0))
    assert verdict["outcome"] == "promoted", verdict["reason"]
    (gate,) = (one for one in verdict["gates"] if one["name"] == "fairness")
    assert gate["passed"] is True

    path = "/v1/projects/twin"
    later = loans(3_400, apart=0.0)[3_000:]
    asked = rows(later.drop(columns="repaid"))
    server.wait_for(lambda: server.get(f"{path}/monitoring")["served"])
    told = server.post(f"{path}/predict?explain=true", 200, json={"rows": asked[:1]})
    features = {one["column"] for one in told["predictions"][0]["explanation"]["contributions"]}
    assert features == {"district", "income"}  # sex is stored, and never learnt from
    answers = server.post(f"{path}/predict", 200, json={"rows": asked})["predictions"]
    truths = [{"id": one["id"], "label": label} for one, label in zip(answers, later["repaid"], strict=True)]
    server.post(f"{path}/feedback", 200, json={"labels": truths})
    live = server.wait_for(lambda: server.get(f"{path}/fairness")["live"], within=90)
    groups = {one["group"]: one["rows"] for one in live["columns"][0]["groups"]}
    assert groups == later["sex"].value_counts().to_dict()
    assert server.get(f"{path}/fairness")["judged"]["rows"] == gate["evidence"]["rows"]
