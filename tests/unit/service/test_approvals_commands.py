"""``incumbent approvals``, ``approve``, ``refuse`` and ``client.approvals``: the same calls from everywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from scripted_server import Script, scripted
from typer.testing import CliRunner, Result

from service.cli import app
from service.client import AsyncIncumbent, Incumbent

ONE: dict[str, Any] = {
    "approval": 2,
    "status": "open",
    "run": 7,
    "version": 5,
    "champion": 3,
    "missing": 1,
    "expires_at": "2026-03-08T12:00:00Z",
    "reason": "Awaiting approval: better by 0.0204",
}


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def incumbent(script: Script, *arguments: str) -> Result:
    env = {"INCUMBENT_URL": script.url, "INCUMBENT_KEY": None, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env=env)


def test_what_waits_is_listed_and_all_only_when_asked(script: Script) -> None:
    script.answers(*[(200, {}, {"approvals": [ONE]})] * 3, (200, {}, {"approvals": []}))
    done = incumbent(script, "approvals", "churn")
    assert done.exit_code == 0, done.output
    assert "Awaiting approval: better by 0.0204" in done.stdout
    assert json.loads(incumbent(script, "approvals", "churn", "--json").stdout) == {"approvals": [ONE]}
    incumbent(script, "approvals", "churn", "--all")
    assert "Nothing waits" in incumbent(script, "approvals", "churn").stdout
    assert [seen[1].rpartition("?")[2] for seen in script.seen] == [
        "status=open&limit=50",
        "status=open&limit=50",
        "limit=50",
        "status=open&limit=50",
    ]


def test_a_word_carries_its_reason_and_says_who_is_missing(script: Script) -> None:
    script.answers((200, {}, ONE), (200, {}, {**ONE, "status": "refused"}))
    given = incumbent(script, "approve", "churn", "2", "--reason", "seen", "--version", "4")
    assert given.exit_code == 0, given.output
    assert "1 more has to approve it, with another key." in given.stdout
    refused = incumbent(script, "refuse", "churn", "2", "--reason", "not now")
    assert "refused" in refused.stdout
    assert [(seen[1], json.loads(seen[3])) for seen in script.seen] == [
        ("/v1/projects/churn/approvals/2/approve", {"reason": "seen", "version": 4}),
        ("/v1/projects/churn/approvals/2/refuse", {"reason": "not now"}),
    ]
    assert incumbent(script, "approve", "churn", "2").exit_code == 2, "a reason has to be given"


def test_a_refused_word_is_one_line_with_its_remedy(script: Script) -> None:
    problem = {"code": "approval_stale", "detail": "approval 2 is stale", "remedy": "start a run"}
    script.answers((409, {"content-type": "application/problem+json"}, problem))
    done = incumbent(script, "approve", "churn", "2", "--reason", "seen")
    assert done.exit_code == 4
    assert "approval 2 is stale (approval_stale)  → start a run" in done.stderr


def test_a_word_whose_answer_was_lost_is_said_again(script: Script) -> None:
    script.answers(None, (200, {}, ONE))
    with Incumbent(script.url) as server:
        assert server.approvals.approve("churn", 2, reason="seen") == ONE
    assert len(script.seen) == 2


def test_the_awaited_client_says_the_same(script: Script) -> None:
    script.answers((200, {}, ONE), (200, {}, ONE), (200, {}, {"approvals": [ONE]}))

    async def talk() -> None:
        async with AsyncIncumbent(script.url) as server:
            assert await server.approvals.get("churn", 2) == ONE
            assert await server.approvals.refuse("churn", 2, reason="no") == ONE
            assert await server.approvals.list("churn") == [ONE]

    asyncio.run(talk())
