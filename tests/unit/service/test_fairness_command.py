"""``incumbent fairness`` and ``client.fairness``: groups and gaps at a terminal, and in a program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_trust import hostile_fairness
from scripted_server import Script, scripted
from typer.testing import CliRunner, Result

from service.cli import app
from service.client import AsyncIncumbent, Incumbent

JUDGED = hostile_fairness("f", "m")
NOT_LIVE: dict[str, Any] = {
    "columns": ["f", "m"],
    "champion": 1,
    "judged": JUDGED,
    "live": None,
    "looks": [],
    "because": "the truth of fewer than 100 answers of the champion has come",
}


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def incumbent(script: Script, *arguments: str) -> Result:
    env = {"INCUMBENT_URL": script.url, "INCUMBENT_KEY": None, "COLUMNS": "200"}
    return CliRunner().invoke(app, ["fairness", *arguments], env=env)


def test_groups_and_gaps_are_shown_as_judged_until_they_are_seen_live(script: Script) -> None:
    script.answers((200, {}, NOT_LIVE))
    done = incumbent(script, "loans")
    assert done.exit_code == 0, done.output
    assert "f, as judged on 400 rows" in done.stdout
    assert "selection rate (f)" in done.stdout
    assert "No two groups have the 100 rows that each needs to be judged." in done.stdout
    assert "Not seen live yet: the truth of fewer than 100 answers" in done.stdout


def test_once_seen_live_that_is_shown(script: Script) -> None:
    gap = {**JUDGED["columns"][0]["gaps"][0], "champion": JUDGED["columns"][0]["gaps"][0]["challenger"]}
    live = {**JUDGED, "columns": [{**JUDGED["columns"][0], "gaps": [gap]}], "rows": 1_500}
    script.answers((200, {}, {**NOT_LIVE, "live": live, "because": None}))
    done = incumbent(script, "loans")
    assert "f, live on 1,500 rows" in done.stdout
    assert "demographic parity" in done.stdout
    assert "f – m" in done.stdout


def test_where_nothing_is_audited_the_reason_is_said(script: Script) -> None:
    script.answers((200, {}, {**NOT_LIVE, "judged": None, "because": "no column is audited"}))
    assert incumbent(script, "loans").stdout == "Nothing to show: no column is audited.\n"


def test_programs_and_json_get_all_of_it(script: Script) -> None:
    script.answers(*[(200, {}, NOT_LIVE)] * 3)
    assert json.loads(incumbent(script, "loans", "--json").stdout) == NOT_LIVE
    with Incumbent(script.url) as server:
        assert server.fairness("loans") == NOT_LIVE

    async def ask() -> Any:
        async with AsyncIncumbent(script.url) as server:
            return await server.fairness("loans")

    assert asyncio.run(ask()) == NOT_LIVE
