"""A replay killed with -9 in the middle, its child or the whole server, goes on and tells the same story."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from live_server import Server

sys.path.append(str(Path(__file__).parents[1] / "unit" / "service"))
from replay_home import QUICK, stream_csv

pytestmark = pytest.mark.slow

URL = "/v1/projects/rain/replays"


def story(result: dict[str, Any]) -> Any:
    """All of a result but the seconds that learning took."""
    timed = ("search_seconds", "estimated_energy_joules", "seconds")

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items() if name not in timed}
        return [plain(part) for part in value] if isinstance(value, list) else value

    return plain({name: result[name] for name in ("windows", "policies", "compared_rows")})


def ended(server: Server, number: int) -> Any:
    def look() -> Any:
        found = server.get(f"{URL}/{number}")
        return found if found["status"] in ("completed", "failed", "cancelled") else None

    return server.wait_for(look, within=120)


def playing(server: Server, number: int) -> Any:
    return server.wait_for(lambda: server.get(f"{URL}/{number}")["progress"].get("window"), within=60)


def child_of(server: Server) -> psutil.Process:
    assert server.process is not None
    (child,) = [
        one
        for one in psutil.Process(server.process.pid).children()
        if "service.worker" in one.cmdline() and "replay" in one.cmdline()
    ]
    return child


def test_a_replay_killed_twice_tells_the_same_story_as_one_left_alone(server: Server) -> None:
    body = {"name": "rain", "task": "classification", "target": "wet", "time_column": "day"}
    quiet = {"triggers": {"schedule": None, "new_labels": None, "decay": None}, "min_fresh_labels": 100_000}
    server.post("/v1/projects", 201, json={**body, "policy": quiet})
    server.post("/v1/projects/rain/data", 201, files={"file": ("rain.csv", stream_csv())})
    options = {**QUICK, "looks": 10}
    server.post(URL, 202, json=options)
    alone = ended(server, 1)
    assert alone["status"] == "completed", alone

    server.post(URL, 202, json=options)
    playing(server, 2)
    os.kill(child_of(server).pid, signal.SIGKILL)
    server.wait_for(lambda: server.get(f"{URL}/2")["attempt"] == 2, within=30)
    before = playing(server, 2)
    assert before >= 1
    server.kill()
    server.start()
    killed = ended(server, 2)
    assert killed["status"] == "completed", killed
    assert killed["attempt"] >= 3
    assert story(killed["result"]) == story(alone["result"])
    server.wait_for(lambda: not list((server.home / "replays").iterdir()), within=30)


def test_the_command_goes_on_after_a_kill_and_shows_table_json_and_chart(tmp_path: Path) -> None:
    file = tmp_path / "rain.csv"
    file.write_text(stream_csv())
    home, drawn = tmp_path / "home", tmp_path / "chart.svg"
    own = json.dumps(QUICK["policy"])
    command = [
        *(sys.executable, "-m", "service.cli", "replay", str(file), "--target", "wet"),
        *("--time-column", "day", "--delay", "P1D", "--looks", "10", "--warm-up", "3"),
        *("--compare", "never,every,own", "--policy", own, "--home", str(home)),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        kept = _wait_for(home)
        first.kill()
    held = json.loads(kept.read_text())
    assert held["look"] >= 10
    again = subprocess.run([*command, "--chart", str(drawn)], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    for word in ("never", "every", "own", "roc_auc", "Promoted"):
        assert word in again.stdout
    assert drawn.read_text().startswith("<svg")
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["compared_rows"] > 300


def _wait_for(home: Path) -> Path:
    import time

    for _ in range(600):
        found = list(home.glob("replays/*/play-0.json"))
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("nothing was played within a minute")
