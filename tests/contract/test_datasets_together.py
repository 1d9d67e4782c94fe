"""Several threads and processes at one project, and maintenance beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dataset_builders import datasets_in, feedback, ids, rows, upload
from deltalake import DeltaTable
from registry_builders import NOW

from registry.database import Database
from registry.datasets import Datasets
from registry.errors import Damaged, RegistryError
from registry.lineage import GENESIS, chain
from registry.projects import Projects
from registry.records import BatchKind, Project

COMMITTER = Path(__file__).with_name("dataset_committer.py")
AT_ONCE = timedelta(0)


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


def folder_of(home: Path) -> Path:
    (folder,) = [path for path in (home / "tables").iterdir() if path.is_dir()]
    return folder


def assert_whole(datasets: Datasets, project: Project, batches: int) -> None:
    history = list(reversed(datasets.batches(project.id, limit=1000)))
    assert [batch.number for batch in history] == list(range(1, batches + 1))
    assert [batch.dataset_version for batch in history] == list(range(1, batches + 1))
    expected, total = GENESIS, 0
    for batch in history:
        expected, total = chain(expected, batch.content_hash), total + batch.rows
        version = datasets.version(project.id, batch.dataset_version)
        assert (version.content_hash, version.rows) == (expected, total)
        if batch.number % (1 + batches // 15) == 0:
            assert datasets.read(project.id, version.number, labelled=False).num_rows == total
    assert datasets.verify(project.id, batches)


def test_threads_commit_one_after_the_other(datasets: Datasets, project: Project) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: upload(datasets, project, f"t{number}", 5), range(18)))
    assert_whole(datasets, project, 18)


def test_one_of_many_at_once_stores_a_row_and_a_key(datasets: Datasets, project: Project) -> None:
    def try_rows(_: int) -> str:
        try:
            upload(datasets, project, "same", 5)
        except RegistryError as error:
            return type(error).__name__
        return "stored"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(try_rows, range(6)))
        replies = list(pool.map(lambda _: upload(datasets, project, "k", 5, key="k"), range(6)))
    assert sorted(outcomes) == ["DuplicateRows"] * 5 + ["stored"]
    assert {reply.number for reply in replies} == {2}
    assert_whole(datasets, project, 2)


@pytest.mark.slow
def test_processes_commit_to_one_project_while_it_is_maintained(
    database_url: str, datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    command = [sys.executable, str(COMMITTER), database_url, str(tmp_path), "loop", "-"]
    processes = [subprocess.Popen([*command, prefix], stdout=subprocess.PIPE) for prefix in "pq"]
    acknowledged = 0
    for _ in range(5):
        for process in processes:
            assert process.stdout is not None
            acknowledged += bool(process.stdout.readline())
        datasets.maintain(project.id, pinned={1}, at=NOW, retention=AT_ONCE)
        newest = datasets.latest(project.id)
        assert newest is not None
        assert datasets.read(project.id, newest.number, labelled=False).num_rows == newest.rows
    for process in processes:
        process.kill()
        process.communicate()
    datasets.recover(NOW)
    assert acknowledged == 10
    latest = datasets.latest(project.id)
    assert latest is not None
    assert latest.number >= acknowledged
    assert_whole(datasets, project, latest.number)


def test_maintenance_makes_few_files_of_many_and_keeps_pinned_versions(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    for number in range(12):
        upload(datasets, project, f"b{number}", 20, labelled=10)
    before = {n: datasets.read(project.id, n, labelled=False) for n in (1, 4, 9, 12)}
    pinned = datasets.version(project.id, 4)
    rows_folder = folder_of(tmp_path) / "rows"
    report = datasets.maintain(project.id, pinned={4, 999}, at=NOW, retention=AT_ONCE)
    assert (report.tables["rows"].files_before, report.tables["rows"].files_after) == (12, 1)
    assert (report.tables["labels"].files_before, report.tables["labels"].files_after) == (12, 1)
    assert report.tables["rows"].removed == 8
    assert len(list(rows_folder.glob("*.parquet"))) == 5
    # the pinned version is there for any reader of Delta tables, not only by our own way of reading
    plain = DeltaTable(rows_folder, version=pinned.rows_version).to_pyarrow_table()
    assert sorted(plain["_row_id"].to_pylist()) == sorted(before[4]["_row_id"].to_pylist())
    with pytest.raises(FileNotFoundError):
        DeltaTable(rows_folder, version=datasets.version(project.id, 9).rows_version).to_pyarrow_table()
    for number, rows_then in before.items():
        assert datasets.read(project.id, number, labelled=False).equals(rows_then)
        assert datasets.verify(project.id, number)
    upload(datasets, project, "after", 5)
    feedback(datasets, project, ids("b0", 20), "no")
    assert datasets.read(project.id, 4, labelled=False).equals(before[4])
    assert_whole(datasets, project, 14)


def test_maintenance_spares_files_within_retention(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    for number in range(3):
        upload(datasets, project, f"b{number}", 5)
    report = datasets.maintain(project.id, pinned=set(), at=NOW, retention=timedelta(hours=2))
    assert report.tables["rows"].removed == 0
    assert len(list((folder_of(tmp_path) / "rows").glob("*.parquet"))) == 4


def test_maintenance_removes_what_a_killed_append_left(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    upload(datasets, project, "a", 5)
    orphan = folder_of(tmp_path) / "rows" / "part-00000-orphan.snappy.parquet"
    orphan.write_bytes(b"half a file")
    datasets.maintain(project.id, pinned=set(), at=NOW, retention=AT_ONCE)
    assert not orphan.exists()
    assert_whole(datasets, project, 1)


@pytest.mark.slow
def test_old_checkpoints_go_and_every_version_stays(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    for number in range(80):
        upload(datasets, project, f"b{number}", 1, labelled=0)
    log = folder_of(tmp_path) / "rows" / "_delta_log"
    now = datetime.now(UTC)
    datasets.maintain(project.id, pinned={30}, at=now, retention=AT_ONCE)
    written = [int(path.name[:20]) for path in sorted(log.glob("*.checkpoint.parquet"))]
    assert len(written) >= 3
    assert written[0] <= 30 < written[1]
    (log / f"{10:020d}.checkpoint.parquet").write_bytes(b"one that no version needs")
    for path in log.glob("*.checkpoint.parquet"):
        os.utime(path, (now.timestamp() - 7200,) * 2)
    datasets.maintain(project.id, pinned={30}, at=now, retention=AT_ONCE)
    left = [int(path.name[:20]) for path in sorted(log.glob("*.checkpoint.parquet"))]
    assert written[0] in left
    assert left[-1] == written[-1]
    assert 10 not in left
    for number in (1, 12, 30, 60, 80):
        assert datasets.read(project.id, number, labelled=False).num_rows == number


@pytest.mark.slow
def test_commits_keep_the_number_of_files_small_by_themselves(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    for number in range(70):
        upload(datasets, project, f"b{number}", 1)
    for name in ("rows", "labels"):
        assert len(DeltaTable(folder_of(tmp_path) / name).file_uris()) <= 8
    assert datasets.verify(project.id, 70)
    assert datasets.read(project.id, 40).num_rows == 40


def test_maintenance_of_an_empty_project_does_nothing(datasets: Datasets, project: Project) -> None:
    assert datasets.maintain(project.id, pinned=set(), at=NOW, retention=AT_ONCE).tables == {}


def test_columns_that_came_later_survive_compaction(datasets: Datasets, project: Project) -> None:
    upload(datasets, project, "a", 3)
    with datasets.stage(project) as staging:
        table = rows("b", 2)
        staging.write_rows(table.append_column("late", table["amount"]))
        datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    before = [datasets.read(project.id, n, labelled=False) for n in (1, 2)]
    datasets.maintain(project.id, pinned=set(), at=NOW, retention=AT_ONCE)
    after = [datasets.read(project.id, n, labelled=False) for n in (1, 2)]
    assert after[1].equals(before[1])
    assert after[0].select(before[0].column_names).equals(before[0])
    assert datasets.verify(project.id, 2)


def test_changed_rows_are_found_out(datasets: Datasets, project: Project, tmp_path: Path) -> None:
    upload(datasets, project, "a", 50)
    upload(datasets, project, "b", 50)
    table = DeltaTable(folder_of(tmp_path) / "rows")
    table.update(predicate="_row_id = 'b-000003'", updates={"amount": "99.0"})
    # the recorded version still has the old file: nothing changed for it
    assert datasets.verify(project.id, 2)
    datasets.maintain(project.id, pinned=set(), at=NOW, retention=AT_ONCE)
    assert not datasets.verify(project.id, 2)


def test_a_lost_file_is_damage_not_a_smaller_dataset(
    datasets: Datasets, project: Project, tmp_path: Path
) -> None:
    upload(datasets, project, "a", 5)
    for path in (folder_of(tmp_path) / "rows").glob("*.parquet"):
        path.unlink()
    with pytest.raises(Damaged, match="lacks a file"):
        datasets.read(project.id, 1)
    with pytest.raises(Damaged):
        datasets.verify(project.id, 1)


def test_projects_dont_wait_for_each_other(datasets: Datasets, project: Project, db: Database) -> None:
    other = Projects(db).create("other", task={}, policy={}, at=NOW)
    upload(datasets, project, "a", 1)
    done = threading.Event()

    def work() -> None:
        upload(datasets, other, "a", 1)
        done.set()

    with datasets.commits.lock(project.id, datasets.tables_of(project.id)):
        thread = threading.Thread(target=work)
        thread.start()
        assert done.wait(30)
    thread.join()


@pytest.mark.slow
def test_a_large_batch_is_streamed(datasets: Datasets, project: Project) -> None:
    with datasets.stage(project) as staging:
        for piece in range(5):
            staging.write_rows(rows(f"p{piece}", 15_000))
        batch = datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    assert batch.rows == 75_000
    assert datasets.verify(project.id, 1)
    recent = datasets.recent(project.id, 10)
    assert recent["_row_id"].to_pylist() == ids("p4", 15_000)[-10:]
