"""Keys, leases, due times, drift reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from registry_builders import NOW, after, at_once
from sqlalchemy import select

from registry import tables as t
from registry.database import Database
from registry.drift import DriftReports
from registry.errors import NotFound, StaleFence
from registry.keys import Keys
from registry.leases import DueTimes, Leases
from registry.records import Lease, Project


def test_a_key_is_verified_by_its_secret_alone(db: Database) -> None:
    keys = Keys(db)
    assert not keys.any()
    key, secret = keys.create(["predict", "data"], label="till", at=NOW)
    assert secret.startswith(f"inc_{key.prefix}_")
    assert key.scopes == frozenset({"predict", "data"})
    assert keys.verify(secret) == key
    assert keys.list() == (key,)
    assert keys.any()
    _, other = keys.create(["admin"], label="other", at=NOW)
    swapped = f"inc_{key.prefix}_{other.split('_', 2)[2]}"
    for wrong in (
        secret[:-1],
        secret + "x",
        swapped,
        "",
        "inc_",
        "inc__",
        f"inc_{key.prefix}_",
        "é\ud800_x_y",
    ):
        assert keys.verify(wrong) is None


def test_a_secret_is_not_kept(db: Database) -> None:
    _, secret = Keys(db).create(["admin"], label="x", at=NOW)
    with db.read() as connection:
        row = connection.execute(select(t.api_keys)).one()
    assert secret.split("_", 2)[2] not in repr(tuple(row))
    assert len(row.hash) == 32


def test_a_revoked_key_is_no_key(db: Database) -> None:
    keys = Keys(db)
    key, secret = keys.create(["admin"], label="x", at=NOW)
    assert keys.revoke(key.prefix, at=after(1)).revoked_at == after(1)
    assert keys.revoke(key.prefix, at=after(2)).revoked_at == after(1)
    assert keys.verify(secret) is None
    assert not keys.any()
    assert [listed.revoked_at for listed in keys.list()] == [after(1)]
    with pytest.raises(NotFound):
        keys.revoke("00000000", at=NOW)


def test_a_lease_is_handed_over_with_a_growing_fence(db: Database) -> None:
    leases = Leases(db)
    first = leases.acquire("scheduler", "a", seconds=10, at=NOW)
    assert first == Lease(name="scheduler", owner="a", fence=1, expires_at=after(10))
    for owner in ("a", "b"):
        assert leases.acquire("scheduler", owner, seconds=10, at=after(9)) is None
    first = leases.renew(first, seconds=10, at=after(5))
    assert leases.acquire("scheduler", "b", seconds=10, at=after(14)) is None
    second = leases.acquire("scheduler", "b", seconds=10, at=after(15))
    assert second is not None
    assert second.fence == 2
    with pytest.raises(StaleFence):
        leases.renew(first, seconds=10, at=after(16))
    leases.release(first)
    assert leases.acquire("scheduler", "c", seconds=10, at=after(17)) is None
    leases.release(second)
    with pytest.raises(StaleFence):
        leases.renew(second, seconds=10, at=after(17))
    third = leases.acquire("scheduler", "c", seconds=10, at=after(17))
    assert third is not None
    assert third.fence == 3
    assert leases.acquire("another", "a", seconds=10, at=NOW) is not None
    with pytest.raises(ValueError):
        leases.acquire("another", "", seconds=10, at=after(99))


def test_a_lease_that_is_over_but_not_taken_can_be_renewed(db: Database) -> None:
    leases = Leases(db)
    lease = leases.acquire("scheduler", "a", seconds=10, at=NOW)
    assert lease is not None
    assert leases.renew(lease, seconds=10, at=after(50)) == replace(lease, expires_at=after(60))


@pytest.mark.parametrize("held_before", [False, True])
def test_of_many_who_want_a_lease_one_gets_it(db: Database, held_before: bool) -> None:
    leases = Leases(db)
    if held_before:
        assert leases.acquire("scheduler", "before", seconds=1, at=NOW) is not None
    results = at_once(lambda n: leases.acquire("scheduler", f"owner {n}", seconds=10, at=after(2)))
    assert [r.fence for r in results if isinstance(r, Lease)] == [2 if held_before else 1]


@pytest.mark.parametrize("expected", [None, NOW + timedelta(microseconds=1)])
def test_of_many_who_move_a_due_time_exactly_one_acts(
    db: Database, project: Project, expected: object
) -> None:
    due = DueTimes(db)
    if expected is not None:
        assert due.set(project.id, "schedule", NOW + timedelta(microseconds=1), expected=None)
    seen = due.get(project.id, "schedule")
    assert seen == expected
    results = at_once(lambda n: due.set(project.id, "schedule", after(60), expected=seen))
    assert sorted(results, key=bool) == [False] * 7 + [True]
    assert due.get(project.id, "schedule") == after(60)


def test_due_times_are_kept_by_project_and_trigger(db: Database, project: Project) -> None:
    due = DueTimes(db)
    assert due.set(project.id, "schedule", after(1), expected=None)
    assert due.set(project.id, "drift", after(2), expected=None)
    assert not due.set(project.id, "schedule", after(3), expected=None)
    assert not due.set(project.id, "schedule", after(3), expected=after(2))
    assert not due.set(project.id, "nothing", after(3), expected=after(2))
    with pytest.raises(ValueError):
        due.set(project.id, "schedule", after(1), expected=after(1))
    due.clear(project.id, "schedule")
    due.clear(project.id, "schedule")
    assert due.get(project.id, "schedule") is None
    assert due.get(project.id, "drift") == after(2)


def test_drift_reports_are_kept_in_order(db: Database, project: Project) -> None:
    drift = DriftReports(db)
    assert drift.latest(project.id) is None
    first = drift.add(project.id, None, 0.0, [], {"columns": []}, at=NOW)
    second = drift.add(project.id, 2, 0.5, ["dep_delay"], {"columns": [{"score": 0.4}]}, at=after(1))
    assert drift.list(project.id) == (second, first)
    assert drift.list(project.id, limit=1) == (second,)
    assert drift.latest(project.id) == second
    assert (second.share, second.drifted, second.model_version) == (0.5, ("dep_delay",), 2)
    assert second.report == {"columns": [{"score": 0.4}]}
