from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_hands import TASK, FakeHands

from automl.play_state import Play
from automl.replay import play
from automl.replay_report import report
from automl.replay_roles import Answers, Choice, DecayRule, Player, Sight, Stage
from automl.snapshot import HoldoutRule
from automl.timeline import timeline
from automl.verdict import Rules

RULES = Rules(metric="log_loss", min_effect=0.002, resamples=100)
HOLDOUT = HoldoutRule(min_rows=30, min_train=30)
WINDOW = 100


def weekly(sight: Sight, memory: dict[str, Any]) -> Choice:
    return Choice(start=sight.look.ends_window, kind="every", reason="a window is over")


def never(sight: Sight, memory: dict[str, Any]) -> Choice:
    return Choice(start=False, kind="never", reason="never")


def on_decay(sight: Sight, memory: dict[str, Any]) -> Choice:
    found = sight.decay
    fires = found is not None and found["sure_drop"] > found["allowed"]
    return Choice(start=fires, kind="decay", reason="worse")


def on_shift(sight: Sight, memory: dict[str, Any]) -> Choice:
    found = sight.shift
    return Choice(start=found is not None and found["share"] > 0.5, kind="drift", reason="moved")


def player(decide: Any, *, name: str = "p", judged: bool = True, **more: Any) -> Player:
    return Player(
        name=name, decide=decide, rules=RULES, holdout=HOLDOUT, judged=judged, budget_seconds=10, **more
    )


def stage_of(hands: FakeHands, *, warm_up: int = 2, times: npt.NDArray[np.int64] | None = None) -> Stage:
    at = np.arange(len(hands.regimes), dtype=np.int64) if times is None else times
    return Stage(task=TASK, times=at, looks=hands.looks, warm_up=warm_up, seed=0, hands=hands)


def answers_for(rows: int) -> Answers:
    return Answers(predicted=np.full((rows, 2), np.nan), version=np.zeros(rows, dtype=np.int32))


def flipped(rows: int, at: int, *, delay: int = 50, looks: int = 2) -> FakeHands:
    """A stream whose meaning turns round at row ``at``."""
    times = np.arange(rows, dtype=np.int64)
    regimes = (times >= at).astype(np.int64)
    return FakeHands(regimes, timeline(times, window=WINDOW, looks=looks, delay=delay))


def played(hands: FakeHands, who: Player, *, warm_up: int = 2) -> tuple[Play, Answers]:
    answers = answers_for(len(hands.regimes))
    hands.state = Play()
    return play(stage_of(hands, warm_up=warm_up), who, answers, hands.state, lambda state: None), answers


POLICIES = [
    player(weekly),
    player(weekly, judged=False),
    player(on_decay, decay=DecayRule(window=100, min_rows=50, alpha=0.01, max_drop=0.02)),
    player(on_shift, shift_window=60),
    player(weekly, lookback=150),
    player(weekly, refit=True),
    player(weekly, refit=True, embargo=40, embargo_gives_way=True, slices=5),
    player(weekly, embargo=15),
]


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 6), min_size=250, max_size=600),
    flip=st.floats(0, 1),
    delay=st.integers(0, 400),
    looks=st.integers(1, 5),
    which=st.integers(0, len(POLICIES) - 1),
)
def test_no_policy_sees_a_label_before_it_matured_or_trains_on_a_later_row(
    gaps: list[int], flip: float, delay: int, looks: int, which: int
) -> None:
    times = np.cumsum(np.array(gaps, dtype=np.int64))
    regimes = (np.arange(len(times)) >= flip * len(times)).astype(np.int64)
    hands = FakeHands(regimes, timeline(times, window=WINDOW, looks=looks, delay=delay))
    answers = answers_for(len(times))
    play(stage_of(hands, times=times), POLICIES[which], answers, hands.state, lambda state: None)
    for run in hands.state.promotions:
        mine = np.flatnonzero(answers.version == run.version)
        assert run.model is not None
        last_trained = int(run.model.split("-")[1])
        assert times[last_trained] + delay < run.at
        assert not len(mine) or (mine.min() >= run.row and mine.min() > last_trained)
    told = answers.version[answers.version > 0]
    assert np.all(np.diff(told) >= 0)


