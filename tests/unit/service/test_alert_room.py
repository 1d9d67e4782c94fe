"""What happens is told: once where all is well, again where it failed, by one process at a time, and given up in the end."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from alert_receiver import receiver, self_signed
from alerts_house import CHANNELS, AlertsHouse, house

from service.alerts.signature import verify
from service.alerts.storage_watch import StorageWatch


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[AlertsHouse]:
    with house(tmp_path, public_url="https://ml.example.org") as one:
        yield one


def test_a_promotion_is_told_once_signed_and_under_the_ledgers_id(at_home: AlertsHouse) -> None:
    with receiver() as team:
        secret = at_home.add(name="team", url=team.url + "?token=t0ken")["secret"]
        at_home.promoted()
        for _ in range(3):
            at_home.look()
    (got,) = team.got
    event = json.loads(got.body)
    assert got.path == "/hook?token=t0ken"
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert verify(got.body, got.headers, secret=secret, now=at_home.now) == event["id"]
    assert (event["type"], event["alert"], event["data"]["to"]) == (
        "incumbent.champion.changed",
        "model.promoted",
        1,
    )
    (kept,) = at_home.deliveries()
    assert (kept["status"], kept["attempts"], kept["note"]) == ("delivered", 1, "answered 204")
    assert kept["id"] == event["id"] == got.headers["webhook-id"]


def test_what_failed_is_told_again_later_under_the_same_id(at_home: AlertsHouse) -> None:
    with receiver((500, {}), (503, {"Retry-After": "60"}), (204, {})) as team:
        at_home.add(name="team", url=team.url)
        at_home.promoted()
        at_home.look()
        at_home.look()
        assert len(team.got) == 1, "not before it is due"
        assert at_home.deliveries()[0]["note"] == "answered 500"
        at_home.later(10)
        at_home.look()
        at_home.later(59)
        at_home.look()
        assert len(team.got) == 2, "the receiver asked for a minute"
        at_home.later(1)
        at_home.look()
    assert len({got.headers["webhook-id"] for got in team.got}) == 1
    assert len({got.headers["webhook-signature"] for got in team.got}) == 3, (
        "each call is signed with its own time"
    )
    assert (at_home.deliveries()[0]["status"], at_home.deliveries()[0]["attempts"]) == ("delivered", 3)
    text = at_home.http.get("/metrics").text
    assert 'incumbent_alert_deliveries_total{channel="webhook",outcome="failed"} 2.0' in text
    assert 'incumbent_alert_deliveries_total{channel="webhook",outcome="delivered"} 1.0' in text


def test_after_a_day_it_is_given_up_with_its_reason(at_home: AlertsHouse) -> None:
    with receiver((500, {})) as team:
        at_home.add(name="team", url=team.url)
        at_home.promoted()
        for _ in range(60):
            at_home.look()
            at_home.later(3600)
    (kept,) = at_home.deliveries()
    assert kept["status"] == "gave_up"
    assert 20 < kept["attempts"] < 30
    assert kept["note"] == f"given up after {kept['attempts']} attempts, the last: answered 500"


def test_a_receiver_that_is_gone_is_not_asked_again(at_home: AlertsHouse) -> None:
    with receiver((410, {})) as team:
        at_home.add(name="team", url=team.url)
        at_home.promoted()
        at_home.look()
    assert at_home.deliveries()[0]["status"] == "gave_up"


def test_a_redirect_is_a_failure_that_says_where_it_leads(at_home: AlertsHouse) -> None:
    with receiver() as elsewhere, receiver((307, {"Location": elsewhere.url})) as team:
        at_home.add(name="team", url=team.url)
        at_home.promoted()
        at_home.look()
    assert elsewhere.got == []
    assert at_home.deliveries()[0]["note"].endswith("and redirects are not followed")


def test_one_receiver_that_is_down_keeps_no_other_from_being_told(at_home: AlertsHouse) -> None:
    with receiver() as gone:
        pass
    with receiver() as team:
        at_home.add(name="down", url=gone.url)
        at_home.add(name="team", url=team.url)
        for number in (1, 2, 3):
            at_home.promoted(number)
        for _ in range(3):
            at_home.look()
    assert [json.loads(got.body)["data"]["to"] for got in team.got] == [1, 2, 3]
    assert {one["status"] for one in at_home.deliveries("down")} == {"pending"}
    assert "refused" in at_home.deliveries("down")[-1]["note"]


def test_the_address_is_checked_again_at_each_call(tmp_path: Path) -> None:
    with receiver() as team:
        with house(tmp_path) as one:
            one.add(name="team", url=team.url)
            one.promoted()
        with house(tmp_path, project=False, alert_hosts="") as strict:
            strict.look()
            (kept,) = strict.deliveries()
    assert team.got == []
    assert "not a public address" in kept["note"]


def test_slack_gets_its_own_body_with_a_link(at_home: AlertsHouse) -> None:
    with receiver((200, {})) as team:
        made = at_home.add(name="team", kind="slack", url=team.url)
        at_home.promoted(4)
        at_home.look()
    assert "secret" not in made
    body = json.loads(team.got[0].body)
    assert body["text"] == "fruit: version 4 is the champion now"
    assert (
        "<https://ml.example.org/projects/fruit/models/4|Open in Incumbent>"
        in body["blocks"][0]["text"]["text"]
    )
    assert "webhook-signature" not in team.got[0].headers


def test_a_test_is_told_like_any_alert(at_home: AlertsHouse) -> None:
    with receiver() as team:
        at_home.add(name="team", url=team.url, events=["run.failed"])
        asked = at_home.http.post(f"{CHANNELS}/team/test")
        assert asked.status_code == 202
        at_home.look()
    assert json.loads(team.got[0].body)["type"] == "incumbent.alerts.test"
    assert at_home.deliveries()[0]["delivery"] == asked.json()["delivery"]


def test_a_new_secret_is_signed_with_beside_the_old_one_for_a_day(at_home: AlertsHouse) -> None:
    with receiver() as team:
        old = at_home.add(name="team", url=team.url)["secret"]
        new = at_home.http.post(f"{CHANNELS}/team/secret").json()["secret"]
        at_home.promoted(1)
        at_home.look()
        at_home.later(24 * 3600 + 1)
        at_home.promoted(2)
        at_home.look()
    first, second = team.got
    at = at_home.now
    assert len(first.headers["webhook-signature"].split()) == 2
    assert len(second.headers["webhook-signature"].split()) == 1
    assert verify(second.body, second.headers, secret=new, now=at)
    assert old != new


def test_two_servers_never_tell_one_thing_twice(at_home: AlertsHouse) -> None:
    rooms = [at_home.room, at_home.another_room()]
    with receiver() as team:
        at_home.add(name="team", url=team.url)
        for number in range(1, 13):
            at_home.promoted(number)
        for _ in range(40):
            threads = [threading.Thread(target=room.look) for room in rooms]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for room in rooms:
                room.settle()
            if len(team.got) >= 12:
                break
    told = [json.loads(got.body)["data"]["to"] for got in team.got]
    assert told == list(range(1, 13)), "each once, and in the order they happened"
    assert {one["attempts"] for one in at_home.deliveries()} == {1}
    rooms[1].stop()


def test_what_waits_for_a_deleted_project_is_given_up(at_home: AlertsHouse) -> None:
    with receiver() as team:
        at_home.add(name="team", url=team.url, project="fruit")
        channel = at_home.registry.alert_channels.get("team")
        at_home.http.post(f"{CHANNELS}/team/test")
        assert at_home.http.delete("/v1/projects/fruit").status_code == 204
        at_home.look()
    assert team.got == []
    (kept,) = at_home.registry.alert_deliveries.list(channel.id)
    assert (kept.status, kept.note) == ("gave_up", "given up, for its project was deleted")


def test_a_fault_of_our_own_is_kept_and_tried_again_later_not_at_once(
    at_home: AlertsHouse, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver() as team:
        at_home.add(name="team", kind="slack", url=team.url, events=["drift.detected"])
        broken = {"project": "fruit", "share": "much"}  # what another version may have written
        at_home.registry.ledger.emit(
            "incumbent.drift.detected", broken, project_id=at_home.project.id, at=at_home.now
        )
        at_home.look()
        at_home.look()
    (kept,) = at_home.deliveries()
    assert (kept["status"], kept["attempts"]) == ("pending", 1)
    assert kept["note"].startswith("a fault of this server: ValueError")
    assert "could not be made" in caplog.text


class Inbox:
    """What aiosmtpd hands over; refuses recipients that begin with ``no``."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address.startswith("no"):
            return "550 5.1.1 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.rcpt_tos, envelope.content.decode(), session.auth_data))
        return "250 taken"


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Inbox, dict[str, Any]]]:
    """A real mail server that wants TLS and a password, and the settings that lead to it."""
    box, certificate = Inbox(), self_signed(tmp_path / "mail.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def let_in(server: Any, session: Any, envelope: Any, mechanism: str, auth: Any) -> AuthResult:
        right = (auth.login, auth.password) == (b"ml", b"s3cret")
        return AuthResult(success=right, handled=False, auth_data=auth.login)

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        authenticator=let_in,
        auth_required=True,
        tls_context=context,
        require_starttls=True,
    )
    controller.start()
    try:
        yield (
            box,
            {
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "smtp_user": "ml",
                "smtp_password": "s3cret",
                "smtp_from": "ml@example.org",
            },
        )
    finally:
        controller.stop()


