"""Planted outliers are found over real HTTP, among uploads and among questions, and their column is named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows, tumours

pytestmark = pytest.mark.slow


def test_planted_outliers_are_named_in_uploads_and_in_questions(server: Server) -> None:
    policy: dict[str, Any] = copy.deepcopy(FAST)
    policy["search"] = {"budget_seconds": 6, "engines": {"flaml": 1}}
    policy["triggers"]["new_labels"] = None
    policy["outliers"] = {"pause": "PT0S"}
    path = "/v1/projects/tumours"
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    assert server.get(f"{path}/outliers")["reason"] == "the project has no rows yet"

    frame = tumours()
    first = frame[:400].copy()
    first.loc[7, "mean area"] *= 1_000
    told = server.post(f"{path}/data", 201, files={"file": ("first.csv", csv(first), "text/csv")})
    assert "odd" not in told
    found = server.wait_for(lambda: server.get(f"{path}/outliers")["rows"], within=30)
    assert found[0]["source"] == "upload"
    assert found[0]["columns"][0]["column"] == "mean area"
    low, high = found[0]["columns"][0]["usual"]
    assert low < high < found[0]["columns"][0]["value"]

    assert server.ended_run("tumours", 1)["verdict"]["outcome"] == "promoted"
    server.wait_for(lambda: server.get(f"{path}/outliers")["measured_by"]["model_version"] is not None)
    asked = rows(frame[400:480].drop(columns="diagnosis"))
    asked[5]["note"] = "a note about something else entirely, in words that no other note has"
    asked[6]["mean texture"] = -900
    answers = server.wait_for(lambda: _answers(server, path, asked))
    wanted = {answers[5]["id"]: "note", answers[6]["id"]: "mean texture"}

    def both() -> Any:
        odd = server.get(f"{path}/outliers", source="prediction")["rows"]
        named = {row["id"]: row["columns"][0]["column"] for row in odd}
        return wanted.items() <= named.items()

    server.wait_for(both, within=30)
    report = server.get(f"{path}/outliers")
    assert report["expected"] == 0.01
    assert 0 < report["share"] < 0.2
    seen = server.get(f"{path}/monitoring")["outliers"]
    assert (seen["odd"], seen["share"]) == (round(seen["share"] * seen["rows"]), report["share"])
    assert 'incumbent_outlier_share{project="tumours"}' in server.http.get("/metrics").text

    more = rows(frame[480:500])
    more[3]["mean smoothness"] = 50
    told = server.post(f"{path}/data", 201, json={"rows": more})
    assert 1 <= told["odd"] <= 5
    assert server.get(f"{path}/data/{told['batch']}")["odd"] == told["odd"]


def _answers(server: Server, path: str, asked: list[dict[str, Any]]) -> Any:
    answer = server.http.post(f"{path}/predict", json={"rows": asked})
    return answer.json()["predictions"] if answer.status_code == 200 else None
