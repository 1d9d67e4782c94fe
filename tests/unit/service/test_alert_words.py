"""What is sent: CloudEvents that their own readers take, signatures that others verify, words that attack nobody."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook, WebhookVerificationError

from registry.alert_channels import Channel
from registry.records import EventRecord
from service.alerts import mail, slack
from service.alerts.envelope import MEDIA_TYPE, a_test, envelope, installation, route
from service.alerts.kinds import BY_NAME, KINDS, USUAL, kind_of
from service.alerts.pauses import pause
from service.alerts.seals import seal, unseal
from service.alerts.signature import BadSignature, key_of, new_secret, signed, verify
from service.alerts.wording import message
from service.problems import Problem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u05e9 evil\r\n"
    "Bcc: all@example.org\x00 & <!channel>"
)


def channel(*wanted: str, project: str | None = None) -> Channel:
    return Channel(
        id=1,
        name="team",
        project_id=None,
        project=project,
        kind="webhook",
        target={},
        sealed=None,
        wanted=wanted,
        enabled=True,
        after_event=0,
        created_at=NOW,
        updated_at=NOW,
    )


def told(kind: str, **changes: Any) -> dict[str, Any]:
    found = BY_NAME[kind]
    return envelope("home-1", found.type, kind, {**found.example, **changes}, NOW)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kinds_example_is_of_that_kind_and_has_words(kind: Any) -> None:
    assert kind_of(kind.type, kind.example) is kind
    said = message(told(kind.name), public_url="https://ml.example.org/")
    assert said.title
    assert "None" not in said.title + said.why + str(said.link)
    assert str(said.link).startswith("https://ml.example.org/projects")
    assert message(told(kind.name), public_url=None).link is None
    assert slack.body(said)


def test_events_that_nobody_asks_for_have_no_kind() -> None:
    assert kind_of("incumbent.of.another.version", {}) is None
    assert kind_of("incumbent.run.ended", {"outcome": "promoted"}) is None, "the change of champion says it"
    assert "run.rejected" not in USUAL


def test_an_event_is_told_to_who_wants_its_kind_under_one_id() -> None:
    event = EventRecord(
        number=7,
        project_id=1,
        type="incumbent.champion.changed",
        data=BY_NAME["model.promoted"].example,
        at=NOW,
    )
    sent = route("home")(event, channel("model.promoted"))
    assert sent is not None
    assert (sent.event_id, sent.kind, sent.event["source"]) == (
        "home-7",
        "model.promoted",
        "/projects/flights",
    )
    assert route("home")(event, channel("model.rolled_back")) is None


def test_a_rollback_by_probation_is_one_piece_of_news() -> None:
    data = {**BY_NAME["probation.failed"].example, "status": "rolled_back"}
    event = EventRecord(number=7, project_id=1, type="incumbent.probation.ended", data=data, at=NOW)
    assert route("home")(event, channel("probation.failed")) is not None
    assert route("home")(event, channel("probation.failed", "model.rolled_back")) is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_cloudevents_library_reads_what_is_sent(kind: Any) -> None:
    body = json.dumps(told(kind.name)).encode()
    read = from_http_event(HTTPMessage(headers={"content-type": MEDIA_TYPE}, body=body))
    assert (read.get_specversion(), read.get_id(), read.get_type()) == ("1.0", "home-1", kind.type)
    assert read.get_time() == NOW
    assert read.get_extension("alert") == kind.name
    assert read.get_data() == json.loads(json.dumps(dict(kind.example)))


def test_installations_are_told_apart_and_a_test_names_its_channel() -> None:
    assert installation(b"a" * 32) != installation(b"b" * 32)
    sent = a_test("home", "abc", channel(project="flights"), by="Anna", at=NOW)
    assert sent.event_id == "home-test-abc"
    assert message(sent.event, public_url=None).title == "flights: a test of the channel team"


def test_the_standard_webhooks_library_verifies_the_signature() -> None:
    secret, body, now = new_secret(), b'{"a": "\xc3\xa9"}', datetime.now(UTC)
    headers = signed(body, event_id="home-7", at=now, secrets=[new_secret(), secret])
    assert Webhook(secret).verify(body, headers) == {"a": "é"}
    assert verify(body, headers, secret=secret, now=now) == "home-7"
    for changed in ({**headers, "webhook-id": "home-8"}, {**headers, "webhook-signature": ""}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, changed)
        with pytest.raises(BadSignature):
            verify(body, changed, secret=secret, now=now)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_call_that_is_played_again_later_is_refused(minutes: int) -> None:
    secret = new_secret()
    headers = signed(b"{}", event_id="home-7", at=NOW, secrets=[secret])
    with pytest.raises(BadSignature, match="time"):
        verify(b"{}", headers, secret=secret, now=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("text", ["", "whsec_", "secret", "whsec_%%%", "whsec_c2hvcnQ=", "c2hvcnQ" * 8])
def test_what_is_no_secret_of_the_convention_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        key_of(text)


def test_what_is_sealed_is_read_with_the_same_key_only() -> None:
    sealed = seal(b"k" * 32, {"url": "https://hooks.example.org/T0/token"})
    assert b"token" not in sealed
    assert unseal(b"k" * 32, sealed) == {"url": "https://hooks.example.org/T0/token"}
    with pytest.raises(Problem, match="another signing key"):
        unseal(b"x" * 32, sealed)


def test_hostile_texts_are_text_in_slack() -> None:
    said = message(told("run.failed", reason=HOSTILE), public_url="https://ml.example.org/?a=1&b=<2>")
    body = json.loads(slack.body(said))
    text = body["blocks"][0]["text"]["text"]
    assert "<script" not in text
    assert "<img" not in text
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text
    assert "\u202e" not in text
    assert text.splitlines()[-1].startswith(
        "<https://ml.example.org/?a=1&amp;b=&lt;2&gt;/projects/flights/runs/12|"
    )


def test_hostile_texts_add_no_header_to_a_mail() -> None:
    data = {"node": HOSTILE, "what": "disk", "reason": HOSTILE}
    event = envelope("home-1", "incumbent.storage.low", "storage.low", data, NOW)
    written = mail.written(
        message(event, public_url=None), event, sender="ml@example.org", to=["anna@example.org"], at=NOW
    )
    assert written["Bcc"] is None
    assert written["To"] == "anna@example.org"
    assert written["Message-ID"] == "<home-1@example.org>"
    head = bytes(written).split(b"\n\n")[0]
    assert b"\nBcc" not in head
    assert all(line.isascii() for line in head.splitlines())
    assert written.get_content_type() == "text/plain"
    assert "\u202e" not in written["Subject"] + written.get_content()
    assert "\nBcc" not in written.get_content()


@pytest.mark.parametrize(
    "text", ["", "anna", "a@b\r\nBcc: c@d.e", "Anna <a@b.c>", "a@b, c@d", "@b.c", "a b@c.d"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no e-mail address"):
        mail.plain_address(text)


def test_pauses_double_to_an_hour_and_are_drawn_apart() -> None:
    first, draw = timedelta(seconds=5), random.Random(1)
    drawn = [pause(attempt, first=first, draw=draw) for attempt in range(1, 40)]
    for attempt, one in enumerate(drawn, start=1):
        whole = min(timedelta(hours=1), first * 2 ** min(attempt - 1, 20))
        assert whole / 2 <= one <= whole
    assert len(set(drawn)) == len(drawn)
    asked = pause(1, first=first, draw=draw, asked=timedelta(minutes=10))
    assert asked == timedelta(minutes=10)
    assert pause(1, first=first, draw=draw, asked=timedelta(days=9)) == timedelta(hours=6)
