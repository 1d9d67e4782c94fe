"""A model's record makes the same model again: refitted ones and those of a search that was cut short too."""

from __future__ import annotations

import json
import sqlite3

import pytest
from live_server import Server
from problems_at_hand import FAST, csv, tumours
from typer.testing import CliRunner, Result

from service.cli import app

pytestmark = pytest.mark.slow

POLICY = {
    **FAST,
    "triggers": {"schedule": None, "new_labels": None, "drift": None},
    "search": {"budget_seconds": 4, "engines": {"flaml": 1}},
    "label_sources": {"given": {"weight": 0.5}},
    "gates": {"max_latency_ms": 2000, "alpha": 0.4},
    "refit": True,
    "holdout": {"min_rows": 100},
}


def reproduce(server: Server, *words: str, expect: int = 0) -> Result:
    env = {"INCUMBENT_HOME": str(server.home), "COLUMNS": "200", "INCUMBENT_URL": None, "INCUMBENT_KEY": None}
    result = CliRunner().invoke(app, ["reproduce", *words], env=env)
    assert result.exit_code == expect, result.output
    return result


def test_every_version_is_made_again_from_its_record_and_a_falsified_record_is_not(server: Server) -> None:
    frame = tumours()
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": POLICY}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/tumours/data", 201, files={"file": ("one.csv", csv(frame[:350]), "text/csv")})
    first = server.ended_run("tumours", 1)
    assert first["verdict"]["refit"]["promoted"], first["verdict"]
    models = server.get("/v1/projects/tumours/models")["models"]
    assert [one["refit_of"] for one in models] == [1, None]

    told = json.loads(reproduce(server, "--all", "--json").stdout)
    assert [(one["version"], one["equal"]) for one in told["versions"]] == [(1, True), (2, True)]
    for one in told["versions"]:
        checks = {check["check"]: check for check in one["checks"]}
        assert checks["golden_rows"]["kept"] == checks["golden_rows"]["found"] == 20
        assert checks["golden_rows"]["gap"] <= 1e-9
        assert checks["hash"]["kept"] == checks["hash"]["found"]
        assert one["differences"] == []
    shown = reproduce(server, "2").stdout
    assert "golden rows" in shown
    assert "1 of 1 equal within 1e-09" in shown

    assert "no model version 9" in reproduce(server, "9", expect=1).stderr
    assert "Which versions?" in reproduce(server, expect=2).stderr
    server.stop()
    with sqlite3.connect(server.home / "registry.db") as database:
        (plan,) = database.execute("SELECT plan FROM runs").fetchone()
        other = json.loads(plan)
        other["policy"]["holdout"]["min_rows"] = 150
        database.execute("UPDATE runs SET plan = ?", (json.dumps(other),))
        (details,) = database.execute("SELECT details FROM models WHERE version = 2").fetchone()
        lacking = json.dumps({**json.loads(details), "construction": None})
        database.execute("UPDATE models SET details = ? WHERE version = 2", (lacking,))
    differs = json.loads(reproduce(server, "1", "--json", expect=1).stdout)["versions"][0]
    assert {"train_rows", "holdout_rows"} <= {one["check"] for one in differs["checks"] if not one["equal"]}
    assert differs["equal"] is False
    assert (
        "is not kept"
        in json.loads(reproduce(server, "2", "--json", expect=4).stdout)["versions"][0]["reason"]
    )
