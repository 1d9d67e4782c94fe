from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from replay_home import QUICK, ReplayHome, stream_csv

URL = "/v1/projects/rain/replays"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[ReplayHome]:
    made = ReplayHome(tmp_path / "home")
    yield made
    made.room.stop()
    made.registry.close()


def started(home: ReplayHome, **options: Any) -> dict[str, Any]:
    answer = home.http.post(URL, json={**QUICK, **options})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{URL}/{found['replay']}"
    return found


@pytest.mark.slow
def test_the_projects_own_rows_are_replayed_and_shown_as_json_and_chart(home: ReplayHome) -> None:
    home.project()
    assert started(home) == {"replay": 1, "status": "queued"}
    assert home.http.get(f"{URL}/1/chart").json()["code"] == "replay_not_completed"
    assert home.room.take_one()
    found = home.http.get(f"{URL}/1").json()
    assert found["status"] == "completed", found
    assert found["progress"]["done"] > 0
    result = found["result"]
    used = result["energy"]
    assert used["source"] in ("measured", "estimated", "unknown")
    assert (used["wh"] is None) == (used["source"] == "unknown"), used["parts"]
    assert [part["part"] for part in used["parts"]] == ["replay"]
    still, weekly, own = result["policies"]
    assert (still["name"], weekly["name"], own["name"]) == ("never", "every", "own")
    assert still["runs"] == 1
    assert weekly["runs"] == len(result["windows"]) - 2
    assert own["run_notes"][1]["trigger"] in ("new_labels", "decay")
    assert weekly["against"]["never"]["gain"] > 0.02, "after the turn a frozen model is worse"
    assert all(entry["reason"] for entry in weekly["promotions"])
    assert weekly["search_seconds"] > still["search_seconds"] > 0
    assert result["windows"][0]["until"].startswith("2025-01-")
    listed = home.http.get(URL).json()["replays"]
    assert [(one["replay"], one["status"], "result" in one) for one in listed] == [(1, "completed", False)]
    drawn = home.http.get(f"{URL}/1/chart")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in drawn.headers["content-security-policy"]
    ElementTree.fromstring(drawn.text)
    assert home.folders() == []


@pytest.mark.slow
def test_a_file_is_replayed_under_the_projects_policy_in_windows_of_rows(home: ReplayHome) -> None:
    home.project(rows=0)
    options = {"window": 70, "delay": 10, "looks": 2, "policies": ["never", "always"], "warm_up": 3}
    sent = home.http.post(
        URL, files={"file": ("rain.csv", stream_csv())}, params={"options": json.dumps(options)}
    )
    assert sent.status_code == 202, sent.text
    assert home.room.take_one()
    found = home.http.get(f"{URL}/1").json()
    assert found["status"] == "completed", found
    assert found["source"] == {"kind": "file", "name": "rain.csv"}
    always = found["result"]["policies"][1]
    assert len(found["result"]["windows"]) == 10
    assert found["result"]["windows"][0]["until"] is None
    assert [window["until_row"] for window in found["result"]["windows"]][:2] == [70, 140]
    assert always["judged"] is False
    assert always["promotions_with_hindsight"] > 0


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"policies": ["sometimes"]}, "policies", "never, every"),
        ({"window": 100, "delay": "P2D"}, "options", "rows"),
        ({"window": "P7D", "delay": 3}, "options", "P2D"),
        ({"learner": {"kind": "flaml"}}, "learner", "trials or seconds"),
        ({"learner": {"kind": "lightgbm", "trials": 3}}, "learner", "fixed"),
        ({"more": {"own": {}}}, "options", "built-in"),
        ({"more": {"bad": {"cooldown": "soon"}}}, "more.bad.cooldown", ""),
        ({"every": 0}, "every", ""),
        ({"colour": 1}, "colour", ""),
    ],
)
def test_a_wrong_option_is_named(home: ReplayHome, options: dict[str, Any], field: str, said: str) -> None:
    home.project(rows=50)
    answer = home.http.post(URL, json=options)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_options"
    assert answer.json()["field"] == field
    assert said in answer.json()["detail"]
    assert home.folders() == []


def test_options_that_are_not_json_are_refused(home: ReplayHome) -> None:
    home.project(rows=50)
    assert home.http.post(URL, content=b"{").json()["code"] == "not_json"
    refused = home.http.post(URL, files={"file": ("a.csv", "a")}, params={"options": "{"})
    assert (refused.status_code, refused.json()["code"]) == (400, "not_json")


def test_a_project_without_rows_has_nothing_to_replay(home: ReplayHome) -> None:
    home.project(rows=0)
    assert home.http.post(URL).json()["code"] == "no_data"
    assert home.http.get(f"{URL}/1").status_code == 404


def test_one_replay_at_a_time_and_a_queued_one_is_cancelled_without_a_trace(home: ReplayHome) -> None:
    home.project(rows=50)
    sent = home.http.post(URL, files={"file": ("rain.csv", stream_csv(50))})
    assert sent.status_code == 202
    refused = home.http.post(URL, files={"file": ("rain.csv", stream_csv(50))})
    assert (refused.status_code, refused.json()["code"]) == (409, "replay_active")
    assert len(home.folders()) == 1
    assert home.http.post(f"{URL}/1/cancel").json()["status"] == "cancelled"
    assert home.folders() == []
    assert home.http.post(f"{URL}/1/cancel").json()["code"] == "replay_ended"
    assert not home.room.take_one()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": "P70D"}, "shorter window"),
        ({"window": "PT1M", "looks": 10}, "looks are more than"),
    ],
)
def test_a_stream_that_does_not_fit_fails_with_the_reason(
    home: ReplayHome, options: dict[str, Any], said: str
) -> None:
    home.project(rows=200)
    started(home, **options)
    assert home.room.take_one()
    found = home.http.get(f"{URL}/1").json()
    assert found["status"] == "failed"
    assert said in found["error"]
    assert home.folders() == []


def test_what_a_killed_server_left_of_ended_replays_is_swept_and_nothing_else(home: ReplayHome) -> None:
    home.project(rows=50)
    assert home.http.post(URL, files={"file": ("rain.csv", stream_csv(50))}).status_code == 202
    (queued,) = home.folders()
    (home.settings.home / "replays" / "local").mkdir()
    home.room.sweep()
    assert sorted(home.folders()) == sorted([queued, "local"])
    replay = home.registry.replays.list(home.registry.projects.get("rain").id)[0]
    home.registry.replays.request_cancel(replay.id, at=home.now())
    home.room.sweep()
    assert home.folders() == ["local"]


@pytest.mark.slow
def test_a_running_replay_ends_soon_after_it_is_cancelled(home: ReplayHome) -> None:
    home.project(rows=5000)
    started(home, looks=50)
    at_work = threading.Thread(target=home.room.take_one)
    at_work.start()
    while not (now := home.http.get(f"{URL}/1").json())["progress"].get("window"):
        assert now["status"] in ("queued", "running"), now
        time.sleep(0.02)
    asked = time.monotonic()
    assert home.http.post(f"{URL}/1/cancel").status_code == 202
    at_work.join(timeout=10)
    assert time.monotonic() - asked < 5
    assert home.http.get(f"{URL}/1").json()["status"] == "cancelled"
    assert home.folders() == []
