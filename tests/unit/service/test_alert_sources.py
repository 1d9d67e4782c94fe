"""What raises the events that alerts are made of: runs that start, labels that are wanted, rows that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alerts_house import AlertsHouse, house
from small_house import make_champion, make_model


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[AlertsHouse]:
    with house(tmp_path) as one:
        yield one


def told(at_home: AlertsHouse, type: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in at_home.registry.ledger.events(limit=500) if event.type == type]


def policy(at_home: AlertsHouse, **parts: Any) -> None:
    quiet = {"schedule": None, "new_labels": None, "drift": None}
    triggers = {**quiet, **parts.pop("triggers", {})}
    answer = at_home.http.patch("/v1/projects/fruit", json={"policy": {"triggers": triggers, **parts}})
    assert answer.status_code == 200, answer.text


def test_a_run_that_is_to_start_is_an_event_with_its_reason(at_home: AlertsHouse) -> None:
    run = at_home.http.post("/v1/projects/fruit/runs", json={"reason": "I want it"})
    assert run.status_code == 202
    (event,) = told(at_home, "incumbent.run.queued")
    assert event == {
        "project": "fruit",
        "run": 1,
        "reason": "I want it",
        "trigger": "manual",
        "fired": ["manual"],
    }


def test_labels_are_asked_for_once_while_they_are_awaited(at_home: AlertsHouse) -> None:
    policy(at_home, min_fresh_labels=100_000)
    scheduler = at_home.context.scheduler
    for number in range(3):
        scheduler.tick()
        row = {"size": 0.5 + number, "colour": "red", "ripe": "yes"}
        sent = at_home.http.post("/v1/projects/fruit/data", json={"rows": [row]})
        assert sent.status_code == 201, sent.text
    scheduler.tick()
    decided = at_home.http.get("/v1/projects/fruit/decisions").json()["decisions"]
    assert len(decided) == 4, "each count is a decision"
    (event,) = told(at_home, "incumbent.labels.wanted")
    assert event["guard"] == "min_fresh_labels"
    assert event["reason"].startswith("120 of the ")


def test_labels_are_asked_for_when_a_trigger_fires_without_news(at_home: AlertsHouse) -> None:
    make_champion(at_home.registry, at_home.project, make_model(at_home.registry, at_home.project).version)
    policy(at_home, triggers={"new_labels": {"count": 1}}, min_fresh_labels=100_000)
    at_home.context.scheduler.tick()
    decided = at_home.http.get("/v1/projects/fruit/decisions").json()["decisions"]
    wanted = told(at_home, "incumbent.labels.wanted")
    assert [one["trigger"] for one in decided] == ["min_fresh_labels"]
    assert [one["reason"] for one in wanted] == [decided[0]["reason"]]


def test_refused_rows_of_an_upload_are_an_event_and_good_ones_none(at_home: AlertsHouse) -> None:
    good, bad = (
        {"size": 0.5, "colour": "red", "ripe": "yes"},
        {"size": "large", "colour": "red", "ripe": "no"},
    )
    at_home.http.post("/v1/projects/fruit/data", json={"rows": [good]})
    assert told(at_home, "incumbent.batch.quarantined") == []
    sent = at_home.http.post("/v1/projects/fruit/data", json={"rows": [good | {"size": 0.7}, bad]}).json()
    (event,) = told(at_home, "incumbent.batch.quarantined")
    assert event == {"project": "fruit", "batch": sent["batch"], "rows": 1, "quarantined": 1}
