"""A bad champion goes by itself, a good one stays: over real HTTP, with real models and nobody's help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from live_server import Server

pytestmark = pytest.mark.slow

POLICY: dict[str, Any] = {
    "triggers": {"schedule": None, "new_labels": None, "decay": None, "drift": None},
    "cooldown": "PT0S",
    "min_fresh_labels": 50,
    "search": {"budget_seconds": 4, "engines": {"flaml": 1}},
    "gates": {"max_latency_ms": 2000},
    "probation": {"min_rows": 100, "max_shift": None},
    "refit": False,
}


def loans(count: int, seed: int, *, flipped: bool = False) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    income, debt = random.normal(50, 15, count).round(1), random.normal(20, 8, count).round(1)
    pays = income - debt + random.normal(0, 6, count) > 30
    words = np.where(pays ^ flipped, "paid", "lost")
    return [
        {"income": float(a), "debt": float(b), "outcome": str(word)}
        for a, b, word in zip(income, debt, words, strict=True)
    ]


def live(server: Server, seed: int, count: int = 100) -> None:
    """Rows are predicted, and a little later their truth is told."""
    rows = loans(count, seed)
    features = [{"income": row["income"], "debt": row["debt"]} for row in rows]
    answers: list[dict[str, Any]] = []
    for start in range(0, count, 20):
        call = {"rows": features[start : start + 20]}
        answers += server.post("/v1/projects/loans/predict", 200, json=call)["predictions"]

    def stored() -> bool:
        held = server.get("/v1/projects/loans")["data"]
        return bool(held["rows"] >= held["predictions"] > 0) and not _unknown()

    def _unknown() -> list[str]:
        labels = [{"id": one["id"], "label": row["outcome"]} for one, row in zip(answers, rows, strict=True)]
        heard = server.post("/v1/projects/loans/feedback", 200, json={"labels": labels})
        unknown: list[str] = heard["unknown"]
        return unknown

    server.wait_for(stored, within=60)


def watched(server: Server, champion: int) -> Any:
    """The open probation of a champion, once the other model is loaded in its shadow."""

    def ready() -> Any:
        said = server.get("/v1/projects/loans/probation")
        current = said["current"]
        if current is None or current["champion"] != champion:
            return None
        return current if said["shadow"]["loaded"] == current["other"] else None

    return server.wait_for(ready, within=60)


def ended(server: Server, number: int, seed: int) -> Any:
    """How a probation ended, rows and truths coming in until it has."""
    for step in range(12):
        live(server, seed + step)
        for one in server.get("/v1/projects/loans/probation")["probations"]:
            if one["number"] == number and one["status"] != "open":
                return one
    return server.wait_for(
        lambda: next(
            (
                one
                for one in server.get("/v1/projects/loans/probation")["probations"]
                if one["number"] == number and one["status"] != "open"
            ),
            None,
        ),
        within=120,  # whoever was killed in the middle of a look holds its lease for a minute
    )


def test_a_bad_champion_is_rolled_back_by_itself_and_a_good_one_is_confirmed(server: Server) -> None:
    body = {"name": "loans", "task": "classification", "target": "outcome", "policy": POLICY}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/loans/data", 201, json={"rows": loans(150, 1, flipped=True)})
    first = server.ended_run("loans", 1)
    assert first["verdict"]["outcome"] == "promoted", first
    assert server.get("/v1/projects/loans/probation")["probations"] == []

    server.post("/v1/projects/loans/data", 201, json={"rows": loans(900, 2)})
    server.post("/v1/projects/loans/runs", 202, json={"budget_seconds": 6})
    second = server.ended_run("loans", 2)
    assert second["verdict"]["outcome"] == "promoted", second
    opened = watched(server, 2)
    assert (opened["mode"], opened["other"], opened["status"]) == ("previous", 1, "open")
    assert server.get("/v1/projects/loans/monitoring")["probation"]["number"] == opened["number"]
    good = ended(server, opened["number"], 100)
    assert good["status"] == "confirmed", good
    assert good["upper"] < good["allowed"]
    assert server.get("/v1/projects/loans")["champion"] == 2

    server.post("/v1/projects/loans/models/1/promote", 200, json={"reason": "I know better"})
    opened = watched(server, 1)
    assert opened["other"] == 2
    bad = ended(server, opened["number"], 200)
    assert bad["status"] == "rolled_back", bad
    assert bad["lower"] > bad["allowed"]
    server.wait_for(lambda: server.get("/v1/projects/loans/champion")["served"] == 2, within=30)

    newest = server.get("/v1/projects/loans/promotions")["promotions"][0]
    assert (newest["kind"], newest["actor"], newest["to"]) == ("rollback", "probation", 2)
    assert newest["reason"] == bad["reason"]
    assert "version 1's loss (roc_auc) is" in newest["reason"]
    metrics = server.http.get("/metrics").text
    assert 'incumbent_probations_total{project="loans",status="rolled_back"} 1.0' in metrics
    assert 'incumbent_rollbacks_total{project="loans"} 1.0' in metrics
    assert "incumbent_shadow_scored_total" in metrics


def test_no_kill_leaves_a_probation_in_doubt(server: Server) -> None:
    body = {"name": "loans", "task": "classification", "target": "outcome", "policy": POLICY}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/loans/data", 201, json={"rows": loans(300, 1, flipped=True)})
    server.ended_run("loans", 1)
    server.post("/v1/projects/loans/data", 201, json={"rows": loans(1_500, 2)})
    server.post("/v1/projects/loans/runs", 202, json={"budget_seconds": 6})
    assert server.ended_run("loans", 2)["verdict"]["outcome"] == "promoted"
    server.wait_for(lambda: server.get("/v1/projects/loans/champion")["served"] == 2)
    watched(server, 2)
    server.post("/v1/projects/loans/models/1/promote", 200, json={"reason": "I know better"})
    number = watched(server, 1)["number"]
    for seed in range(300, 304):
        live(server, seed, 60)
        server.kill()
        server.start()
        server.wait_for(lambda: server.get("/v1/projects/loans/champion")["served"] is not None)
        if server.get("/v1/projects/loans/probation")["current"] is None:
            break
        watched(server, 1)
    over = ended(server, number, 400)
    assert over["status"] == "rolled_back", over
    promotions = server.get("/v1/projects/loans/promotions")["promotions"]
    assert [entry["kind"] for entry in promotions] == ["rollback", "manual", "promotion", "promotion"]
    assert promotions[0]["reason"] == over["reason"]
    assert len(server.get("/v1/projects/loans/probation")["probations"]) == 2
