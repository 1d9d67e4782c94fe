"""A live stream in which one column breaks: within its first 500 rows the service says which, over real HTTP."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows
from signed_receiver import SignedReceiver

pytestmark = pytest.mark.slow

PATH = "/v1/projects/churn"
WINDOW = 200
CALL = 50


def customers(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": random.lognormal(8, 0.4, count).round(2),
            "usage": random.normal(50, 12, count).round(2),
            "age": random.integers(18, 80, count),
            "city": random.choice(["Rome", "Oslo", "Lima"], count),
        }
    )
    signal = (np.log(frame["income"]) - 8) * 3 + (frame["usage"] - 50) / 10 + (frame["city"] == "Rome") * 0.5
    frame["churn"] = np.where(signal + 0.3 * random.normal(size=count) > 0, "yes", "no")
    return frame


def ask(server: Server, frame: pd.DataFrame) -> None:
    for start in range(0, len(frame), CALL):
        part = frame.drop(columns="churn")[start : start + CALL]
        server.post(f"{PATH}/predict", 200, json={"rows": rows(part)})


def reports(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get(f"{PATH}/attributions")["reports"]
    return found


@pytest.fixture
def receiver() -> Iterator[SignedReceiver]:
    one = SignedReceiver()
    one.up()
    yield one
    one.down()


@pytest.fixture
def server(tmp_path: Path, receiver: SignedReceiver) -> Iterator[Server]:
    one = Server(tmp_path / "home", INCUMBENT_ALERT_HOSTS="127.0.0.1", INCUMBENT_ALERT_RETRY_SECONDS="0.3")
    try:
        one.start()
        body = {"name": "ops", "kind": "webhook", "url": receiver.url, "events": ["attribution.moved"]}
        receiver.secret = one.post("/v1/alerts/channels", 201, json=body)["secret"]
        yield one
    finally:
        one.stop()


def test_a_column_that_breaks_in_a_live_stream_is_named_within_500_rows(
    server: Server, receiver: SignedReceiver
) -> None:
    policy = copy.deepcopy(FAST)
    policy["search"] = {"budget_seconds": 6, "engines": {"portfolio": 1}}
    policy["triggers"] |= {
        "new_labels": None,
        "drift": None,
        "estimated_decay": None,
        "prediction_drift": None,
    }
    policy["outliers"] = {"pause": "PT0S"}
    policy["attributions"] = {"window": WINDOW, "pause": "PT0S"}
    body = {"name": "churn", "task": "classification", "target": "churn", "policy": policy}
    server.post("/v1/projects", 201, json=body)
    assert server.get(f"{PATH}/attributions")["reason"] == "there is no champion yet"
    past = customers(1_500, seed=0)
    server.post(f"{PATH}/data", 201, files={"file": ("past.csv", csv(past), "text/csv")})
    assert server.ended_run("churn", 1)["verdict"]["outcome"] == "promoted"
    server.wait_for(lambda: server.get(f"{PATH}/champion")["served"])

    ask(server, customers(WINDOW, seed=1))
    sound = server.wait_for(lambda: reports(server), within=90)[0]
    assert sound["moved"] == []
    assert sound["rows"] <= WINDOW
    before = server.wait_for(lambda: _odd(server, WINDOW), within=60)

    broken = customers(500, seed=2)
    broken["usage"] = 0.0  # the meter is dead
    ask(server, broken)
    told = server.wait_for(lambda: [one for one in reports(server) if one["moved"]], within=90)[-1]
    assert told["moved"][0] == "usage"
    assert told["columns"][0]["column"] == "usage"
    assert told["effect"] >= told["threshold"]
    after = server.wait_for(lambda: _odd(server, WINDOW + 500), within=60)
    assert after["share"] > before["share"] + 0.1  # of the newest 1,000 rows and more, sound ones among them
    assert after["columns"].keys() >= {"usage"}

    gauge = 'incumbent_attribution_drift{model="1",project="churn"}'
    (line,) = [line for line in server.http.get("/metrics").text.splitlines() if line.startswith(gauge)]
    assert float(line.rsplit(" ", 1)[1]) > 0.05
    page = server.http.get("/projects/churn/monitoring", headers={"accept": "text/html"}).text
    assert "The answers come otherwise than in training from <b>" in page
    server.wait_for(lambda: "otherwise than in training from usage" in _front(server), within=30)
    event = server.wait_for(lambda: receiver.of("attribution.moved"), within=30)[0]
    assert event["data"]["columns"][0] == "usage"


def _odd(server: Server, rows: int) -> Any:
    """The odd share, once so many predicted rows were looked at."""
    looks = server.get(f"{PATH}/outliers")["looks"]
    measured = [one for one in looks if one["model_version"] == 1]
    found = server.get(f"{PATH}/monitoring")["outliers"]
    return found if sum(one["rows"] for one in measured) >= rows else None


def _front(server: Server) -> str:
    return server.http.get("/projects/churn", headers={"accept": "text/html"}).text