def test_a_mail_reaches_its_recipients_and_says_who_was_refused(
    tmp_path: Path, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    box, settings = inbox
    with house(tmp_path, **settings) as one:
        one.add(name="team", kind="email", to=["anna@example.org", "nobody@example.org"])
        one.promoted(7)
        one.look()
        (kept,) = one.deliveries()
    ((to, text, user),) = box.mails
    assert (to, user) == (["anna@example.org"], b"ml")
    assert "Subject: [Incumbent] fruit: version 7 is the champion now" in text
    assert "better" in text
    assert kept["status"] == "delivered"
    assert "nobody@example.org (550 5.1.1 no such person)" in kept["note"]


def test_a_mail_server_that_refuses_is_tried_again_and_its_words_are_kept(
    tmp_path: Path, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    box, settings = inbox
    with house(tmp_path, **{**settings, "smtp_password": "wrong"}) as one:
        one.add(name="team", kind="email", to=["anna@example.org"])
        one.promoted()
        one.look()
        (kept,) = one.deliveries()
    assert box.mails == []
    assert kept["status"] == "pending"
    assert "535" in kept["note"]
    assert "wrong" not in str(kept)


def test_trouble_with_storage_is_told_once_in_a_while(at_home: AlertsHouse, tmp_path: Path) -> None:
    def watch() -> StorageWatch:
        return StorageWatch(
            at_home.registry,
            tmp_path,
            node="web-1",
            clock=lambda: at_home.now,
            least_free=1 << 62,
            log_bytes=lambda: 900,
            most_log_bytes=1000,
        )

    for _ in range(3):
        watch().look()
    told = [
        one.data for one in at_home.registry.ledger.events(limit=500) if one.type == "incumbent.storage.low"
    ]
    assert [one["what"] for one in told] == ["disk", "log"]
    at_home.later(7 * 3600)
    watch().look()
    assert (
        len([one for one in at_home.registry.ledger.events(limit=500) if one.type == "incumbent.storage.low"])
        == 4
    )


def test_without_tls_a_mail_server_that_wants_it_says_so(
    tmp_path: Path, inbox: tuple[Inbox, dict[str, Any]]
) -> None:
    _, settings = inbox
    with house(tmp_path, **{**settings, "smtp_security": "none", "smtp_user": None}) as one:
        one.add(name="team", kind="email", to=["anna@example.org"])
        one.promoted()
        one.look()
        (kept,) = one.deliveries()
    assert "530" in kept["note"]
