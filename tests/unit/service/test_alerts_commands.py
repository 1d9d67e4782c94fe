"""``incumbent alerts`` and ``client.alerts``: the same calls from a terminal, a program and an event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from scripted_server import Script, scripted
from typer.testing import CliRunner, Result

from service.cli import app
from service.client import AsyncIncumbent, Incumbent, IncumbentError

MADE = {
    "name": "ops",
    "kind": "webhook",
    "project": None,
    "address": "https://example.org/hook",
    "events": ["run.failed"],
    "enabled": True,
}
TOLD = {"delivery": 7, "status": "delivered", "attempts": 1, "note": "answered 204", "kind": "alerts.test"}


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def incumbent(script: Script, *arguments: str) -> Result:
    env = {
        "INCUMBENT_URL": script.url,
        "INCUMBENT_KEY": None,
        "INCUMBENT_ALERT_SECRET": None,
        "COLUMNS": "200",
    }
    return CliRunner().invoke(app, ["alerts", *arguments], env=env)


def test_a_channel_is_made_and_its_secret_shown_once(script: Script) -> None:
    script.answers((201, {}, {**MADE, "secret": "whsec_abc"}))
    done = incumbent(script, "add", "ops", "--webhook", "https://example.org/hook", "--on", "run.failed")
    assert done.exit_code == 0, done.output
    assert "whsec_abc" in done.stdout
    assert "not shown again" in done.stdout
    method, path, _, body = script.seen[0]
    assert (method, path) == ("POST", "/v1/alerts/channels")
    assert json.loads(body) == {
        "name": "ops",
        "kind": "webhook",
        "url": "https://example.org/hook",
        "events": ["run.failed"],
    }


def test_recipients_and_a_project_are_sent_as_they_are(script: Script) -> None:
    script.answers((201, {}, {**MADE, "kind": "email", "to": ["a@b.c", "d@e.f"]}))
    done = incumbent(
        script, "add", "ops", "--email", "a@b.c", "--email", "d@e.f", "--project", "flights", "--json"
    )
    assert json.loads(done.stdout)["to"] == ["a@b.c", "d@e.f"]
    sent = json.loads(script.seen[0][3])
    assert (sent["to"], sent["project"], "events" in sent) == (["a@b.c", "d@e.f"], "flights", False)


@pytest.mark.parametrize("more", [[], ["--webhook", "https://a.b/", "--slack", "https://c.d/"]])
def test_a_channel_leads_to_one_place(script: Script, more: list[str]) -> None:
    done = incumbent(script, "add", "ops", *more)
    assert done.exit_code == 2
    assert "leads to one place" in done.stderr
    assert script.seen == []


def test_a_test_waits_for_what_comes_of_it(script: Script) -> None:
    pending = {**TOLD, "status": "pending", "attempts": 0, "note": None}
    script.answers(
        (202, {}, pending), (200, {}, {"deliveries": [pending]}), (200, {}, {"deliveries": [TOLD]})
    )
    done = incumbent(script, "test", "ops")
    assert (done.exit_code, "answered 204" in done.stdout) == (0, True)
    failed = {**TOLD, "status": "pending", "note": "answered 500"}
    script.answers((202, {}, pending), (200, {}, {"deliveries": [failed]}))
    done = incumbent(script, "test", "ops", "--json")
    assert (done.exit_code, json.loads(done.stdout)["note"]) == (1, "answered 500")


def test_lists_are_tables_or_json_and_an_empty_one_says_what_to_do(script: Script) -> None:
    script.answers(
        (200, {}, {"channels": []}), (200, {}, {"channels": [MADE]}), (200, {}, {"channels": [MADE]})
    )
    assert "incumbent alerts add" in incumbent(script, "list").stdout
    assert "https://example.org/hook" in incumbent(script, "list").stdout
    assert json.loads(incumbent(script, "list", "--json").stdout) == {"channels": [MADE]}
    when = {**TOLD, "created_at": "2026-03-01T12:00:00Z"}
    script.answers((200, {}, {"deliveries": [when]}))
    assert "answered 204" in incumbent(script, "deliveries", "ops").stdout
    script.answers((200, {}, {"kinds": [{"kind": "run.failed", "usual": True, "means": "a run failed"}]}))
    assert "a run failed" in incumbent(script, "kinds").stdout


def test_pausing_resuming_and_removing_are_calls_of_their_own(script: Script) -> None:
    script.answers(
        (200, {}, MADE), (200, {}, MADE), (200, {}, {"name": "ops", "secret": "x"}), (204, {}, b"")
    )
    for word in ("pause", "resume", "secret", "remove"):
        assert incumbent(script, word, "ops").exit_code == 0
    assert [(method, path) for method, path, _, _ in script.seen] == [
        ("PATCH", "/v1/alerts/channels/ops"),
        ("PATCH", "/v1/alerts/channels/ops"),
        ("POST", "/v1/alerts/channels/ops/secret"),
        ("DELETE", "/v1/alerts/channels/ops"),
    ]
    assert [json.loads(body) for _, _, _, body in script.seen[:2]] == [{"enabled": False}, {"enabled": True}]


def test_a_refusal_is_told_with_its_remedy(script: Script) -> None:
    problem = {
        "detail": "It leads to 10.0.0.1.",
        "code": "address_forbidden",
        "field": "url",
        "remedy": "Allow it.",
    }
    script.answers((422, {}, problem))
    done = incumbent(script, "add", "ops", "--webhook", "http://10.0.0.1/")
    assert done.exit_code == 4
    assert "Allow it." in done.stderr


def test_both_clients_send_the_same(script: Script) -> None:
    script.answers(*[(201, {}, MADE), (200, {}, {"deliveries": [TOLD]})] * 2)
    with Incumbent(script.url) as waits:
        made = waits.alerts.add("ops", kind="webhook", url="https://example.org/hook")
        found = waits.alerts.deliveries("ops")

    async def same() -> None:
        async with AsyncIncumbent(script.url) as awaits:
            assert await awaits.alerts.add("ops", kind="webhook", url="https://example.org/hook") == made
            assert await awaits.alerts.deliveries("ops") == found

    asyncio.run(same())
    calls = [(method, path, body) for method, path, _, body in script.seen]
    assert calls[:2] == calls[2:]


def test_a_name_is_quoted_in_the_path(script: Script) -> None:
    script.answers((404, {}, {"detail": "no", "code": "channel_not_found"}))
    with Incumbent(script.url) as server, pytest.raises(IncumbentError):
        server.alerts.channel("a/b")
    assert script.seen[0][1] == "/v1/alerts/channels/a%2Fb"
