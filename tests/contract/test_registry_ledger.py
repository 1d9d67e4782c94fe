"""Promotions and the other ledgers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_builders import NOW, after, at_once, stored_blob

from registry.database import Database
from registry.errors import Conflict, NotFound, RegistryError, StaleEpoch
from registry.ledger import Ledger, append_events
from registry.migrations import upgrade
from registry.models import Models
from registry.projects import Projects
from registry.records import NewModel, NewPromotion, Project, Promotion, PromotionKind


def _new(epoch: int, kind: PromotionKind = PromotionKind.PROMOTION) -> NewPromotion:
    return NewPromotion(expected_epoch=epoch, kind=kind, reason="better", actor="judge")


@pytest.fixture
def versions(models: Models, project: Project, new_model: NewModel) -> tuple[int, ...]:
    return tuple(models.register(project.id, new_model, at=NOW).version for _ in range(8))


@pytest.mark.usefixtures("versions")
def test_a_promotion_moves_champion_previous_and_epoch(
    ledger: Ledger, project: Project, db: Database
) -> None:
    first = ledger.promote(project.id, 1, _new(0), run=4, at=NOW)
    second = ledger.promote(project.id, 2, _new(1), events=[("incumbent.champion.changed", {})], at=after(1))
    changed = Projects(db).by_id(project.id)
    assert (changed.champion, changed.previous, changed.epoch) == (2, 1, 2)
    assert (first.from_version, first.to_version, first.epoch, first.run) == (None, 1, 1, 4)
    assert (second.from_version, second.to_version, second.number) == (1, 2, 2)
    assert ledger.promotions(project.id) == (second, first)
    assert ledger.promotions(project.id, limit=1) == (second,)
    assert [event.type for event in ledger.events()] == ["incumbent.champion.changed"]


@pytest.mark.usefixtures("versions")
def test_a_rollback_restores_the_champion_of_before(ledger: Ledger, project: Project, db: Database) -> None:
    projects = Projects(db)
    ledger.promote(project.id, 1, _new(0), at=NOW)
    ledger.promote(project.id, 2, _new(1), at=NOW)
    before = projects.by_id(project.id)
    assert before.previous is not None
    ledger.promote(project.id, before.previous, _new(before.epoch, PromotionKind.ROLLBACK), at=NOW)
    rolled = projects.by_id(project.id)
    assert (rolled.champion, rolled.previous, rolled.epoch) == (1, 2, 3)
    assert ledger.promotions(project.id)[0].kind is PromotionKind.ROLLBACK


@pytest.mark.usefixtures("versions")
def test_of_promotions_that_race_from_one_epoch_exactly_one_happens(
    ledger: Ledger, project: Project, db: Database
) -> None:
    results = at_once(lambda n: ledger.promote(project.id, n + 1, _new(0), at=NOW))
    winners = [result for result in results if isinstance(result, Promotion)]
    assert len(winners) == 1
    assert sum(isinstance(result, StaleEpoch) for result in results) == 7
    changed = Projects(db).by_id(project.id)
    assert (changed.champion, changed.epoch) == (winners[0].to_version, 1)
    assert ledger.promotions(project.id) == tuple(winners)


@pytest.mark.usefixtures("versions")
def test_a_promotion_of_nothing_new_is_refused(ledger: Ledger, project: Project, db: Database) -> None:
    with pytest.raises(NotFound):
        ledger.promote(project.id, 99, _new(0), at=NOW)
    with pytest.raises(NotFound):
        ledger.promote(project.id + 1, 1, _new(0), at=NOW)
    ledger.promote(project.id, 1, _new(0), at=NOW)
    with pytest.raises(Conflict) as refused:
        ledger.promote(project.id, 1, _new(1), at=NOW)
    assert refused.value.code == "already_champion"
    assert len(ledger.promotions(project.id)) == 1


@settings(max_examples=25, deadline=None)
@given(moves=st.lists(st.one_of(st.integers(1, 3), st.just("rollback")), max_size=12))
def test_rollback_restores_whatever_was_promoted_before(moves: list[int | str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Database.open(f"sqlite:///{Path(folder) / 'registry.db'}")
        upgrade(db)
        project = Projects(db).create("flights", task={}, policy={}, at=NOW)
        blob = stored_blob(db, "a")
        new = NewModel(blob=blob, engine="e", estimator="x", config={}, dataset_version=1, details={})
        for _ in range(3):
            Models(db).register(project.id, new, at=NOW)
        champion: int | None = None
        previous: int | None = None
        for move in moves:
            now = Projects(db).by_id(project.id)
            target = now.previous if move == "rollback" else int(move)
            kind = PromotionKind.ROLLBACK if move == "rollback" else PromotionKind.PROMOTION
            if target is None or target == champion:
                continue
            Ledger(db).promote(project.id, target, _new(now.epoch, kind), at=NOW)
            if move == "rollback":
                assert target == previous
            champion, previous = target, champion
            now = Projects(db).by_id(project.id)
            assert (now.champion, now.previous) == (champion, previous)
        ledger = Ledger(db).promotions(project.id)
        db.close()
    chain = [entry.to_version for entry in reversed(ledger)]
    assert [entry.from_version for entry in reversed(ledger)] == [None, *chain][: len(chain)]


def test_decisions_are_kept_in_order_with_their_evidence(ledger: Ledger, project: Project) -> None:
    assert ledger.last_decision(project.id) is None
    made = [
        ledger.decide(
            project.id,
            outcome="triggered" if n == 3 else "refused",
            trigger="new_labels",
            reason=f"{n} labels",
            evidence={"labels": n},
            run=1 if n == 3 else None,
            at=after(n),
        )
        for n in range(4)
    ]
    assert ledger.decisions(project.id) == tuple(reversed(made))
    assert ledger.decisions(project.id, limit=2, before=made[2].number) == (made[1], made[0])
    assert ledger.last_decision(project.id) == made[3]
    assert (made[3].outcome, made[3].evidence, made[3].run) == ("triggered", {"labels": 3}, 1)


def test_deployments_are_kept_in_order(ledger: Ledger, project: Project) -> None:
    failed = ledger.deployed(project.id, 2, "node", "failed", "golden rows differ", at=NOW)
    serving = ledger.deployed(project.id, 1, "node", "serving", "kept", at=after(1))
    assert ledger.deployments(project.id) == (serving, failed)
    assert ledger.deployments(project.id, limit=1) == (serving,)


def test_events_are_read_from_where_the_reader_was(ledger: Ledger, project: Project) -> None:
    ledger.emit("incumbent.started", {"n": 1}, at=NOW)
    ledger.emit("incumbent.drift.detected", {"n": 2}, project_id=project.id, at=after(1))
    first, second = ledger.events()
    assert (first.project_id, second.project_id) == (None, project.id)
    assert ledger.events(after=first.number) == (second,)
    assert ledger.events(limit=1) == (first,)
    assert ledger.events(after=second.number) == ()


def test_no_event_appears_behind_one_already_seen(ledger: Ledger, db: Database) -> None:
    entered, go = Event(), Event()

    def slow() -> None:
        with db.write() as connection:
            append_events(connection, None, [("slow", {})], at=NOW)
            entered.set()
            go.wait(timeout=10)

    slow_one = Thread(target=slow)
    slow_one.start()
    assert entered.wait(timeout=10)
    fast_one = Thread(target=lambda: ledger.emit("fast", {}, at=NOW))
    fast_one.start()
    fast_one.join(timeout=0.3)
    assert ledger.events() == ()
    go.set()
    slow_one.join(timeout=10)
    fast_one.join(timeout=10)
    assert [event.type for event in ledger.events()] == ["slow", "fast"]


def test_many_ledger_entries_at_once_do_not_block_each_other(ledger: Ledger, project: Project) -> None:
    def act(n: int) -> None:
        ledger.emit("incumbent.something", {}, project_id=project.id, at=NOW)
        ledger.decide(project.id, outcome="refused", trigger="t", reason="r", evidence={}, at=NOW)
        ledger.deployed(project.id, n, "node", "serving", "", at=NOW)

    assert not [result for result in at_once(act) if isinstance(result, RegistryError)]
    assert (
        len(ledger.events()) == len(ledger.decisions(project.id)) == len(ledger.deployments(project.id)) == 8
    )
