"""People label what the champion is unsure of, over real HTTP; their labels survive a kill and can be taken back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows, tumours

pytestmark = pytest.mark.slow


def test_rows_are_labelled_by_two_people_survive_a_kill_and_are_revoked(server: Server) -> None:
    frame = tumours()
    policy: dict[str, Any] = copy.deepcopy(FAST)
    policy["search"] = {"budget_seconds": 6, "engines": {"flaml": 1}}
    policy["triggers"]["new_labels"] = None
    policy["labelling"] = {"check_rows": 0}  # labels that are doubted have a test of their own
    policy["label_sources"] = {"human:anna": {"weight": 0.5, "cap": 0.3}}
    path = "/v1/projects/tumours"
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    assert server.get(f"{path}/labeling")["reason"] == "the project has no rows yet"
    server.post(f"{path}/data", 201, files={"file": ("first.csv", csv(frame[:300]), "text/csv")})
    assert server.ended_run("tumours", 1)["verdict"]["outcome"] == "promoted"
    assert server.get(f"{path}/labeling")["reason"] == "every row has its label"

    live = frame[300:400]
    said = server.post(f"{path}/predict", 200, json={"rows": rows(live.drop(columns="diagnosis"))})
    truth = {one["id"]: label for one, label in zip(said["predictions"], live["diagnosis"], strict=True)}
    anna = server.wait_for(lambda: server.get(f"{path}/labeling", annotator="anna", limit=20)["rows"])
    ben = server.get(f"{path}/labeling", annotator="ben", limit=20)["rows"]
    assert len(anna) == len(ben) == 20
    assert not {row["id"] for row in anna} & {row["id"] for row in ben}
    unsure = [max(one["probabilities"].values()) for one in said["predictions"]]
    chances = dict(zip(truth, unsure, strict=True))
    asked = [chances[row["id"]] for row in anna if row["why"] != "drawn"]
    assert sum(asked) / len(asked) < sum(unsure) / len(unsure)

    for name, asked_rows in (("anna", anna), ("ben", ben)):
        answers = [{"id": row["id"], "label": truth[row["id"]]} for row in asked_rows]
        told = server.post(f"{path}/labeling", 200, json={"annotator": name, "answers": answers})
        assert told["labelled"] == 20
    server.kill()
    server.start()
    sources = {one["name"]: one for one in server.get(f"{path}/label-sources")["sources"]}
    assert {name: one["labels"] for name, one in sources.items()} == {
        "given": 300,
        "human:anna": 20,
        "human:ben": 20,
    }
    assert (sources["human:anna"]["weight"], sources["human:anna"]["cap"]) == (0.5, 0.3)
    run = server.post(f"{path}/runs", 202, json={"reason": "with weights"})
    assert server.ended_run("tumours", run["run"])["status"] == "completed"

    revoked = server.post(
        f"{path}/labels/revoke", 200, json={"origin": "human:anna", "reason": "a wrong manual"}
    )
    assert revoked["revoked"] == 20
    assert server.get(f"{path}/data")["labelled"] == 320
    assert {row["id"] for row in anna} & {
        row["id"] for row in server.get(f"{path}/labeling", annotator="carl", limit=100)["rows"]
    }
