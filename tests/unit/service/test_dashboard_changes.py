"""Open pages are told of all news soon, and of rows alone only now and then, whatever flows in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dashboard_house import Site, site
from fastapi import Request
from small_house import NOW, add_rows

from registry.pulse import Beat
from service.dashboard import changes

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(changes, "NEWS_SECONDS", 0.3)
    monkeypatch.setattr(changes, "ROWS_SECONDS", 1.0)


def stream_of(house: Site, seen: Beat | None = None) -> AsyncIterator[str]:
    async def nothing() -> dict[str, str]:
        await asyncio.sleep(3600)
        raise AssertionError("unreachable: nobody hangs up")

    app = house.http.app
    request = Request({"type": "http", "app": app, "headers": [], "query_string": b""}, nothing)
    return changes._stream(request, app.state.context, 1, seen)  # type: ignore[attr-defined]


async def event(stream: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(stream), timeout=30)


def test_news_is_told_at_once_and_rows_wait_for_their_turn(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path) as house:
        project = house.registry.projects.get("fruit")

        def decide() -> None:
            house.registry.ledger.decide(
                project.id, outcome="refused", trigger="x", reason="y", evidence={}, at=NOW
            )

        async def follow() -> None:
            stream = stream_of(house)
            assert "event: hello" in await event(stream)
            add_rows(house.registry, project, ["new-1"])
            assert "event: change" in await event(stream), "the first rows are told at once"
            began = time.monotonic()
            add_rows(house.registry, project, ["new-2"])
            assert "event: change" in await event(stream)
            assert time.monotonic() - began >= 0.9, "those that follow wait"
            monkeypatch.setattr(changes, "ROWS_SECONDS", 3600.0)
            decide()
            assert "event: change" in await event(stream), "a decision does not wait for them"

        asyncio.run(follow())


def test_news_that_comes_right_after_other_news_is_told_a_little_later(tmp_path: Path, quick: None) -> None:
    with site(tmp_path) as house:

        def decide() -> None:
            house.registry.ledger.decide(1, outcome="refused", trigger="x", reason="y", evidence={}, at=NOW)

        async def follow() -> None:
            stream = stream_of(house)
            await event(stream)
            decide()
            assert "event: change" in await event(stream)
            began = time.monotonic()
            decide()
            assert "event: change" in await event(stream)
            assert time.monotonic() - began >= 0.25

        asyncio.run(follow())


def test_a_browser_that_comes_back_is_told_what_it_missed(tmp_path: Path, quick: None) -> None:
    with site(tmp_path) as house:
        missed = Beat.parse(str(house.registry.pulse.of(1)))
        add_rows(house.registry, house.registry.projects.get("fruit"), ["new-1"])

        async def follow() -> None:
            assert "event: change" in await event(stream_of(house, missed))

        asyncio.run(follow())
        assert Beat.parse("of another version") != missed


def test_many_open_pages_look_once(tmp_path: Path) -> None:
    with site(tmp_path) as house:
        pulses = changes.Pulses()
        first = pulses.of(house.registry, 1)
        house.registry.ledger.decide(1, outcome="refused", trigger="x", reason="y", evidence={}, at=NOW)
        assert pulses.of(house.registry, 1) is first
        assert pulses.of(house.registry, None) != first
