"""kill -9 at the worst moments: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from typing import Any

import httpx
import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows, tumours

pytestmark = pytest.mark.slow

QUIET: dict[str, Any] = {**FAST, "triggers": {"schedule": None, "new_labels": None, "drift": None}}


def project(server: Server, policy: dict[str, Any]) -> None:
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)


def test_upload_killed_in_the_middle_is_stored_once_when_sent_again(server: Server) -> None:
    never = {**QUIET, "min_fresh_labels": 100_000}
    project(server, never)
    frame = tumours()
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(frame[:100])})
    acknowledged: dict[str, int] = {}

    def upload() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            for number in range(200):
                key = f"part-{number}"
                try:
                    answer = http.post(
                        "/v1/projects/tumours/data",
                        files={"file": ("part.csv", csv(frame[:100]), "text/csv")},
                        headers={"Idempotency-Key": key},
                    )
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    acknowledged[key] = answer.json()["batch"]

    for _ in range(3):
        thread = threading.Thread(target=upload)
        thread.start()
        time.sleep(0.7)
        server.kill()
        thread.join()
        server.start()
    assert len(acknowledged) > 3

    for key, batch in acknowledged.items():
        again = server.http.post(
            "/v1/projects/tumours/data",
            files={"file": ("part.csv", csv(frame[:100]), "text/csv")},
            headers={"Idempotency-Key": key},
        )
        assert again.json()["batch"] == batch
    batches = server.get("/v1/projects/tumours/data", limit=500)["batches"]
    held = server.get("/v1/projects/tumours")["data"]
    assert held["rows"] == held["labelled"] == 100 * len(batches)
    assert len(batches) in (len(acknowledged) + 1, len(acknowledged) + 2, len(acknowledged) + 3)


def test_answered_predictions_survive_and_appear_once(server: Server) -> None:
    project(server, {**QUIET, "search": {"budget_seconds": 3, "engines": {"flaml": 1}}})
    frame = tumours()
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(frame[:400])})
    assert server.ended_run("tumours", 1)["status"] == "completed"
    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == 1)
    live = rows(frame[400:450].drop(columns="diagnosis"))
    ids: list[str] = []

    def call() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            while True:
                try:
                    answer = http.post("/v1/projects/tumours/predict", json={"rows": live[:5]})
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    ids.extend(one["id"] for one in answer.json()["predictions"])

    for _ in range(2):
        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(1.2)
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
        server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == 1)
    assert len(ids) > 50

    def flushed() -> bool:
        return bool(server.get("/v1/projects/tumours")["data"]["predictions"] >= len(ids))

    server.wait_for(flushed, within=20)
    labels = [{"id": name, "label": "benign"} for name in ids]
    heard = server.post("/v1/projects/tumours/feedback", 200, json={"labels": labels})
    assert heard["unknown"] == []
    held = server.get("/v1/projects/tumours")["data"]
    assert held["rows"] == 400 + held["predictions"]


def test_a_run_killed_in_its_search_is_marked_and_started_again_once(server: Server) -> None:
    slow = {**QUIET, "search": {"budget_seconds": 10, "engines": {"flaml": 0.6, "tpot": 0.4}}}
    project(server, slow)
    frame = tumours()
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(frame)})

    def searching() -> Any:
        answer = server.http.get("/v1/projects/tumours/runs/1")
        return answer.status_code == 200 and answer.json()["trials"]

    server.wait_for(searching)
    server.kill()
    server.wait_for(lambda: not _children(server), within=30)
    server.start()

    first = server.ended_run("tumours", 1, within=30)
    assert first["status"] == "failed"
    assert first["error"].startswith("interrupted")
    second = server.ended_run("tumours", 2)
    assert second["status"] == "completed", second
    assert second["trigger"]["kind"] == "retry"
    time.sleep(2)
    assert [run["run"] for run in server.get("/v1/projects/tumours/runs")["runs"]] == [2, 1]
    held = server.get("/v1/projects/tumours")["data"]
    assert (held["rows"], held["labelled"]) == (len(frame), len(frame))


def test_promotions_killed_in_the_middle_leave_a_ledger_that_reads_as_one_story(server: Server) -> None:
    project(server, {**QUIET, "search": {"budget_seconds": 2, "engines": {"flaml": 1}}})
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(tumours()[:400])})
    server.ended_run("tumours", 1)
    asked = server.post("/v1/projects/tumours/runs", 202, json={"budget_seconds": 2})
    version = server.ended_run("tumours", asked["run"])["challenger"]
    if server.get("/v1/projects/tumours")["champion"] != version:
        server.post(f"/v1/projects/tumours/models/{version}/promote", 200)

    def swap() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            try:
                while True:
                    http.post("/v1/projects/tumours/rollback")
            except httpx.TransportError:
                return

    for _ in range(3):
        thread = threading.Thread(target=swap)
        thread.start()
        time.sleep(0.4)
        server.kill()
        thread.join()
        server.start()
        story = server.get("/v1/projects/tumours/promotions", limit=500)["promotions"][::-1]
        assert [entry["epoch"] for entry in story] == list(range(1, len(story) + 1))
        for before, after in itertools.pairwise(story):
            assert after["from"] == before["to"]
        now = server.get("/v1/projects/tumours")
        assert (now["champion"], now["epoch"]) == (story[-1]["to"], len(story))
        server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == now["champion"])  # noqa: B023


def _children(server: Server) -> str:
    found = subprocess.run(
        ["pgrep", "-f", f"service.worker .*{server.home}"], capture_output=True, text=True, check=False
    )
    return found.stdout
