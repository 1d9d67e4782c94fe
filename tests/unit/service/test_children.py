from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.children import End, Ended, Event, Limits, run_child

MIB = 1024**2


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]) -> Any:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def start(stage: str, *, cancelled: Any = lambda: False, **limits: Any) -> Ended:
        bounds = Limits(**{"deadline_seconds": 20.0, "startup_seconds": 20.0, **limits})
        return run_child(
            stage,
            tmp_path,
            {"key": "abc"},
            bounds,
            on_event=events.append,
            cancelled=cancelled,
            worker="misbehaving_worker",
        )

    return start


def test_a_child_reports_in_order_and_runs_at_low_priority(run: Any, events: list[Event]) -> None:
    ended = run("fine")
    assert ended.end is End.OK
    assert [event["event"] for event in events] == ["ready", "done"]
    assert events[0]["nice"] == min(os.nice(0) + 10, 19)
    assert events[0]["key"] == "abc"


def test_a_child_over_its_deadline_is_ended_and_the_reason_names_it(run: Any) -> None:
    started = time.monotonic()
    ended = run("sleep", deadline_seconds=0.5)
    assert ended.end is End.TIMEOUT
    assert "deadline" in ended.reason
    assert time.monotonic() - started < 10


def test_cancelling_does_not_wait_for_the_child(run: Any, events: list[Event]) -> None:
    asked: list[float] = []

    def cancelled() -> bool:
        if events and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    ended = run("sleep", cancelled=cancelled)
    assert ended.end is End.CANCELLED
    assert time.monotonic() - asked[0] < 3


def test_a_crash_is_an_outcome_with_the_last_line_of_its_log(run: Any) -> None:
    ended = run("crash")
    assert ended.end is End.FAILED
    assert "the disk is made of cheese" in ended.reason


def test_a_child_that_eats_memory_is_ended(run: Any) -> None:
    ended = run("eat", memory_bytes=200 * MIB)
    assert ended.end is End.MEMORY
    assert "limit of 200 MiB" in ended.reason
    assert ended.peak_bytes > 200 * MIB


def test_grandchildren_end_with_the_child(run: Any, events: list[Event]) -> None:
    run("offspring", deadline_seconds=0.5)
    pid = next(event["pid"] for event in events if event["event"] == "born")
    time.sleep(0.2)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
