"""Why a searched champion says what it says, over a real socket; and nothing is left when its server is killed."""

from __future__ import annotations

import math

import psutil
import pytest
from live_server import Server
from problems_at_hand import FAST, rows, tumours

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("engine", ["flaml", "tpot"])
def test_a_searched_champion_explains_its_answers_and_its_process_ends_with_the_server(
    server: Server, engine: str
) -> None:
    policy = {
        **FAST,
        "triggers": {"schedule": None, "new_labels": None, "drift": None},
        "search": {"budget_seconds": 4, "engines": {engine: 1}},
    }
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    frame = tumours()
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(frame[:450])})
    server.ended_run("tumours", 1)
    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"])

    live = rows(frame[450:480].drop(columns="diagnosis"))
    said = server.post("/v1/projects/tumours/predict?explain=true", 200, json={"rows": live})
    for row, one in zip(live, said["predictions"], strict=True):
        told = one["explanation"]
        share = one["probabilities"][told["class"]]
        raw = {"log-odds": lambda p: math.log(p / (1 - p)), "probability": lambda p: p}[told["scale"]](share)
        total = told["base"] + sum(part["contribution"] for part in told["contributions"])
        assert total == pytest.approx(raw, rel=1e-4, abs=1e-4), told["method"]
        assert {part["column"] for part in told["contributions"]} == set(row)

    assert server.process is not None
    explaining = [
        child
        for child in psutil.Process(server.process.pid).children()
        if "service.explain_child" in child.cmdline()
    ]
    assert len(explaining) == 1
    server.kill()
    psutil.wait_procs(explaining, timeout=10)
    assert not explaining[0].is_running() or explaining[0].status() == psutil.STATUS_ZOMBIE
