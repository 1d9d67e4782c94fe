"""A promoted model is trained again on the rows that judged it, and serves as a version of its own."""

from __future__ import annotations

import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows, tumours

pytestmark = pytest.mark.slow

POLICY = {
    **FAST,
    "search": {"budget_seconds": 4, "engines": {"flaml": 1}},
    "refit": True,
    "holdout": {"min_rows": 100},
    "triggers": {
        **FAST["triggers"],
        "new_labels": {"count": 150},
        "estimated_decay": {"min_rows": 50, "window": 100, "pause": "PT0S"},
        "prediction_drift": {"min_rows": 50, "window": 100, "pause": "PT0S"},
    },
}


def test_the_refitted_winner_is_its_own_version_and_serves_and_is_judged_on_newer_rows_only(
    server: Server,
) -> None:
    frame = tumours()
    server.post(
        "/v1/projects",
        201,
        json={"name": "tumours", "task": "classification", "target": "diagnosis", "policy": POLICY},
    )
    server.post("/v1/projects/tumours/data", 201, files={"file": ("one.csv", csv(frame[:350]), "text/csv")})
    first = server.ended_run("tumours", 1)
    assert first["verdict"]["outcome"] == "promoted", first
    assert first["verdict"]["refit"]["promoted"], first["verdict"]["refit"]
    assert "trained on all rows" in first["verdict"]["refit"]["reason"]

    refitted, judged = server.get("/v1/projects/tumours/models")["models"]
    assert (judged["version"], judged["refit_of"]) == (first["challenger"], None)
    assert (refitted["version"], refitted["refit_of"]) == (2, 1)
    assert refitted["train_rows"] == judged["train_rows"] + judged["holdout_rows"] == 350
    assert refitted["score"] == judged["score"]
    (promotion,) = server.get("/v1/projects/tumours/promotions")["promotions"]
    assert promotion["to"] == 2
    assert "refitted" in promotion["reason"]
    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == 2)

    live = frame[350:]
    answered = server.post(
        "/v1/projects/tumours/predict", 200, json={"rows": rows(live.drop(columns="diagnosis"))}
    )
    # before any truth: what the answers are likely worth, and whether they are other answers than before
    seen = server.wait_for(lambda: server.get("/v1/projects/tumours/performance")["champion"]["estimated"])
    assert seen["model_version"] == 2
    assert 0.8 < seen["score"] <= 1
    assert seen["rows_reference"] >= 100
    moved = server.wait_for(
        lambda: server.get("/v1/projects/tumours/monitoring")["quality"]["prediction_drift"]
    )
    assert moved["moved"] in (True, False)
    assert 'incumbent_estimated_metric{model="2",project="tumours"}' in server.http.get("/metrics").text

    labels = [
        {"id": one["id"], "label": truth}
        for one, truth in zip(answered["predictions"], live["diagnosis"], strict=True)
    ]
    server.post("/v1/projects/tumours/feedback", 200, json={"labels": labels})
    second = server.ended_run("tumours", 2)
    assert second["status"] == "completed", second
    # the champion has seen the rows that judged it: only those that came later may judge now
    assert second["snapshot"]["holdout_rows"] <= len(live)
    assert second["snapshot"]["holdout_rows"] >= 100


def test_what_waits_for_approval_waits_with_its_refitted_version(server: Server) -> None:
    frame = tumours()
    policy = {**POLICY, "promote_mode": "manual"}
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/tumours/data", 201, files={"file": ("one.csv", csv(frame[:350]), "text/csv")})
    run = server.ended_run("tumours", 1)
    verdict = run["verdict"]
    assert verdict["outcome"] == "awaiting_approval", run
    assert verdict["reason"].startswith("Awaiting approval: ")
    assert "Refitted as well" in verdict["reason"]
    used = run["energy"]
    assert used["source"] in ("measured", "estimated"), used
    assert used["wh"] > 0
    assert used["gain_per_wh"] == pytest.approx(verdict["difference"]["estimate"] / used["wh"])
    assert (run["approval"]["status"], run["approval"]["judged"]) == ("open", run["challenger"])
    assert (verdict["refit"]["passed"], verdict["refit"]["promoted"]) == (True, False)
    refitted, judged = server.get("/v1/projects/tumours/models")["models"]
    assert (judged["version"], refitted["refit_of"]) == (run["challenger"], run["challenger"])
    assert refitted["train_rows"] == 350
    assert server.get("/v1/projects/tumours")["champion"] is None

    approved = server.post(f"/v1/projects/tumours/models/{judged['version']}/promote", 200)
    assert (approved["to"], approved["refitted"]) == (judged["version"], refitted["version"])
    chosen = server.post(f"/v1/projects/tumours/models/{refitted['version']}/promote", 200)
    assert (chosen["to"], chosen["refitted"], chosen["run"]) == (refitted["version"], None, 1)
    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == refitted["version"])
