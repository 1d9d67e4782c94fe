"""The log moves by a process of its own: whatever happens to that, each answer is stored once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from small_house import NOW, open_registry

from registry.errors import Damaged, RegistryError, Unavailable
from registry.journal import Journal
from registry.records import Project
from registry.store import Registry
from service.companion import Companion
from service.log_mover import MOST_DEATHS, LogMover
from service.log_records import Head, head_bytes, plain_record

COLUMNS = (("size", "numeric"), ("colour", "categorical"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def make_project(registry: Registry, name: str = "fruit") -> Project:
    registry.projects.create(name, task={}, policy={}, at=NOW)
    return registry.projects.get(name)


@pytest.fixture
def project(registry: Registry) -> Project:
    return make_project(registry)


@pytest.fixture
def mover(registry: Registry) -> Iterator[LogMover]:
    made = LogMover(registry, lambda: NOW)
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "log") as made:
        yield made


def record(project: Project, ids: list[str], *, own: bool = False, at: int = 1) -> bytes:
    head = Head(
        project=project.id,
        version=1,
        columns=COLUMNS,
        order=("colour", "size"),
        own=own,
        classes=("no", "yes"),
    )
    rows = [(0.5 + place, "red") for place in range(len(ids))]
    return plain_record(head_bytes(head), at, ids, rows, np.tile([0.25, 0.75], (len(ids), 1)))


def segment(journal: Journal, *records: bytes) -> tuple[Path, str]:
    journal.append(records)
    number = journal.rotate()
    assert number is not None
    return dict(journal.sealed())[number], journal.key(number)


def stored(registry: Registry, project: Project) -> tuple[int, int]:
    facts = registry.datasets.facts(project.id)
    return facts.rows, facts.predictions


def kill_at(companion: Companion, moment: int) -> Callable[[float], bytes]:
    """Its :meth:`hear`, which kills the process before the ``moment``-th message is heard."""
    heard, hear = [0], companion.hear

    def mortal(within: float) -> bytes:
        heard[0] += 1
        if heard[0] == moment:
            os.kill(companion.pid, signal.SIGKILL)
            companion._process.wait()
        return hear(within)

    return mortal


def test_a_segment_moved_twice_is_stored_once(
    registry: Registry, project: Project, mover: LogMover, journal: Journal
) -> None:
    path, key = segment(journal, record(project, ["a", "b"]), record(project, ["c"]))
    mover.move(path, key)
    mover.move(path, key)
    assert stored(registry, project) == (3, 3)
    assert registry.datasets.batches(project.id)[0].details["batches"] == 2


def test_work_that_is_spread_stores_the_same(
    registry: Registry, project: Project, mover: LogMover, journal: Journal
) -> None:
    path, key = segment(journal, record(project, [f"row-{number}" for number in range(9_000)]))
    mover.move(path, key, within=0.3)
    assert stored(registry, project) == (9_000, 9_000)


def test_the_hash_made_beside_is_the_hash_of_what_the_tables_hold(
    registry: Registry, project: Project, mover: LogMover, journal: Journal, tmp_path: Path
) -> None:
    path, key = segment(journal, record(project, ["a", "b"]))
    mover.move(path, key)
    version = registry.datasets.latest(project.id)
    assert version is not None
    other = open_registry(tmp_path / "other")
    twin = make_project(other)
    with other.datasets.stage(twin) as staging:
        staging.write_rows(
            registry.datasets.recent(project.id, 9, source="prediction")
            .select(["_row_id", "colour", "size", "_arrived_at", "_source"])
            .combine_chunks()
        )
        content = staging.content
        staging.seal()
        assert content is None
        assert staging.files.content_hash(NOW) == registry.datasets.batches(project.id)[0].content_hash
    other.close()


@pytest.mark.parametrize("moment", [1, 2])
def test_a_process_that_is_killed_in_the_middle_is_replaced_and_leaves_nothing_behind(
    registry: Registry, project: Project, mover: LogMover, journal: Journal, moment: int
) -> None:
    path, key = segment(journal, record(project, ["a"]))
    mover.move(path, key)
    companion = mover._companion
    assert companion is not None
    companion.hear = kill_at(companion, moment)  # type: ignore[method-assign]
    path, key = segment(journal, record(project, ["b"]))
    with pytest.raises(RegistryError, match="ended"):
        mover.move(path, key)
    assert list(registry.home.joinpath("staging").glob("*-*")) == []
    mover.move(path, key)
    assert stored(registry, project) == (2, 2)


def test_a_segment_that_ends_the_process_each_time_is_given_up(
    registry: Registry, project: Project, journal: Journal
) -> None:
    mover = LogMover(registry, lambda: NOW, module="service.no_such_module")
    path, key = segment(journal, record(project, ["a"]))
    for _ in range(MOST_DEATHS - 1):
        with pytest.raises(RegistryError):
            mover.move(path, key)
    with pytest.raises(ValueError, match=f"{MOST_DEATHS} times"):
        mover.move(path, key)
    mover.close()


def test_a_row_that_the_caller_named_is_stored_once_however_often_it_was_asked_for(
    registry: Registry, project: Project, mover: LogMover, journal: Journal
) -> None:
    mover.move(*segment(journal, record(project, ["a"], own=True)))
    mover.move(
        *segment(journal, record(project, ["a", "b", "b"], own=True), record(project, ["b"], own=True))
    )
    assert stored(registry, project) == (2, 5)


def test_what_is_damaged_or_can_never_be_stored_is_told_apart(
    project: Project, mover: LogMover, journal: Journal
) -> None:
    path, key = segment(journal, record(project, ["a"]))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged, match="checksum"):
        mover.move(path, key)
    with pytest.raises(ValueError, match="id"):
        mover.move(*segment(journal, record(project, ["x" * 300])))
    with pytest.raises(ValueError, match=r"truncated|malformed|Expected"):
        mover.move(*segment(journal, b"INCROWS1\xff"))


def test_a_database_that_is_away_is_said_so_and_the_next_try_succeeds(
    registry: Registry,
    project: Project,
    mover: LogMover,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, key = segment(journal, record(project, ["a"]))

    def away(project_id: int) -> Project:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(registry.projects, "by_id", away)
        with pytest.raises(Unavailable):
            mover.move(path, key)
    mover.move(path, key)
    assert stored(registry, project) == (1, 1)


def test_rows_of_a_project_that_is_gone_go_nowhere_and_the_rest_is_stored(
    registry: Registry, project: Project, mover: LogMover, journal: Journal
) -> None:
    gone = make_project(registry, "gone")
    registry.projects.delete("gone", at=NOW)
    mover.move(*segment(journal, record(gone, ["a"]), record(project, ["b"])))
    assert stored(registry, project) == (1, 1)