@given(
    gaps=st.lists(st.integers(0, 50), min_size=1, max_size=200),
    window=st.integers(10, 300),
    looks=st.integers(1, 10),
    delay=st.integers(0, 200),
)
def test_looks_cover_every_row_once_and_truth_never_overtakes_its_row(
    gaps: list[int], window: int, looks: int, delay: int
) -> None:
    times = np.cumsum(np.array(gaps, dtype=np.int64))
    found = timeline(times, window=window, looks=looks, delay=delay)
    arrived = [look.arrived for look in found]
    assert arrived == sorted(arrived)
    assert arrived[-1] == len(times)
    for look in found:
        assert look.matured <= look.arrived
        assert np.all(times[: look.matured] + delay < look.at)
        assert np.all(times[look.matured :] + delay >= look.at)
    assert found[-1].ends_window


def test_rows_out_of_order_and_endless_timelines_are_refused() -> None:
    with pytest.raises(ValueError, match="order"):
        timeline(np.array([2, 1]), window=10, looks=1, delay=0)
    with pytest.raises(ValueError, match="longer window"):
        timeline(np.array([0, 10**9]), window=10, looks=1, delay=0)


def test_nothing_is_learnt_in_the_warm_up_and_every_policy_starts_from_the_same_champion() -> None:
    hands = flipped(1000, 10_000)
    firsts = set()
    for who in POLICIES[:4]:
        state, answers = played(hands, who, warm_up=3)
        first = state.runs[0]
        assert (first.trigger, first.window, first.row) == ("first_champion", 2, 300)
        assert not answers.version[:300].any()
        assert (answers.version[300:400] == 1).all()
        firsts.add(first.model)
    assert len(firsts) == 1


def test_decay_retrains_after_the_meaning_turned_round_and_a_calm_stream_does_not() -> None:
    rule = DecayRule(window=100, min_rows=50, alpha=0.01, max_drop=0.1)
    calm, _ = played(flipped(2000, 10_000), player(on_decay, decay=rule))
    assert len(calm.runs) == 1
    turned, answers = played(flipped(2000, 1000), player(on_decay, decay=rule))
    assert len(turned.promotions) >= 2
    assert turned.promotions[1].at < 1500
    assert answers.version[-1] == turned.promotions[-1].version


def test_drift_is_looked_at_in_full_windows_of_rows_since_the_promotion() -> None:
    hands = flipped(1200, 600)
    state, _ = played(hands, player(on_shift, shift_window=80))
    assert {len(rows) for rows in hands.shifts} == {80}
    assert all(rows.min() >= state.promotions[0].row for rows in hands.shifts)
    assert any(run.trigger == "drift" for run in state.runs)


def test_a_run_answers_the_evidence_that_started_it() -> None:
    state, _ = played(flipped(1200, 600), player(on_shift, shift_window=80))
    looks = [run.look for run in state.runs if run.trigger == "drift"]
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(looks))


def test_a_judged_policy_keeps_its_champion_where_nothing_changed() -> None:
    state, _ = played(flipped(3000, 10_000), player(weekly))
    assert len(state.runs) > 20
    assert len(state.promotions) == 1
    always, _ = played(flipped(3000, 10_000), player(weekly, judged=False))
    assert len(always.promotions) == len(always.runs)


def test_each_look_at_the_judge_spends_less_alpha_until_a_promotion() -> None:
    state, _ = played(flipped(1000, 10_000), player(weekly))
    assert state.judged == len(state.runs) - 1


def test_the_lookback_forgets_older_rows() -> None:
    hands = flipped(1000, 10_000)
    played(hands, player(weekly, lookback=200))
    assert all(len(rows) <= 201 for rows in hands.trained)
    assert max(rows.min() for rows in hands.trained) > 500


def test_a_refitted_champion_knows_every_matured_row_and_is_judged_on_rows_it_never_saw() -> None:
    hands = flipped(1500, 700)
    state, _ = played(hands, player(weekly, refit=True))
    assert len(state.promotions) >= 2
    for run in state.promotions:
        assert run.model is not None
        assert int(run.model.split("-")[1]) == run.row - 51  # all but the last 50 have their truth
    first, second = state.runs[:2]
    assert second.holdout_rows <= second.row - first.row


