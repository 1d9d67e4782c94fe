"""How both databases are read and written."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from registry_builders import NOW
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError

from registry import tables as t
from registry.database import Database, encode_json, insert_into, lock_project
from registry.errors import NotFound, Unavailable
from registry.leases import DueTimes
from registry.projects import Projects
from registry.records import Project


def _count(db: Database) -> int:
    with db.read() as connection:
        return int(connection.execute(select(func.count()).select_from(t.projects)).scalar_one())


def _add(name: str) -> dict[str, object]:
    return {"name": name, "folder": name, "task": {}, "policy": {}, "created_at": NOW}


@pytest.mark.parametrize("side", ["read", "write"])
def test_sqlite_connections_have_the_pragmas_they_need(tmp_path: Path, side: str) -> None:
    db = Database.open(f"sqlite:///{tmp_path / 'registry.db'}")
    with db.write():
        pass
    with getattr(db, side)() as connection:
        names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout", "wal_autocheckpoint")
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    db.close()
    assert found == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 2,
        "busy_timeout": 10_000,
        "wal_autocheckpoint": 1000 if side == "write" else 0,
    }


def test_an_exception_rolls_the_whole_transaction_back(db: Database) -> None:
    def half_way() -> None:
        with db.write() as connection:
            connection.execute(t.projects.insert().values(_add("a")))
            raise KeyError

    with pytest.raises(KeyError):
        half_way()
    assert _count(db) == 0


def test_a_reader_neither_waits_for_a_writer_nor_sees_its_unfinished_work(db: Database) -> None:
    seen: list[int] = []
    with db.write() as connection:
        connection.execute(t.projects.insert().values(_add("a")))
        reader = threading.Thread(target=lambda: seen.append(_count(db)))
        reader.start()
        reader.join(timeout=5)
        assert seen == [0]
    assert _count(db) == 1


def test_a_read_is_one_snapshot(db: Database) -> None:
    query = select(func.count()).select_from(t.projects)
    with db.read() as connection:
        before = connection.execute(query).scalar_one()
        writer = threading.Thread(target=lambda: Projects(db).create("flights", task={}, policy={}, at=NOW))
        writer.start()
        writer.join(timeout=5)
        assert connection.execute(query).scalar_one() == before == 0
    assert _count(db) == 1


def test_a_read_transaction_can_not_write(db: Database) -> None:
    with pytest.raises((DatabaseError, Unavailable)), db.read() as connection:
        connection.execute(t.projects.insert().values(_add("a")))
    assert _count(db) == 0


def test_writes_of_many_threads_all_arrive(db: Database) -> None:
    def write(thread: int) -> None:
        for number in range(10):
            with db.write() as connection:
                connection.execute(t.projects.insert().values(_add(f"{thread}-{number}")))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert _count(db) == 80


def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_itself(db: Database) -> None:
    with db.write(), pytest.raises(RuntimeError, match="inside"), db.write():
        pass
    with db.write():
        pass


def test_two_openings_of_one_file_take_turns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    first, second = Database.open(url), Database.open(url)
    order: list[str] = []

    def write() -> None:
        with second.write():
            order.append("second")

    with first.write():
        waiting = threading.Thread(target=write)
        waiting.start()
        waiting.join(timeout=0.1)
        order.append("first")
    waiting.join(timeout=5)
    first.close()
    second.close()
    assert order == ["first", "second"]


def test_many_processes_can_open_and_write_one_new_file(tmp_path: Path) -> None:
    program = (
        "import sys; from registry.database import Database; from registry.migrations import upgrade\n"
        "db = Database.open(sys.argv[1]); upgrade(db)\n"
        "with db.write() as c: c.exec_driver_sql("
        "\"INSERT INTO blobs VALUES ('\" + sys.argv[2] + \"', 1, 's', '2026-01-01 00:00:00.000000')\")"
    )
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    children = [subprocess.Popen([sys.executable, "-c", program, url, str(n)]) for n in range(3)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    db = Database.open(url)
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.blobs)).scalar_one() == 3
    db.close()


def test_a_new_file_that_another_process_is_writing_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    db = Database.open(f"sqlite:///{path}")
    with db.write() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    db.close()
    other.close()


def test_a_database_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    nobody = Database.open("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Unavailable), nobody.read():
        pass
    folder = Database.open(f"sqlite:///{tmp_path}")
    with pytest.raises(Unavailable), folder.write():
        pass


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name"])
def test_a_database_that_can_not_hold_a_registry_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Database.open(url)


def test_naive_times_are_refused_and_aware_ones_come_back_in_utc(db: Database, project: Project) -> None:
    with pytest.raises(Exception, match="without a zone"):
        Projects(db).create("naive", task={}, policy={}, at=datetime(2026, 3, 1))
    local = datetime.fromisoformat("2026-03-01T13:30:00.123456+05:30")
    due = DueTimes(db)
    assert due.set(project.id, "schedule", local, expected=None)
    back = due.get(project.id, "schedule")
    assert back is not None
    assert back.isoformat() == "2026-03-01T08:00:00.123456+00:00"


def test_foreign_keys_are_enforced(db: Database) -> None:
    with pytest.raises(DatabaseError), db.write() as connection:
        connection.execute(t.due_times.insert().values(project_id=99, trigger="x", due_at=NOW))


def test_the_lock_of_a_project_that_is_not_there_is_not_found(db: Database) -> None:
    with pytest.raises(NotFound), db.write() as connection:
        lock_project(connection, 99)


def test_an_insert_can_leave_what_is_there(db: Database) -> None:
    row = {"digest": "a", "size": 1, "signature": "s", "created_at": NOW}
    for _ in range(2):
        with db.write() as connection:
            connection.execute(insert_into(connection, t.blobs).values(row).on_conflict_do_nothing())
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.blobs)).scalar_one() == 1


def test_json_keeps_values_and_turns_what_json_lacks_into_null(db: Database) -> None:
    policy = {
        "nan": math.nan,
        "nested": [{"inf": math.inf}, (1, 2)],
        "numpy": np.float64(0.5),
        "numpy_nan": np.float32("nan"),
        "mapping": MappingProxyType({"é": "\u0000 😀 \ud83d"}),
    }
    kept = Projects(db).create("flights", task={}, policy=policy, at=NOW).policy
    assert kept == {
        "nan": None,
        "nested": [{"inf": None}, [1, 2]],
        "numpy": 0.5,
        "numpy_nan": None,
        "mapping": {"é": "\u0000 😀 \ud83d"},
    }
    with pytest.raises(TypeError):
        encode_json(object())
