"""Approvals on every database: asked with their run, answered once, and never for a champion that is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from registry_builders import NOW, after, at_once, enqueue

from registry.approval_records import Approval, ApprovalStatus, NewApproval, Said, Word
from registry.approvals import Approvals
from registry.database import Database
from registry.errors import Conflict, NotFound, StaleEpoch, StaleFence
from registry.keys import Keys
from registry.ledger import Ledger
from registry.models import Models
from registry.probations import ProbationMode, Probations, ProbationStatus
from registry.projects import Projects
from registry.pulse import Pulse
from registry.records import NewModel, NewPromotion, Project, PromotionKind, RunStatus
from registry.runs import Runs

EVENT = "incumbent.approval.ended"


@pytest.fixture
def reign(db: Database, project: Project, new_model: NewModel) -> Project:
    """Version 1 is the champion."""
    version = Models(db).register(project.id, new_model, at=NOW).version
    new = NewPromotion(expected_epoch=0, kind=PromotionKind.PROMOTION, reason="better", actor="judge")
    Ledger(db).promote(project.id, version, new, at=NOW)
    return Projects(db).by_id(project.id)


def ask(db: Database, project: Project, new_model: NewModel, **changed: Any) -> Approval:
    """A run ends with a judged and a refitted model, and somebody is asked."""
    runs = Runs(db)
    run = enqueue(runs, project.id)
    claimed = runs.claim("worker", lease_seconds=30, at=NOW)
    assert claimed is not None
    question = {
        "epoch": project.epoch,
        "champion": project.champion,
        "approvers": 1,
        "reason": "Awaiting approval: better",
        "expires_at": after(3600),
        **changed,
    }
    runs.conclude(
        run.id,
        claimed.fence,
        status=RunStatus.COMPLETED,
        verdict={"outcome": "awaiting_approval"},
        models=(new_model, replace(new_model, links={"refit_of": 0})),
        promoted=1,
        approval=NewApproval(**question),
        at=NOW,
    )
    found = Approvals(db).of_run(project.id, run.number)
    assert found is not None
    return found


def said(word: Word = Word.APPROVE, who: str = "api", at: datetime = NOW, **more: Any) -> Said:
    given = {"version": None, "key": None, "reason": f"{who} says so", **more}
    return Said(word=word, who=who, at=at, **given)


def say(db: Database, project: Project, one: Approval, words: Said) -> Approval:
    def tell(found: Approval, promotion: object) -> tuple[tuple[str, dict[str, Any]], ...]:
        return ((EVENT, {"status": found.status.value, "promoted": promotion is not None}),)

    return Approvals(db).say(project.id, one.number, words, tell=tell)


def refusal(db: Database, project: Project, one: Approval, words: Said) -> str:
    with pytest.raises(Conflict) as caught:
        say(db, project, one, words)
    return caught.value.code


def champion(db: Database, project: Project) -> int | None:
    return Projects(db).by_id(project.id).champion


def change_champion(db: Database, project: Project, version: int) -> None:
    epoch = Projects(db).by_id(project.id).epoch
    new = NewPromotion(expected_epoch=epoch, kind=PromotionKind.MANUAL, reason="by hand", actor="api")
    Ledger(db).promote(project.id, version, new, at=NOW)


def key(db: Database) -> dict[str, str]:
    """Somebody with a key of their own."""
    made, _ = Keys(db).create(["approve"], label="", at=NOW)
    return {"who": f"key {made.prefix}", "key": made.prefix}


def test_a_run_that_waits_asks_in_the_transaction_that_ends_it(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    one = ask(db, reign, new_model, starter="key abc")
    assert (one.number, one.status, one.champion, one.epoch) == (1, ApprovalStatus.OPEN, 1, 1)
    assert (one.judged, one.version, one.run, one.starter) == (2, 3, 1, "key abc")
    assert Approvals(db).open(reign.id) == Approvals(db).list(reign.id) == (one,)
    assert Approvals(db).get(reign.id, 1) == one
    with pytest.raises(NotFound):
        Approvals(db).get(reign.id, 2)


def test_a_run_without_a_model_asks_nothing(db: Database, reign: Project) -> None:
    runs = Runs(db)
    enqueue(runs, reign.id)
    run = runs.claim("worker", lease_seconds=30, at=NOW)
    assert run is not None
    question = NewApproval(epoch=1, champion=1, approvers=1, reason="?", expires_at=after(9))
    with pytest.raises(ValueError, match="no model"):
        runs.conclude(run.id, run.fence, status=RunStatus.COMPLETED, approval=question, at=NOW)
    assert Approvals(db).list(reign.id) == ()


def test_approving_is_one_write_with_the_change_of_champion(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    one = ask(db, reign, new_model)
    ended = say(db, reign, one, said(reason="seen by the risk team", at=after(60)))
    assert (ended.status, ended.ended_at) == (ApprovalStatus.APPROVED, after(60))
    assert champion(db, reign) == 3
    entry = Ledger(db).promotions(reign.id)[0]
    assert (entry.kind, entry.actor, entry.reason) == (PromotionKind.MANUAL, "api", "seen by the risk team")
    assert (entry.run, entry.at) == (1, after(60))
    assert [event.data for event in Ledger(db).events() if event.type == EVENT] == [
        {"status": "approved", "promoted": True}
    ]


def test_the_judged_version_is_chosen_by_its_number_and_no_other(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    one = ask(db, reign, new_model)
    assert refusal(db, reign, one, said(version=1)) == "other_version"
    assert say(db, reign, one, said(version=2)).said[-1].version == 2
    assert champion(db, reign) == 2


def test_a_refusal_leaves_the_champion_and_keeps_who_and_why(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    one = ask(db, reign, new_model)
    ended = say(db, reign, one, said(Word.REFUSE, "anna", reason="not before the audit"))
    assert (ended.status, ended.reason) == (
        ApprovalStatus.REFUSED,
        "Refused by anna: not before the audit",
    )
    assert champion(db, reign) == 1
    assert refusal(db, reign, one, said()) == "approval_ended"


def test_what_is_said_again_changes_nothing(db: Database, reign: Project, new_model: NewModel) -> None:
    one = ask(db, reign, new_model)
    first = say(db, reign, one, said())
    assert say(db, reign, one, said(at=after(5), reason="once more")) == first
    assert len(Ledger(db).promotions(reign.id)) == 2
    assert refusal(db, reign, one, said(who="somebody else")) == "approval_ended"
    assert refusal(db, reign, one, said(Word.REFUSE)) == "approval_ended"


def test_nobody_is_asked_about_a_champion_that_is_gone_and_nothing_of_it_is_written(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    made = Models(db).register(reign.id, new_model, at=NOW).version
    change_champion(db, reign, made)
    with pytest.raises(StaleEpoch, match="from epoch 1 to 2"):
        ask(db, reign, new_model)
    assert Approvals(db).list(reign.id) == ()
    assert len(Models(db).list(reign.id)) == made
    assert Runs(db).list(reign.id, 1)[0].status is RunStatus.RUNNING


def test_nothing_is_approved_for_a_champion_that_is_gone(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    first, second = ask(db, reign, new_model), ask(db, reign, new_model)
    say(db, reign, second, said())
    assert refusal(db, reign, first, said()) == "approval_stale"
    assert refusal(db, reign, first, said(Word.REFUSE)) == "approval_stale"
    assert first.standing(2, NOW) is ApprovalStatus.STALE
    assert champion(db, reign) == second.version


def test_nothing_is_approved_after_its_time(db: Database, reign: Project, new_model: NewModel) -> None:
    one = ask(db, reign, new_model)
    assert refusal(db, reign, one, said(at=after(3600))) == "approval_expired"
    assert one.standing(1, after(3599)) is ApprovalStatus.OPEN
    assert one.standing(1, after(3600)) is ApprovalStatus.EXPIRED
    ended = Approvals(db).end(one, status=ApprovalStatus.EXPIRED, reason="over", at=after(3600))
    assert (ended.status, ended.reason) == (ApprovalStatus.EXPIRED, "over")
    with pytest.raises(StaleFence):
        Approvals(db).end(one, status=ApprovalStatus.STALE, reason="over", at=after(3700))


def test_it_is_written_down_as_over_only_where_it_is(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    one = ask(db, reign, new_model)
    for status in (ApprovalStatus.STALE, ApprovalStatus.EXPIRED):
        with pytest.raises(StaleFence, match=f"is open, not {status}"):
            Approvals(db).end(one, status=status, reason="over", at=after(60))
    assert Approvals(db).get(reign.id, one.number) == one
    change_champion(db, reign, 2)
    with pytest.raises(StaleFence, match="is stale, not expired"):
        Approvals(db).end(one, status=ApprovalStatus.EXPIRED, reason="over", at=after(3600))
    ended = Approvals(db).end(one, status=ApprovalStatus.STALE, reason="over", at=after(3600))
    assert ended.status is ApprovalStatus.STALE


def test_two_different_keys_are_two(db: Database, reign: Project, new_model: NewModel) -> None:
    anna, ben = key(db), key(db)
    one = ask(db, reign, new_model, approvers=2, starter=anna["who"])
    assert refusal(db, reign, one, said()) == "key_needed"
    waiting = say(db, reign, one, said(**anna))
    assert (waiting.status, champion(db, reign)) == (ApprovalStatus.OPEN, 1)
    assert say(db, reign, one, said(**anna)) == waiting, "who started the run is one of two, never both"
    assert refusal(db, reign, one, said(**ben, version=2)) == "other_version"
    ended = say(db, reign, one, said(**ben))
    assert (ended.status, champion(db, reign)) == (ApprovalStatus.APPROVED, 3)
    entry = Ledger(db).promotions(reign.id)[0]
    assert entry.actor == f"{anna['who']}, {ben['who']}"
    assert entry.reason == f"{anna['who']}: {anna['who']} says so; {ben['who']}: {ben['who']} says so"
    assert say(db, reign, one, said(**anna)) == ended, "an answer that was lost is given again"


def test_a_key_that_was_revoked_meanwhile_does_not_count(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    anna, ben, carla = key(db), key(db), key(db)
    one = ask(db, reign, new_model, approvers=2)
    say(db, reign, one, said(**anna))
    Keys(db).revoke(anna["key"], NOW)
    assert say(db, reign, one, said(**ben)).status is ApprovalStatus.OPEN
    assert say(db, reign, one, said(**carla)).status is ApprovalStatus.APPROVED
    assert Ledger(db).promotions(reign.id)[0].actor == f"{ben['who']}, {carla['who']}"


def test_the_version_that_a_revoked_key_chose_binds_nobody_and_is_not_counted(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    anna, ben, carla = key(db), key(db), key(db)
    one = ask(db, reign, new_model, approvers=2)
    say(db, reign, one, said(**anna, version=2))
    assert refusal(db, reign, one, said(**ben, version=3)) == "other_version"
    Keys(db).revoke(anna["key"], NOW)
    assert say(db, reign, one, said(**ben, version=3)).status is ApprovalStatus.OPEN
    assert refusal(db, reign, one, said(**carla, version=2)) == "other_version"
    assert say(db, reign, one, said(**carla, version=3)).status is ApprovalStatus.APPROVED
    assert champion(db, reign) == 3


def test_as_many_have_to_approve_as_are_asked_by_then_and_never_fewer_than_were(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    anna, ben = key(db), key(db)
    one = ask(db, reign, new_model)

    def approve(words: Said, at_least: int) -> Approval:
        return Approvals(db).say(reign.id, one.number, words, at_least=at_least, tell=lambda *_: ())

    with pytest.raises(Conflict, match="2 different keys") as caught:
        approve(said(), 2)
    assert caught.value.code == "key_needed"
    waiting = approve(said(**anna), 2)
    assert (waiting.status, waiting.approvers, champion(db, reign)) == (ApprovalStatus.OPEN, 2, 1)
    assert approve(said(**anna), 1) == waiting
    ended = approve(said(**ben), 1)
    assert (ended.status, champion(db, reign)) == (ApprovalStatus.APPROVED, 3)


def test_one_of_two_may_still_refuse(db: Database, reign: Project, new_model: NewModel) -> None:
    anna = key(db)
    one = ask(db, reign, new_model, approvers=2)
    say(db, reign, one, said(**anna))
    assert say(db, reign, one, said(Word.REFUSE, **anna)).status is ApprovalStatus.REFUSED
    assert refusal(db, reign, one, said(**anna)) == "approval_ended"


def test_of_many_who_answer_at_once_one_is_heard(db: Database, reign: Project, new_model: NewModel) -> None:
    one = ask(db, reign, new_model)
    kinds = [Word.APPROVE, Word.REFUSE] * 4
    found = at_once(lambda n: say(db, reign, one, said(kinds[n], f"nr {n}")), threads=8)
    kept = [each for each in found if isinstance(each, Approval)]
    assert len(kept) == 1
    assert {each.code for each in found if isinstance(each, Conflict)} <= {"approval_ended", "approval_stale"}
    promoted = kept[0].status is ApprovalStatus.APPROVED
    assert champion(db, reign) == (3 if promoted else 1)
    assert len(Ledger(db).promotions(reign.id)) == 1 + promoted
    assert len(Approvals(db).get(reign.id, 1).said) == 1


def test_two_keys_at_once_make_one_promotion(db: Database, reign: Project, new_model: NewModel) -> None:
    keys = [key(db) for _ in range(6)]
    one = ask(db, reign, new_model, approvers=2)
    at_once(lambda n: say(db, reign, one, said(**keys[n])), threads=6)
    assert len(Ledger(db).promotions(reign.id)) == 2
    assert len(Approvals(db).get(reign.id, 1).said) == 2


def test_who_approves_and_who_changes_the_champion_at_once_do_not_both_win(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    one = ask(db, reign, new_model)

    def act(number: int) -> object:
        return say(db, reign, one, said()) if number else change_champion(db, reign, 2)

    at_once(act, threads=2)
    entries = Ledger(db).promotions(reign.id)
    now = Approvals(db).get(reign.id, 1)
    assert [entry.epoch for entry in entries][::-1] == list(range(1, len(entries) + 1))
    if now.status is ApprovalStatus.APPROVED:
        assert [entry.to_version for entry in entries if entry.epoch == 2] == [3]
    else:
        assert (now.standing(2, NOW), champion(db, reign)) == (ApprovalStatus.STALE, 2)


def test_a_challenger_that_proved_better_in_the_shadow_asks_too(
    db: Database, reign: Project, new_model: NewModel
) -> None:
    other = Models(db).register(reign.id, new_model, at=NOW).version
    probations = Probations(db)
    open_ = probations.begin(
        reign.id,
        expected_epoch=reign.epoch,
        mode=ProbationMode.CHALLENGER,
        other=other,
        rule={},
        through=0,
        reason="new",
        ends_at=NOW + timedelta(days=7),
        at=NOW,
    )
    question = NewApproval(epoch=1, champion=1, approvers=1, reason="better", expires_at=after(9))
    probations.end(
        open_,
        status=ProbationStatus.ANNOTATED,
        state={},
        through=1,
        reason="better",
        approval=question,
        at=NOW,
    )
    (one,) = Approvals(db).open(reign.id)
    assert (one.probation, one.run, one.judged, one.version) == (1, None, other, other)


def test_each_word_is_seen_by_who_watches(db: Database, reign: Project, new_model: NewModel) -> None:
    anna, ben = key(db), key(db)
    seen = [Pulse(db).of(reign.id)]
    one = ask(db, reign, new_model, approvers=2)
    for who in (anna, ben):
        say(db, reign, one, said(**who))
        seen.append(Pulse(db).of(reign.id))
        assert Pulse(db).each()[reign.id].news == seen[-1].news
    assert len(set(map(str, seen))) == 3
