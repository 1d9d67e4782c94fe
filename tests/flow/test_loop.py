"""The whole loop over real HTTP, with real FLAML and TPOT on a few seconds."""

from __future__ import annotations

import numpy as np
import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows, tumours
from sklearn.datasets import load_diabetes

pytestmark = pytest.mark.slow


def test_rows_come_in_a_champion_is_found_truth_comes_back_and_it_searches_again(server: Server) -> None:
    frame = tumours()
    server.post(
        "/v1/projects",
        201,
        json={"name": "tumours", "task": "classification", "target": "diagnosis", "policy": FAST},
    )
    accepted = server.post(
        "/v1/projects/tumours/data", 201, files={"file": ("first.csv", csv(frame[:350]), "text/csv")}
    )
    assert (accepted["rows"], accepted["labelled"], accepted["quarantined"]) == (350, 350, 0)

    first = server.ended_run("tumours", 1)
    assert first["status"] == "completed", first
    assert first["trigger"]["kind"] == "first_champion"
    assert {trial["engine"] for trial in first["trials"]} == {"flaml", "tpot"}
    assert first["verdict"]["outcome"] == "promoted", first["verdict"]
    assert all(gate["reason"] for gate in first["verdict"]["gates"])
    (compiled,) = [gate for gate in first["verdict"]["gates"] if gate["name"] == "compiled"]
    assert compiled["passed"], compiled
    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == 1)
    champion = server.get("/v1/projects/tumours/champion")
    assert (bool(champion["compiled"]), champion["not_compiled"]) == (True, None)
    assert server.get("/v1/projects/tumours/models/1")["compiled"] == compiled

    live = frame[350:]
    answered = server.post(
        "/v1/projects/tumours/predict", 200, json={"rows": rows(live.drop(columns="diagnosis"))}
    )
    assert answered["model_version"] == 1
    said = [one["value"] for one in answered["predictions"]]
    assert (np.array(said) == live["diagnosis"].to_numpy()).mean() > 0.85
    assert answered["predictions"][0]["probabilities"].keys() == {"benign", "malignant"}

    labels = [
        {"id": one["id"], "label": truth}
        for one, truth in zip(answered["predictions"], live["diagnosis"], strict=True)
    ]
    heard = server.post(
        "/v1/projects/tumours/feedback", 200, json={"labels": [*labels, {"id": "nobody", "label": "benign"}]}
    )
    assert (heard["accepted"], heard["unknown"], heard["conflicting"]) == (len(live), ["nobody"], [])

    second = server.ended_run("tumours", 2)
    assert second["status"] == "completed", second
    assert second["trigger"]["kind"] == "new_labels"
    assert second["verdict"]["champion_score"] is not None
    assert second["snapshot"]["holdout_rows"] + second["snapshot"]["train_rows"] == len(frame)

    quality = server.get("/v1/projects/tumours/performance")
    assert quality["rows"] == len(live)
    assert quality["score"] > 0.9
    decisions = server.get("/v1/projects/tumours/decisions")["decisions"]
    assert {"triggered", "refused"} == {decision["outcome"] for decision in decisions}
    assert all(decision["reason"] for decision in decisions)
    reports = server.wait_for(lambda: server.get("/v1/projects/tumours/drift")["reports"])
    assert reports[0]["columns"]


def test_numbers_are_learnt_too_and_a_rollback_brings_the_old_champion_back(server: Server) -> None:
    frame = load_diabetes(as_frame=True).frame.round(5)
    policy = {**FAST, "search": {"budget_seconds": 4, "engines": {"flaml": 1}}}
    server.post(
        "/v1/projects",
        201,
        json={"name": "diabetes", "task": "regression", "target": "target", "policy": policy},
    )
    server.post("/v1/projects/diabetes/data", 201, json={"rows": rows(frame)})
    assert server.ended_run("diabetes", 1)["verdict"]["outcome"] == "promoted"

    asked = server.post(
        "/v1/projects/diabetes/runs", 202, json={"reason": "a second look", "budget_seconds": 3}
    )
    second = server.ended_run("diabetes", asked["run"])
    assert second["status"] == "completed", second
    assert second["trigger"]["kind"] == "manual"
    server.post(
        f"/v1/projects/diabetes/models/{second['challenger']}/promote", 200, json={"reason": "a test"}
    )
    server.wait_for(lambda: server.get("/v1/projects/diabetes/champion")["served"] == second["challenger"])

    server.post("/v1/projects/diabetes/rollback", 200, json={"reason": "another test"})
    served = server.wait_for(lambda: server.get("/v1/projects/diabetes/champion")["served"] == 1, within=30)
    assert served
    answer = server.post(
        "/v1/projects/diabetes/predict", 200, json={"rows": rows(frame[:3].drop(columns="target"))}
    )
    assert answer["model_version"] == 1
    assert all(50 < one["value"] < 400 for one in answer["predictions"])
    kinds = [entry["kind"] for entry in server.get("/v1/projects/diabetes/promotions")["promotions"]]
    assert kinds == ["rollback", "manual", "promotion"]
