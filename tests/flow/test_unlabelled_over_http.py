"""A project begins without a single label: rows, odd ones among them, people's labels, and a first run by itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from live_server import Server
from problems_at_hand import FAST, rows, tumours

pytestmark = pytest.mark.slow


def test_rows_come_first_people_label_them_and_the_first_run_starts_by_itself(server: Server) -> None:
    policy: dict[str, Any] = copy.deepcopy(FAST)
    policy["search"] = {"budget_seconds": 6, "engines": {"flaml": 1}}
    policy["triggers"]["new_labels"] = None
    policy["min_fresh_labels"] = 120
    policy["outliers"] = {"pause": "PT0S"}
    path = "/v1/projects/tumours"
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json={**body, "classes": ["malignant", "benign"]})

    frame = tumours()
    truth = frame["diagnosis"]
    unlabelled = rows(frame.drop(columns="diagnosis"))
    unlabelled[11]["mean area"] *= 1_000
    told = server.post(f"{path}/data", 201, json={"rows": unlabelled})
    assert (told["labelled"], told["unlabelled"]) == (0, len(frame))
    odd = server.wait_for(lambda: server.get(f"{path}/outliers")["rows"], within=30)
    assert odd[0]["columns"][0]["column"] == "mean area"
    refused = server.http.post(f"{path}/predict", json={"rows": unlabelled[:1]})
    assert refused.status_code == 409

    by_value = {row["mean perimeter"]: label for row, label in zip(unlabelled, truth, strict=True)}
    asked = 0
    while asked < 120:
        queue = server.get(f"{path}/labeling", annotator="anna", limit=20)
        assert queue["model_version"] is None
        assert {row["why"] for row in queue["rows"]} <= {"typical", "new", "drawn"}
        answers = [
            {"id": row["id"], "label": by_value[row["row"]["mean perimeter"]]} for row in queue["rows"]
        ]
        told = server.post(f"{path}/labeling", 200, json={"annotator": "anna", "answers": answers})
        assert told["labelled"] == 20
        if asked == 0:
            assert "20 of the 120 labelled rows" in server.get(f"{path}/monitoring")["because"]
        asked += 20

    run = server.ended_run("tumours", 1)
    assert run["trigger"]["kind"] == "first_champion"
    assert run["verdict"]["outcome"] == "promoted"

    def answered() -> Any:
        answer = server.http.post(f"{path}/predict", json={"rows": unlabelled[:100]})
        return answer.json()["predictions"] if answer.status_code == 200 else None

    given = [answer["value"] for answer in server.wait_for(answered)]
    assert sum(value == label for value, label in zip(given, truth[:100], strict=True)) > 80
    assert server.get(f"{path}/labeling", annotator="bob")["model_version"] is not None
