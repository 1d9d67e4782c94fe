"""A promotion reaches a real receiver once; a receiver that is down is told later, a killed server's by the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import Server
from problems_at_hand import FAST, rows, tumours
from signed_receiver import SignedReceiver

pytestmark = pytest.mark.slow

CHANNEL = "/v1/alerts/channels/ops"
POLICY: dict[str, Any] = {**FAST, "triggers": {"schedule": None, "new_labels": None, "drift": None}}


@pytest.fixture
def receiver() -> Iterator[SignedReceiver]:
    one = SignedReceiver()
    one.up()
    yield one
    one.down()


@pytest.fixture
def telling(tmp_path: Path, receiver: SignedReceiver) -> Iterator[Server]:
    one = Server(
        tmp_path / "home",
        INCUMBENT_ALERT_HOSTS="127.0.0.1",
        INCUMBENT_ALERT_RETRY_SECONDS="0.3",
        INCUMBENT_PUBLIC_URL="https://ml.example.org",
    )
    try:
        one.start()
        kinds = ["model.promoted", "batch.quarantined"]
        body = {"name": "ops", "kind": "webhook", "url": receiver.url, "events": kinds}
        receiver.secret = one.post("/v1/alerts/channels", 201, json=body)["secret"]
        yield one
    finally:
        one.stop()


def delivery(server: Server, number: int) -> Any:
    """The newest delivery, once there are so many."""
    found = server.get(f"{CHANNEL}/deliveries")["deliveries"]
    return found[0] if len(found) >= number else None


def spoil(server: Server, count: int) -> None:
    """An upload of which a row is refused."""
    given = rows(tumours()[:count])
    given[0]["mean radius"] = "very large"
    assert server.post("/v1/projects/tumours/data", 201, json={"rows": given})["quarantined"] == 1


def test_what_happens_is_told_whatever_becomes_of_receiver_and_server(
    telling: Server, receiver: SignedReceiver
) -> None:
    server = telling
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": POLICY}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/tumours/data", 201, json={"rows": rows(tumours()[:400])})
    assert server.ended_run("tumours", 1)["verdict"]["outcome"] == "promoted"
    server.wait_for(lambda: receiver.of("model.promoted"), within=30)
    (told,) = receiver.of("model.promoted")
    assert (told["type"], told["source"]) == ("incumbent.champion.changed", "/projects/tumours")
    ledger = server.get("/v1/projects/tumours/promotions")["promotions"][0]
    assert (told["data"]["to"], told["data"]["reason"]) == (ledger["to"], ledger["reason"])
    server.wait_for(lambda: delivery(server, 1)["status"] == "delivered", within=10)

    receiver.down()
    spoil(server, 20)
    failed = server.wait_for(lambda: (one := delivery(server, 2)) and one["attempts"] > 1 and one, within=30)
    assert (failed["status"], "refused" in failed["note"]) == ("pending", True)
    receiver.up()
    server.wait_for(lambda: len(receiver.of("batch.quarantined")) == 1, within=30)
    server.wait_for(lambda: delivery(server, 2)["status"] == "delivered", within=10)

    receiver.answering.clear()
    heard = len(receiver.calls)
    spoil(server, 30)
    server.wait_for(lambda: len(receiver.calls) > heard, within=30)
    server.kill()  # between what was said and the answer to it
    receiver.answering.set()
    server.start()
    server.wait_for(lambda: len(receiver.of("batch.quarantined")) == 2, within=60)
    server.wait_for(lambda: delivery(server, 3)["status"] == "delivered", within=10)
    assert len(set(receiver.calls[heard:])) == 1, "the same event, under the same id"
    assert len(receiver.calls[heard:]) >= 2
    assert len(receiver.of("model.promoted")) == 1

    text = server.http.get("/metrics").text
    assert 'incumbent_alert_deliveries_total{channel="webhook",outcome="delivered"} 1.0' in text
