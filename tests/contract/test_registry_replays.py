"""Replays on every database: one active a project, lost ones queued again, nobody writes for another."""

from __future__ import annotations

import pytest
from registry_builders import NOW, after, at_once

from registry.database import Database
from registry.errors import Conflict, NotFound, StaleFence
from registry.records import Project, ReplayRecord, RunStatus
from registry.replays import MOST_ATTEMPTS, Replays


@pytest.fixture
def replays(db: Database) -> Replays:
    return Replays(db)


def enqueue(replays: Replays, project: Project, folder: str = "one") -> ReplayRecord:
    source = {"kind": "stored", "dataset_version": 1}
    return replays.enqueue(project.id, plan={"seed": 0}, source=source, folder=folder, at=NOW)


def claimed(replays: Replays, owner: str = "here", *, at: float = 0) -> ReplayRecord:
    replay = replays.claim(owner, lease_seconds=30, at=after(at))
    assert replay is not None
    return replay


def test_a_second_replay_conflicts_while_one_is_active(replays: Replays, project: Project) -> None:
    assert enqueue(replays, project).number == 1
    with pytest.raises(Conflict) as refusal:
        enqueue(replays, project, "two")
    assert refusal.value.code == "replay_active"
    held = claimed(replays)
    replays.conclude(held.id, held.fence, status=RunStatus.COMPLETED, result={"a": 1}, at=after(5))
    assert enqueue(replays, project, "two").number == 2
    assert [one.number for one in replays.list(project.id)] == [2, 1]


def test_one_of_many_claims_a_replay(replays: Replays, project: Project) -> None:
    enqueue(replays, project)
    found = at_once(lambda number: replays.claim(f"w{number}", lease_seconds=30, at=NOW), threads=4)
    assert sum(isinstance(one, ReplayRecord) for one in found) == 1


def test_a_lost_replay_is_queued_again_with_its_progress_and_the_loser_is_refused(
    replays: Replays, project: Project
) -> None:
    enqueue(replays, project)
    lost = claimed(replays)
    replays.heartbeat(lost.id, lost.fence, progress={"done": 0.4}, lease_seconds=30, at=after(1))
    assert replays.expire(at=after(20)) == ()
    assert [one.status for one in replays.expire(at=after(40))] == [RunStatus.QUEUED]
    again = claimed(replays, "other", at=41)
    assert (again.fence, again.progress, again.started_at) == (2, {"done": 0.4}, NOW)
    with pytest.raises(StaleFence):
        replays.heartbeat(lost.id, lost.fence, progress={}, lease_seconds=30, at=after(42))
    with pytest.raises(StaleFence):
        replays.conclude(lost.id, lost.fence, status=RunStatus.COMPLETED, at=after(42))


def test_a_replay_that_processes_keep_dying_of_fails(replays: Replays, project: Project) -> None:
    enqueue(replays, project)
    for attempt in range(MOST_ATTEMPTS):
        claimed(replays, at=100 * attempt)
        (ended,) = replays.expire(at=after(100 * attempt + 50))
    assert ended.status is RunStatus.FAILED
    assert (ended.error or "").startswith("interrupted")
    assert replays.claim("here", lease_seconds=30, at=after(1000)) is None


def test_a_released_replay_can_be_taken_up_at_once(replays: Replays, project: Project) -> None:
    enqueue(replays, project)
    held = claimed(replays)
    assert replays.release(held.id, held.fence).status is RunStatus.QUEUED
    assert claimed(replays, "other", at=1).fence == 2


def test_cancelling_ends_a_queued_replay_asks_a_running_one_and_leaves_an_ended_one(
    replays: Replays, project: Project
) -> None:
    queued = enqueue(replays, project)
    assert replays.request_cancel(queued.id, at=NOW).status is RunStatus.CANCELLED
    enqueue(replays, project, "two")
    running = claimed(replays)
    asked = replays.request_cancel(running.id, at=NOW)
    assert (asked.status, asked.cancel_requested) == (RunStatus.RUNNING, True)
    replays.conclude(running.id, running.fence, status=RunStatus.CANCELLED, error="asked", at=NOW)
    assert replays.request_cancel(running.id, at=NOW).status is RunStatus.CANCELLED
    with pytest.raises(ValueError, match="end"):
        replays.conclude(running.id, running.fence, status=RunStatus.QUEUED, at=NOW)
    with pytest.raises(NotFound):
        replays.get(project.id, 9)
