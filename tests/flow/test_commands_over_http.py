"""The commands around labels, odd rows and runs against a real server: tables, JSON, bars, prompts and completion."""

from __future__ import annotations

import csv as tables
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from live_server import Server
from problems_at_hand import csv, tumours
from typer.testing import CliRunner, Result

from service.cli import app

pytestmark = pytest.mark.slow

POLICY = {
    "triggers": {"schedule": None, "new_labels": None},
    "cooldown": "PT0S",
    "min_fresh_labels": 100,
    "search": {"budget_seconds": 6, "engines": {"flaml": 1}},
    "gates": {"max_latency_ms": 2000},
    "outliers": {"pause": "PT0S"},
    "refit": False,
}


class Shell:
    """``incumbent`` with the server's address in the environment."""

    def __init__(self, server: Server) -> None:
        self.env = {"INCUMBENT_URL": server.url, "INCUMBENT_KEY": None, "COLUMNS": "200"}

    def __call__(self, *words: str, expect: int = 0, said: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(words), env=self.env, input=said)
        assert result.exit_code == expect, result.output
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)

    def on_a_terminal(self, *words: str) -> str:
        """What the error output shows where it is a terminal."""
        ours, theirs = pty.openpty()
        env = {**os.environ, **{name: value or "" for name, value in self.env.items()}, "TERM": "xterm"}
        child = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *words], stdout=subprocess.PIPE, stderr=theirs, env=env
        )
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
        assert child.wait(timeout=60) == 0, shown
        os.close(ours)
        return shown.decode(errors="replace")


def _read(end: int) -> bytes:
    try:
        return os.read(end, 65_536)
    except OSError:  # Linux says so when the other end is closed
        return b""


def test_from_unlabelled_rows_to_a_cancelled_run(server: Server, tmp_path: Path) -> None:
    call, frame = Shell(server), tumours()
    unlabelled = frame.drop(columns="diagnosis")
    unlabelled.loc[11, "mean area"] *= 1_000
    file = tmp_path / "tumours.csv"
    file.write_bytes(csv(unlabelled))
    words = ("--target", "diagnosis", "--classes", "malignant, benign", "--policy", json.dumps(POLICY))
    assert call.json("project", "create", "tumours", *words)["classes"] == ["benign", "malignant"]
    shown = call.on_a_terminal("upload", "tumours", str(file))
    assert "tumours.csv" in shown
    assert "kB" in shown
    assert "569" in call("batches", "tumours").stdout
    assert "mean radius" in call("schema", "tumours").stdout
    assert "No row was refused" in call("quarantine", "tumours").stdout

    server.wait_for(lambda: server.get("/v1/projects/tumours/outliers")["rows"], within=30)
    odd = call("outliers", "tumours", "--source", "upload").stdout
    assert "mean area = " in odd
    assert "usually" in odd
    assert call.json("outliers", "tumours", "--limit", "1")["rows"][0]["score"] == 1.0
    assert "0 of the 100 labelled rows" in call("status", "tumours").stdout

    told = call("label", "tumours", "--annotator", "anna", said="what\n1\nmalignant\ns\nq\n").stdout
    assert "'what' is none of these" in told
    assert "1 of 20 (typical)" in told
    assert "2 labelled, 1 skipped" in told
    queue = call.json("label", "tumours", "--annotator", "anna", "--limit", "2")["rows"]
    sent = ("--answer", f"{queue[0]['id']}=benign", "--skip", queue[1]["id"])
    assert call.json("label", "tumours", "--annotator", "anna", *sent)["labelled"] == 1
    assert "human:anna" in call("labels", "tumours").stdout
    taken = call.json("labels", "tumours", "--revoke-origin", "human:anna", "--reason", "a test")
    assert taken["revoked"] == 3

    truth = tmp_path / "truth.csv"
    told_rows = _write_truth(truth, call, frame)
    assert told_rows > 150
    assert call.json("feedback", "tumours", str(truth))["accepted"] == told_rows
    server.ended_run("tumours", 1)
    again = call("retrain", "tumours", "--budget", "6", "--engine", "flaml", "--watch").stdout
    assert "run 2: running" in again
    assert "flaml" in again
    assert "gate" in again

    answers = tmp_path / "answers.csv"
    asked = tmp_path / "asked.csv"
    asked.write_bytes(csv(unlabelled[:30]))
    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"])
    assert call.json("predict", "tumours", str(asked), "--output", str(answers))["answers"] == 30
    with answers.open() as stream:
        lines = list(tables.DictReader(stream))
    assert lines[0].keys() == {"id", "value", "probability_benign", "probability_malignant"}
    assert len(lines) == 30

    assert "No drift report yet" in call("drift", "tumours").stdout
    assert "No answer has its truth yet" in call("performance", "tumours").stdout
    call("retrain", "tumours", "--budget", "60")
    assert call.json("cancel", "tumours", "3")["run"] == 3
    assert server.ended_run("tumours", 3)["status"] == "cancelled"
    assert call("cancel", "tumours", "3", expect=4).stderr.count("→") == 1


def _write_truth(path: Path, call: Shell, frame: Any) -> int:
    """The diagnosis of many rows, by the id that the server gave them."""
    pairs = zip(frame["mean perimeter"], frame["diagnosis"], strict=True)
    known = {round(value, 4): label for value, label in pairs}
    queue = call.json("label", "tumours", "--annotator", "all", "--limit", "400")["rows"]
    with path.open("w", newline="") as stream:
        out = tables.writer(stream)
        out.writerow(["id", "label"])
        out.writerows((row["id"], known[row["row"]["mean perimeter"]]) for row in queue)
    return len(queue)


def test_the_shell_completes_commands_and_the_servers_projects(server: Server) -> None:
    call = Shell(server)
    for name in ("tumours", "trees"):
        call("project", "create", name, "--target", "y")

    def completed(line: str, words: int) -> set[str]:
        env = {
            **os.environ,
            "INCUMBENT_URL": server.url,
            "_INCUMBENT_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(words),
        }
        code = "from service.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
        )
        return set(done.stdout.split())

    assert completed("incumbent retr", 1) == {"retrain"}
    assert completed("incumbent status t", 2) == {"tumours", "trees"}
    assert completed("incumbent status tu", 2) == {"tumours"}


def test_the_doctor_looks_at_machine_store_database_clock_and_versions(
    server: Server, tmp_path: Path
) -> None:
    call = Shell(server)
    found = {one["check"]: one for one in call.json("doctor", "--home", str(server.home))["checks"]}
    for check in ("machine", "open files", "disk", "store", "database", "registry", "clock", "server"):
        assert found[check]["ok"] is True, found[check]
    for check in ("versions", "server clock", "signing key"):
        assert found[check]["ok"] is True, found[check]
    assert "sqlite, revision" in found["database"]["detail"]
    assert "core(s)" in found["machine"]["detail"]
