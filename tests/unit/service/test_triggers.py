from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.policy import Policy
from service.trigger_facts import DriftFact, EstimateFact, Facts, LossFact, PredictionDriftFact, QualityFact
from service.triggers import Refusal, Trigger, due

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)


def policy(**parts: object) -> Policy:
    return Policy.model_validate(
        {"triggers": {"schedule": None, "new_labels": {"count": 500}, "drift": None}, **parts}
    )


def facts(**parts: object) -> Facts:
    known = {"champion": 1, "truths": 1000, "truths_at_last_run": 1000, "last_run_ended_at": LONG_AGO}
    return Facts(**{**known, **parts})  # type: ignore[arg-type]


def test_enough_new_labels_start_a_run_and_say_how_many() -> None:
    answer = due(policy(), facts(truths=1500), NOW)
    assert isinstance(answer, Trigger)
    assert answer.kind == "new_labels"
    assert "500 new labels" in answer.reason


def test_too_few_new_labels_are_refused_with_both_numbers() -> None:
    answer = due(policy(), facts(truths=1120), NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "nothing_fired"
    assert "120" in answer.reason
    assert "500" in answer.reason


def test_share_of_labels_counts_from_the_last_run() -> None:
    by_share = policy(triggers={"schedule": None, "drift": None, "new_labels": {"count": None, "share": 0.1}})
    by_share = by_share.model_copy(update={"min_fresh_share": 0.0})
    assert isinstance(due(by_share, facts(truths=1100), NOW), Trigger)
    assert isinstance(due(by_share, facts(truths=1099), NOW), Refusal)


def test_a_run_waits_until_the_judge_has_mostly_new_rows() -> None:
    many = {"truths_at_last_run": 100_000}
    held = due(policy(), facts(truths=119_999, **many), NOW)
    assert isinstance(held, Refusal)
    assert held.guard == "min_fresh_labels"
    assert "min_fresh_share asks for 20% of the 100,000 that the last run had: 20,000" in held.reason
    assert isinstance(due(policy(), facts(truths=120_000, **many), NOW), Trigger)


def test_decay_waits_for_no_share_of_fresh_labels_once_for_each_champion() -> None:
    fallen = QualityFact(score=0.6, reference=0.8, drop=0.2, sure_drop=0.15, allowed=0.02, rows=2000, at=NOW)
    answer = due(policy(), facts(truths=100_100, truths_at_last_run=100_000, decay=fallen), NOW)
    assert isinstance(answer, Trigger)
    assert answer.kind == "decay"
    again = facts(truths=101_300, truths_at_last_run=100_100, decay=fallen, decay_answered=True)
    held = due(policy(), again, NOW)
    assert isinstance(held, Refusal)
    assert held.guard == "min_fresh_labels"


def test_first_champion_needs_no_trigger_but_enough_labels() -> None:
    fresh = {"champion": None, "truths_at_last_run": None, "last_run_ended_at": None}
    assert isinstance(due(policy(), facts(**fresh, truths=100), NOW), Trigger)
    refused = due(policy(), facts(**fresh, truths=99), NOW)
    assert isinstance(refused, Refusal)
    assert refused.guard == "min_fresh_labels"


def test_without_champion_a_failed_run_is_not_repeated_at_once() -> None:
    answer = due(policy(), facts(champion=None), NOW)
    assert isinstance(answer, Refusal)


def test_nothing_starts_while_a_run_is_active() -> None:
    answer = due(policy(), facts(truths=9000, active_run=4), NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "active_run"


def test_cooldown_holds_back_and_says_until_when() -> None:
    answer = due(
        policy(cooldown="PT1H"), facts(truths=9000, last_run_ended_at=NOW - timedelta(minutes=1)), NOW
    )
    assert isinstance(answer, Refusal)
    assert answer.guard == "cooldown"
    assert "12:59:00 UTC" in answer.reason


def test_interrupted_run_is_started_again_in_spite_of_the_cooldown() -> None:
    answer = due(policy(), facts(interrupted_run=3, last_run_ended_at=NOW), NOW)
    assert isinstance(answer, Trigger)
    assert answer.kind == "retry"


def test_daily_budget_must_leave_room_for_a_whole_search() -> None:
    answer = due(policy(daily_budget_seconds=3600), facts(truths=9000, spent_seconds=3500), NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "daily_budget"


def test_a_days_energy_holds_back_what_a_trigger_asks_for_and_no_first_run() -> None:
    rule = policy(daily_energy_wh=5)
    answer = due(rule, facts(truths=9000, spent_wh=5.25), NOW)
    assert isinstance(answer, Refusal)
    assert (answer.guard, answer.uses_up_schedule) == ("daily_energy", True)
    assert answer.reason == "5.25 of 5 Wh are used in 24 hours by searches"
    assert answer.evidence["spent_wh"] == 5.25
    assert isinstance(due(rule, facts(truths=9000, spent_wh=4.9), NOW), Trigger)
    assert isinstance(due(policy(), facts(truths=9000, spent_wh=1e6), NOW), Trigger)
    first = facts(champion=None, truths=9000, truths_at_last_run=None, spent_wh=9.0)
    assert isinstance(due(rule, first, NOW), Trigger)


def test_due_schedule_without_fresh_labels_is_refused_and_used_up() -> None:
    nightly = policy(triggers={"schedule": "0 3 * * *", "new_labels": None, "drift": None})
    answer = due(nightly, facts(truths=1003, schedule_due_at=NOW), NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "min_fresh_labels"
    assert answer.uses_up_schedule


def test_drift_retrains_only_where_the_policy_says_so() -> None:
    moved = DriftFact(share=0.5, drifted=("dest", "temp"), at=NOW)
    noted = policy(triggers={"schedule": None, "new_labels": None, "drift": {"action": "annotate"}})
    acted = policy(triggers={"schedule": None, "new_labels": None, "drift": {"action": "retrain"}})
    assert isinstance(due(noted, facts(truths=1200, drift=moved), NOW), Refusal)
    answer = due(acted, facts(truths=1200, drift=moved), NOW)
    assert isinstance(answer, Trigger)
    assert "dest, temp" in answer.reason


def test_joint_drift_retrains_only_where_its_own_part_says_so() -> None:
    together = DriftFact(share=0.0, drifted=(), auc=0.71, joint=True, at=NOW)

    def answer(**drift: object) -> Trigger | Refusal:
        rules = policy(triggers={"schedule": None, "new_labels": None, "drift": drift})
        return due(rules, facts(truths=1200, drift=together), NOW)

    assert isinstance(answer(), Refusal)
    assert isinstance(answer(action="retrain"), Refusal)
    assert isinstance(answer(action="retrain", joint=None), Refusal)
    acted = answer(joint={"action": "retrain"})
    assert isinstance(acted, Trigger)
    assert "AUC of 0.710" in acted.reason
    assert acted.evidence["joint_drift"] is True


def test_share_alone_does_not_retrain_where_only_the_joint_part_may() -> None:
    moved = DriftFact(share=0.9, drifted=("dest",), auc=0.52, joint=False, at=NOW)
    rules = policy(triggers={"schedule": None, "new_labels": None, "drift": {"joint": {"action": "retrain"}}})
    assert isinstance(due(rules, facts(truths=1200, drift=moved), NOW), Refusal)


RISE = LossFact(before=0.081, after=0.214, rows=320, at=NOW)


def test_risen_loss_is_told_beside_decay_and_by_default_does_not_retrain() -> None:
    rules = policy(triggers={"schedule": None, "new_labels": None, "drift": None, "decay": {}})
    answer = due(rules, facts(truths=1200, loss=RISE), NOW)
    assert isinstance(answer, Refusal)
    assert "the mean loss rose from 0.081 to 0.214 over the newest 320 answers" in answer.reason
    assert answer.evidence["loss_after"] == 0.214


def test_risen_loss_retrains_where_the_policy_says_so() -> None:
    told = {"loss": {"action": "retrain"}}
    for decay in (told, {**told, "action": "annotate"}):
        rules = policy(triggers={"schedule": None, "new_labels": None, "drift": None, "decay": decay})
        answer = due(rules, facts(truths=1200, loss=RISE), NOW)
        assert isinstance(answer, Trigger)
        assert answer.kind == "decay"
        assert isinstance(due(rules, facts(truths=1200), NOW), Refusal)
    annotated = policy(triggers={"schedule": None, "new_labels": None, "drift": None, "decay": decay})
    assert isinstance(due(annotated, facts(truths=1200, decay=quality(0.5)), NOW), Refusal)


def test_combining_by_all_waits_for_every_trigger() -> None:
    both = policy(
        triggers={"schedule": "0 3 * * *", "new_labels": {"count": 500}, "drift": None, "decay": None},
        combine="all",
    )
    assert isinstance(due(both, facts(truths=1600), NOW), Refusal)
    assert isinstance(due(both, facts(truths=1600, schedule_due_at=NOW), NOW), Trigger)


def quality(sure_drop: float) -> QualityFact:
    return QualityFact(
        score=0.7, reference=0.75, drop=0.05, sure_drop=sure_drop, allowed=0.02, rows=2000, at=NOW
    )


def test_decay_retrains_only_when_the_drop_is_surely_more_than_allowed() -> None:
    decaying = policy(triggers={"schedule": None, "new_labels": None, "drift": None, "decay": {}})
    assert isinstance(due(decaying, facts(truths=1200, decay=quality(0.01)), NOW), Refusal)
    answer = due(decaying, facts(truths=1200, decay=quality(0.03)), NOW)
    assert isinstance(answer, Trigger)
    assert answer.kind == "decay"
    assert "0.02 is allowed" in answer.reason


def test_a_broken_contract_blocks_whatever_fired() -> None:
    answer = due(policy(), facts(truths=9000, decay=quality(0.5), broken="'temp' moved"), NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "data_contract"
    assert "'temp' moved" in answer.reason


def test_at_least_two_of_three_triggers() -> None:
    two = policy(
        triggers={"schedule": "0 3 * * *", "new_labels": {"count": 500}, "drift": None, "decay": {}},
        combine={"at_least": 2},
    )
    assert isinstance(due(two, facts(truths=1600), NOW), Refusal)
    assert isinstance(due(two, facts(truths=1600, decay=quality(0.03)), NOW), Trigger)


@given(
    before=st.integers(0, 5000),
    fresh=st.integers(0, 5000),
    more=st.integers(0, 5000),
    ended=st.integers(0, 7200),
    later=st.integers(0, 7200),
    share=st.floats(0, 1),
    drifted=st.floats(0, 1),
)
def test_more_labels_more_drift_or_a_later_time_never_undo_a_trigger(
    before: int, fresh: int, more: int, ended: int, later: int, share: float, drifted: float
) -> None:
    rules = policy(
        triggers={
            "schedule": None,
            "new_labels": {"count": 500},
            "drift": {"action": "retrain", "share": max(share, 0.01)},
        }
    )

    def at(count: int, moved: float, now: datetime) -> Trigger | Refusal:
        known = facts(
            truths=before + count,
            truths_at_last_run=before,
            last_run_ended_at=NOW - timedelta(seconds=ended),
            drift=DriftFact(share=moved, drifted=(), at=NOW),
        )
        return due(rules, known, now)

    if isinstance(at(fresh, drifted, NOW), Trigger):
        assert isinstance(
            at(fresh + more, min(1.0, drifted + share), NOW + timedelta(seconds=later)), Trigger
        )


def estimate(**parts: object) -> EstimateFact:
    known = {
        "metric": "roc_auc",
        "score": 0.85,
        "usual": 0.9,
        "loss": 0.05,
        "allowed": 0.02,
        "decayed": True,
        "rows": 800,
        "at": NOW,
    }
    return EstimateFact(**{**known, **parts})  # type: ignore[arg-type]


def by_answers(**triggers: object) -> Policy:
    return policy(triggers={"schedule": None, "new_labels": None, "drift": None, "decay": None, **triggers})


def test_an_estimate_only_annotates_unless_the_policy_says_more() -> None:
    answer = due(by_answers(), facts(truths=2000, estimate=estimate()), NOW)
    assert isinstance(answer, Refusal)
    assert answer.evidence["estimated_loss"] == 0.05
    says_more = by_answers(estimated_decay={"action": "retrain"})
    answer = due(says_more, facts(truths=2000, estimate=estimate()), NOW)
    assert isinstance(answer, Trigger)
    assert answer.kind == "estimated_decay"


def test_an_estimate_has_to_be_down_by_more_than_allowed_and_beyond_chance() -> None:
    says_more = by_answers(estimated_decay={"action": "retrain"})
    for fact in (estimate(loss=0.01), estimate(decayed=False), None):
        answer = due(says_more, facts(truths=2000, estimate=fact), NOW)
        assert isinstance(answer, Refusal)
        assert answer.guard == "nothing_fired"


def test_answers_that_moved_start_a_run_where_the_policy_says_so() -> None:
    moved = PredictionDriftFact(effect=0.4, threshold=0.12, rows=900, at=NOW)
    assert isinstance(due(by_answers(), facts(truths=2000, prediction_drift=moved), NOW), Refusal)
    says_more = by_answers(prediction_drift={"action": "retrain"})
    answer = due(says_more, facts(truths=2000, prediction_drift=moved), NOW)
    assert isinstance(answer, Trigger)
    assert "0.4" in answer.reason
    still = PredictionDriftFact(effect=0.1, threshold=0.12, rows=900, at=NOW)
    assert isinstance(due(says_more, facts(truths=2000, prediction_drift=still), NOW), Refusal)


def test_a_run_with_pseudo_labels_needs_twice_the_budget() -> None:
    tight = {"daily_budget_seconds": 200, "search": {"budget_seconds": 120}}
    assert isinstance(due(policy(**tight), facts(truths=1500), NOW), Trigger)
    answer = due(policy(**tight, pseudo_labels={"mode": "judged"}), facts(truths=1500), NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "daily_budget"