def test_an_embargo_parts_what_is_trained_on_from_what_judges() -> None:
    hands = flipped(1500, 10_000)
    with_gap, _ = played(hands, player(weekly, embargo=60))
    trained = [rows.max() for rows in hands.trained]
    for run, last in zip(with_gap.runs, trained, strict=True):
        first_judged = run.row - 50 - run.holdout_rows
        assert first_judged - last > 60


def test_too_few_rows_are_a_failed_run_with_the_reason() -> None:
    times = np.arange(0, 4000, 40, dtype=np.int64)
    hands = FakeHands(np.zeros(100, dtype=np.int64), timeline(times, window=400, looks=1, delay=0))
    answers = answers_for(100)
    state = play(stage_of(hands, times=times), player(weekly), answers, hands.state, lambda state: None)
    assert state.runs[0].outcome == "failed"
    assert "needed" in state.runs[0].why


@pytest.mark.parametrize("stop", [1, 3, 8, 14])
def test_going_on_from_a_kept_state_gives_what_an_uninterrupted_play_gives(stop: int) -> None:
    rule = DecayRule(window=100, min_rows=50, alpha=0.01, max_drop=0.02)
    who = player(on_decay, decay=rule, shift_window=80)
    whole, answers = played(flipped(1500, 700), who)

    class Killed(Exception):
        pass

    kept: list[str] = []

    def keep(state: Play) -> None:
        kept.append(json.dumps(state.to_json()))
        if len(kept) == stop:
            raise Killed

    hands = flipped(1500, 700)
    half = answers_for(1500)
    with pytest.raises(Killed):
        play(stage_of(hands), who, half, hands.state, keep)
    half.version[hands.state.look * 50 :] = (
        99  # what was written after the last kept state counts for nothing
    )
    hands.state = Play.from_json(json.loads(kept[-1]))
    again = play(stage_of(hands), who, half, hands.state, lambda state: None)
    assert again.to_json() == whole.to_json()
    np.testing.assert_array_equal(half.version, answers.version)
    np.testing.assert_array_equal(half.predicted, answers.predicted)


def reported(hands: FakeHands, players: list[Player], **more: Any) -> dict[str, Any]:
    plays = {who.name: (who, *played(hands, who)) for who in players}
    hands.looking_back = True
    return report(stage_of(hands), plays, **{"later_windows": 2, "baselines": ("never",), **more})


def test_the_report_compares_on_rows_that_all_answered_and_prices_each_policy() -> None:
    found = reported(flipped(2000, 1000), [player(never, name="never"), player(weekly, name="weekly")])
    still, weeks = found["policies"]
    assert found["compared_rows"] == 1800
    assert still["runs"] == 1
    assert weeks["runs"] == 19
    assert weeks["search_seconds"] > still["search_seconds"]
    assert weeks["budget_seconds"] == 190
    assert weeks["estimated_energy_joules"] == pytest.approx(10 * weeks["search_seconds"], abs=0.1)
    assert weeks["score"] < still["score"]  # log loss
    paired = weeks["against"]["never"]
    assert paired["gain"] > 0
    assert paired["lower"] > 0
    assert paired["won"] > paired["lost"]
    assert still["window_scores"][:2] == [None, None]
    json.dumps(found, allow_nan=False)


def test_hindsight_names_a_promotion_that_later_rows_show_to_be_worse() -> None:
    hands = flipped(1200, 10_000)
    hands.regimes[500:590] = 1  # a short madness, over before a model of it takes its place
    hands.y = np.where(hands.regimes == 1, 1 - hands.y, hands.y)
    found = reported(hands, [player(weekly, name="always", judged=False)])
    (always,) = found["policies"]
    assert always["promotions"][0]["later"] is None
    worse = [entry for entry in always["promotions"] if entry["later"] and entry["later"]["surely_worse"]]
    assert [entry["window"] for entry in worse] == [5]
    assert always["surely_false_promotions"] == 1
    assert always["false_promotions"] >= 1


def test_judging_rejects_what_the_unjudged_policy_promotes_in_error() -> None:
    hands = flipped(1200, 10_000)
    hands.regimes[500:590] = 1
    hands.y = np.where(hands.regimes == 1, 1 - hands.y, hands.y)
    found = reported(hands, [player(weekly, name="judged")])
    assert found["policies"][0]["surely_false_promotions"] == 0
