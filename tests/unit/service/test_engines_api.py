"""Which engines there are, over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from automl.engines.autogluon_python import VARIABLE
from service.app import create_app
from service.settings import Settings

PROJECT: dict[str, Any] = {"name": "fruit", "task": "classification", "target": "ripe"}
ROOT = Path(__file__).parents[3]


@pytest.fixture
def http(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(home=tmp_path, scheduler=False))) as client:
        yield client


def test_engines_are_listed_with_version_and_the_reason_of_one_that_is_not_available(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    listed = {one["name"]: one for one in http.get("/v1/engines").json()["engines"]}
    assert {"autogluon", "flaml", "portfolio", "sklearn", "tpot"} <= set(listed)
    assert listed["sklearn"] == {
        "name": "sklearn",
        "distribution": "incumbent",
        "version": "0.1.0",
        "available": True,
        "reason": None,
    }
    assert not listed["autogluon"]["available"]
    assert listed["autogluon"]["reason"].startswith(f"{VARIABLE} is not set")


@pytest.mark.parametrize(
    ("named", "reason"), [("/nowhere/python", "which is no program"), (sys.executable, "has no AutoGluon")]
)
def test_a_python_without_autogluon_is_told_from_one_with_it(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, named: str, reason: str
) -> None:
    monkeypatch.setenv(VARIABLE, named)
    listed = {one["name"]: one for one in http.get("/v1/engines").json()["engines"]}
    assert reason in listed["autogluon"]["reason"]


def test_an_unknown_engine_is_refused_with_the_field_and_those_there_are(http: TestClient) -> None:
    policy = {"search": {"engines": {"autosklearn": 1}}}
    made = http.post("/v1/projects", json={**PROJECT, "policy": policy})
    assert made.status_code == 422
    assert "policy.search.engines" in json.dumps(made.json())
    assert "choose from autogluon, flaml, portfolio, sklearn, tpot" in json.dumps(made.json())
    assert http.post("/v1/projects", json=PROJECT).status_code == 201
    changed = http.patch("/v1/projects/fruit", json={"policy": policy})
    assert changed.status_code == 422
    assert "search.engines" in json.dumps(changed.json())
    started = http.post("/v1/projects/fruit/runs", json={"engines": ["autosklearn"]})
    assert started.status_code == 422
    assert "unknown engine 'autosklearn'" in json.dumps(started.json())


def test_a_server_that_lists_its_engines_has_imported_none(tmp_path: Path) -> None:
    code = f"""
import json, sys
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import Settings
with TestClient(create_app(Settings(home={str(tmp_path)!r}, scheduler=False))) as http:
    assert len(http.get("/v1/engines").json()["engines"]) >= 5
print(json.dumps([name for name in ("flaml", "tpot", "lightgbm", "xgboost", "sklearn") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout.splitlines()[-1]) == []
