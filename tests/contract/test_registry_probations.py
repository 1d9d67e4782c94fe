"""Probations on every database: one open at a time, looked at by compare-and-set, ended with their deed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from registry_builders import NOW, at_once

from registry.database import Database
from registry.errors import Conflict, StaleEpoch, StaleFence
from registry.ledger import Ledger
from registry.models import Models
from registry.probations import Probation, ProbationMode, Probations, ProbationStatus
from registry.projects import Projects
from registry.records import NewModel, NewPromotion, Project, PromotionKind


@pytest.fixture
def reign(db: Database, project: Project, new_model: NewModel) -> Project:
    """Version 2 has taken the place of version 1."""
    for epoch in range(2):
        version = Models(db).register(project.id, new_model, at=NOW).version
        new = NewPromotion(expected_epoch=epoch, kind=PromotionKind.PROMOTION, reason="better", actor="judge")
        Ledger(db).promote(project.id, version, new, at=NOW)
    return Projects(db).by_id(project.id)


def begin(db: Database, project: Project, **changed: Any) -> Probation:
    options = {
        "expected_epoch": project.epoch,
        "mode": ProbationMode.PREVIOUS,
        "other": 1,
        "rule": {"alpha": 0.01},
        "through": 3,
        "reason": "new",
        "ends_at": NOW + timedelta(days=7),
        "at": NOW,
    }
    return Probations(db).begin(project.id, **{**options, **changed})


def test_a_project_has_one_open_probation(db: Database, reign: Project) -> None:
    first = begin(db, reign)
    assert (first.number, first.champion, first.other, first.through) == (1, 2, 1, 3)
    with pytest.raises(Conflict):
        begin(db, reign)
    assert Probations(db).current(reign.id) == first
    assert Probations(db).open() == (first,)
    assert Probations(db).of_epoch(reign.id, reign.epoch) == (first,)


def test_of_many_that_begin_at_once_one_does(db: Database, reign: Project) -> None:
    def attempt(_: int) -> bool:
        try:
            begin(db, reign)
        except Conflict:
            return False
        return True

    assert sorted(at_once(attempt, threads=4)) == [False, False, False, True]


def test_a_champion_of_yesterday_is_not_put_on_probation(db: Database, reign: Project) -> None:
    with pytest.raises(StaleEpoch):
        begin(db, reign, expected_epoch=reign.epoch - 1)


def test_two_who_saw_the_same_rows_count_them_once(db: Database, reign: Project) -> None:
    probations, seen = Probations(db), begin(db, reign)
    kept = probations.note(seen, state={"rows": 5}, through=7, reason="five rows", at=NOW)
    assert (kept.state, kept.through, kept.reason) == ({"rows": 5}, 7, "five rows")
    with pytest.raises(StaleFence):
        probations.note(seen, state={"rows": 5}, through=7, reason="five rows", at=NOW)


def test_a_rollback_and_the_end_of_its_probation_are_one_write(db: Database, reign: Project) -> None:
    probations, seen = Probations(db), begin(db, reign)
    new = NewPromotion(
        expected_epoch=reign.epoch, kind=PromotionKind.ROLLBACK, reason="worse", actor="probation"
    )
    ending: dict[str, Any] = {"state": {}, "through": 9, "reason": "worse", "at": NOW}
    ended = probations.end(
        seen,
        status=ProbationStatus.ROLLED_BACK,
        promotion=new,
        events=(("incumbent.probation.ended", {}),),
        **ending,
    )
    assert (ended.status, ended.ended_at) == (ProbationStatus.ROLLED_BACK, NOW)
    assert Projects(db).by_id(reign.id).champion == 1
    entry = Ledger(db).promotions(reign.id)[0]
    assert (entry.kind, entry.actor, entry.reason) == (PromotionKind.ROLLBACK, "probation", "worse")
    with pytest.raises(StaleFence):
        probations.end(seen, status=ProbationStatus.CONFIRMED, **ending)


def test_a_rollback_that_comes_too_late_leaves_the_probation_as_it_was(db: Database, reign: Project) -> None:
    probations, seen = Probations(db), begin(db, reign)
    by_hand = NewPromotion(
        expected_epoch=reign.epoch, kind=PromotionKind.MANUAL, reason="by hand", actor="api"
    )
    Ledger(db).promote(reign.id, 1, by_hand, at=NOW)
    late = NewPromotion(
        expected_epoch=reign.epoch, kind=PromotionKind.ROLLBACK, reason="worse", actor="probation"
    )
    with pytest.raises(StaleEpoch):
        probations.end(
            seen,
            status=ProbationStatus.ROLLED_BACK,
            state={},
            through=9,
            reason="worse",
            promotion=late,
            at=NOW,
        )
    assert probations.get(reign.id, 1) == seen
    assert len(Ledger(db).promotions(reign.id)) == 3
