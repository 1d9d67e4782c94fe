"""kill -9 at every step, and at any moment: nothing acknowledged is lost, nothing is there twice or by half."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dataset_builders import datasets_in, feedback, ids, rows, upload
from dataset_committer import ROWS, STEPS
from registry_builders import NOW

from registry.database import Database
from registry.datasets import Datasets
from registry.errors import Damaged
from registry.projects import Projects
from registry.records import Project

pytestmark = pytest.mark.slow
COMMITTER = Path(__file__).with_name("dataset_committer.py")


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


class Committers:
    """Runs committers, each in a process of its own, forked from one that has imported everything."""

    def __init__(self) -> None:
        self._forker = subprocess.Popen(
            [sys.executable, COMMITTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ran(self, *arguments: str | Path) -> int:
        """The exit code of a committer with these arguments."""
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        print(json.dumps([*map(str, arguments)]), file=self._forker.stdin, flush=True)
        return int(self._forker.stdout.readline())

    def killed(self, *arguments: str | Path) -> None:
        assert self.ran(*arguments) == -signal.SIGKILL

    def close(self) -> None:
        self._forker.communicate()


@pytest.fixture(scope="module")
def committers() -> Iterator[Committers]:
    running = Committers()
    yield running
    running.close()


def left(home: Path) -> list[Path]:
    return [path for path in (home / "staging").iterdir() if path.is_dir()]


def check(datasets: Datasets, project: Project, names: list[str], home: Path) -> None:
    """Exactly the named batches are there, each whole, in every table and count."""
    facts = datasets.facts(project.id)
    total = ROWS * len(names)
    assert (facts.version, facts.rows, facts.truths) == (len(names), total, (ROWS - 2) * len(names))
    assert facts.predictions == total
    expected = sorted(row_id for name in names for row_id in ids(name, ROWS))
    assert left(home) == []
    if not names:
        assert datasets.known(project.id, ids("b", ROWS)) == set()
        return
    everything = datasets.read(project.id, facts.version, labelled=False)
    assert sorted(everything["_row_id"].to_pylist()) == expected
    assert everything["_label"].null_count == 2 * len(names)
    scored = datasets.scored(project.id, labelled=False)
    assert sorted(scored["_row_id"].to_pylist()) == expected
    assert len(datasets.quarantine(project.id, 10_000)) == 2 * len(names)
    truths = datasets.truths(project.id, expected)
    assert len(truths) == total
    assert sum(truth is not None for truth in truths.values()) == (ROWS - 2) * len(names)
    batches = datasets.batches(project.id, limit=10_000)
    assert [batch.number for batch in batches] == list(range(len(names), 0, -1))
    assert sorted(batch.details["name"] for batch in batches) == sorted(names)
    assert datasets.verify(project.id, facts.version)
    for version in datasets.versions(project.id, limit=3):
        assert datasets.read(project.id, version.number, labelled=False).num_rows == ROWS * version.number


@pytest.mark.parametrize("step", STEPS)
def test_a_commit_killed_after_any_step_is_whole_or_absent(
    committers: Committers, database_url: str, datasets: Datasets, project: Project, tmp_path: Path, step: str
) -> None:
    committers.killed(database_url, tmp_path, "once", step, "b")
    was_staged = step != "sealed"
    before = datasets.latest(project.id)
    assert (before is not None) == (step in ("committed", "removed"))
    if before is None:
        assert datasets.recent(project.id, 99).num_rows == 0
        assert datasets.scored(project.id, labelled=False).num_rows == 0
        assert datasets.quarantine(project.id) == []
    recovered = datasets.recover(NOW)
    assert len(recovered) == (was_staged and before is None)
    check(datasets, project, ["b"] if was_staged else [], tmp_path)
    assert datasets.recover(NOW) == ()
    replay = datasets.replay(project.id, "b", "b")
    assert (replay is not None) == was_staged
    assert committers.ran(database_url, tmp_path, "once", "-", "b") == 0  # the caller tries again
    check(datasets, project, ["b"], tmp_path)


@pytest.mark.parametrize("step", ["half indexed", "rows unsynced", "labels", "committed"])
def test_a_recovery_killed_after_any_step_is_recovered(
    committers: Committers, database_url: str, datasets: Datasets, project: Project, tmp_path: Path, step: str
) -> None:
    committers.killed(database_url, tmp_path, "once", "staged", "b")
    committers.killed(database_url, tmp_path, "recover", step, "-")
    datasets.recover(NOW)
    check(datasets, project, ["b"], tmp_path)


@pytest.mark.parametrize("step", ["staged", "half indexed", "labels"])
def test_the_next_commit_finishes_what_a_dead_process_left(
    committers: Committers, database_url: str, datasets: Datasets, project: Project, tmp_path: Path, step: str
) -> None:
    committers.killed(database_url, tmp_path, "once", step, "b")
    assert committers.ran(database_url, tmp_path, "once", "-", "c") == 0
    check(datasets, project, ["b", "c"], tmp_path)
    assert [batch.details["name"] for batch in datasets.batches(project.id)] == ["c", "b"]


def test_a_loop_of_commits_killed_at_random_moments_loses_and_doubles_nothing(
    database_url: str, datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    rng = random.Random(database_url.split(":")[0])
    names: list[str] = []
    for prefix in "vwxyz":
        command = [sys.executable, COMMITTER, database_url, str(tmp_path), "loop", "-", prefix]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        acknowledged = (first + process.stdout.read()).decode().split()
        process.wait()
        assert acknowledged
        recovered = [batch.details["name"] for batch in datasets.recover(NOW)]
        assert len(recovered) <= 1
        stored = sorted(
            batch.details["name"]
            for batch in datasets.batches(project.id, limit=10_000)
            if batch.details["name"].startswith(prefix)
        )
        assert set(acknowledged) <= set(stored)
        assert len(stored) <= len(acknowledged) + 1
        names += stored
        check(datasets, project, names, tmp_path)


def test_a_sweep_leaves_a_live_upload_alone(datasets: Datasets, project: Project, tmp_path: Path) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(rows("a", 3))
        datasets.recover(NOW)
        assert left(tmp_path) == [staging.folder]
        datasets_in(tmp_path, datasets._db).recover(NOW)
        assert left(tmp_path) == [staging.folder]
    assert left(tmp_path) == []


def test_a_staged_batch_of_a_deleted_project_is_taken_back(
    committers: Committers,
    database_url: str,
    datasets: Datasets,
    project: Project,
    db: Database,
    tmp_path: Path,
) -> None:
    committers.killed(database_url, tmp_path, "once", "indexed", "b")
    Projects(db).delete(project.name, at=NOW)
    assert datasets.recover(NOW) == ()
    assert left(tmp_path) == []
    assert datasets.known(project.id, ids("b", ROWS)) == set()


@pytest.mark.parametrize(("step", "damaged"), [("indexed", False), ("rows", True)])
def test_staged_files_that_vanished_are_a_loss_only_where_a_table_has_a_part(
    committers: Committers,
    database_url: str,
    datasets: Datasets,
    project: Project,
    tmp_path: Path,
    step: str,
    damaged: bool,
) -> None:
    committers.killed(database_url, tmp_path, "once", step, "b")
    (folder,) = left(tmp_path)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert datasets.recover(NOW) == ()
    if damaged:
        with pytest.raises(Damaged, match="batch 1"):
            upload(datasets, project, "c", 3)
        return
    assert upload(datasets, project, "b", 3).number == 1
    feedback(datasets, project, ids("b", 1), "no")
    assert datasets.verify(project.id, 2)
