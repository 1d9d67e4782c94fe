"""A run can be watched while it works, and cancelled at once."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest
from live_server import Server
from problems_at_hand import FAST, rows, tumours

pytestmark = pytest.mark.slow


def events(server: Server, run: int) -> Any:
    """Server-sent events of a run, as (name, data) pairs, until the stream ends."""
    with server.http.stream("GET", f"/v1/projects/tumours/runs/{run}/events", timeout=120) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, json.loads(line[6:])


def test_trials_are_seen_as_they_come_and_a_cancelled_run_ends_at_once(server: Server) -> None:
    policy = {**FAST, "search": {"budget_seconds": 60, "engines": {"flaml": 0.5, "tpot": 0.5}}}
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(tumours())})
    server.wait_for(lambda: server.http.get("/v1/projects/tumours/runs/1").status_code == 200)
    refused = server.http.post("/v1/projects/tumours/runs")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_active")

    cancelled_at, seen = 0.0, []
    for name, data in events(server, 1):
        seen.append(name)
        if name == "trial" and not cancelled_at:
            assert data["engine"] in ("flaml", "tpot")
            assert data["score"] > 0.5
            server.post("/v1/projects/tumours/runs/1/cancel", 202)
            cancelled_at = time.monotonic()
    assert seen[-1] == "end"
    assert time.monotonic() - cancelled_at < 15

    run = server.get("/v1/projects/tumours/runs/1")
    assert (run["status"], run["error"]) == ("cancelled", "cancelled on request")
    left = subprocess.run(
        ["pgrep", "-f", f"service.worker .*{server.home}"], capture_output=True, text=True, check=False
    )
    assert left.stdout == ""
    again = server.http.post("/v1/projects/tumours/runs/1/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "run_ended")


def test_a_run_in_which_every_engine_fails_says_why_and_leaves_no_champion(server: Server) -> None:
    policy = {
        **FAST,
        "search": {"budget_seconds": 2, "engines": {"flaml": 1}},
        "holdout": {"share": 0.2, "min_rows": 50},
    }
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    frame = tumours()[:80]
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(frame)})
    run = server.ended_run("tumours", 1)
    assert run["status"] == "failed"
    assert "rows" in run["error"]
    refused = server.http.post(
        "/v1/projects/tumours/predict", json={"rows": rows(frame[:1].drop(columns="diagnosis"))}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "no_champion")
