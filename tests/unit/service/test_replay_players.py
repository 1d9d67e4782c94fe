from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from automl.play_state import RunNote
from automl.replay_roles import Choice, Sight
from automl.task import Task, TaskKind
from automl.timeline import Look
from service.policy import Policy
from service.replay.plan import ReplayPlan
from service.replay.players import by_triggers, every, players

TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", time_column="day")
START = datetime(2025, 1, 1, tzinfo=UTC)


def nanos(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 10**9


def sight(at: datetime, *, matured: int = 1000, last: int = 1000, **more: Any) -> Sight:
    look = Look(number=0, at=nanos(at), arrived=matured, matured=matured, window=0, ends_window=False)
    seen = {"champion": 1, "runs": (), "decay": None, "shift": None}
    return Sight(look=look, matured_at_last_run=last, **{**seen, **more})


def run_at(at: datetime, seconds: float = 120) -> RunNote:
    return RunNote(at=nanos(at), look=0, window=0, row=0, trigger="t", reason="r", budget_seconds=seconds)


def days(count: int) -> Iterator[datetime]:
    for day in range(1, count + 1):
        yield START + timedelta(days=day)


def test_a_nightly_schedule_fires_once_a_day_on_the_streams_clock() -> None:
    policy = Policy.model_validate({"triggers": {"schedule": "0 3 * * *", "new_labels": None}})
    decide, memory = by_triggers(policy), {}
    fired = [decide(sight(at, matured=5000), memory) for at in days(4)]
    assert [choice.kind for choice in fired] == ["nothing_fired", "schedule", "schedule", "schedule"]


def test_a_schedule_without_news_is_used_up_and_says_why() -> None:
    policy = Policy.model_validate({"triggers": {"schedule": "0 3 * * 1", "new_labels": None}})
    decide, memory = by_triggers(policy), {}
    kinds = [decide(sight(at, matured=1010), memory).kind for at in days(9)]
    assert kinds.count("min_fresh_labels") == 1


def test_runs_of_the_last_day_use_up_the_daily_budget() -> None:
    policy = Policy.model_validate(
        {"triggers": {"schedule": None, "new_labels": {"count": 1}}, "daily_budget_seconds": 300}
    )
    decide = by_triggers(policy)
    at = START + timedelta(days=3)
    runs = [run_at(at - timedelta(hours=hours)) for hours in (60, 5, 3)]
    held = decide(sight(at, matured=5000, runs=runs), {})
    assert (held.start, held.kind) == (False, "daily_budget")
    assert decide(sight(at + timedelta(hours=20), matured=5000, runs=runs), {}).start


def test_decay_and_drift_start_a_run_only_where_the_policy_asks_for_it() -> None:
    decay = {
        "score": 0.6,
        "reference": 0.7,
        "drop": 0.1,
        "sure_drop": 0.05,
        "allowed": 0.02,
        "rows": 500,
        "at": nanos(START),
    }
    shift = {"share": 0.6, "drifted": ["x"], "columns": [], "at": nanos(START)}
    plan = ReplayPlan.model_validate({"policies": ["never", "decay", "drift", "own"]})
    found: dict[str, Choice] = {}
    own = Policy.model_validate({"triggers": {"schedule": None, "new_labels": None}})
    for player in players(plan, own, TASK):
        seen = sight(START, matured=2000, decay=decay, shift=shift)
        found[player.name] = player.decide(seen, {})
    assert {name: choice.kind for name, choice in found.items()} == {
        "never": "no_trigger",
        "decay": "decay",
        "drift": "drift",
        "own": "decay",
    }


def test_a_broken_contract_blocks_the_run_in_a_replay_too() -> None:
    shift = {
        "share": 0.9,
        "drifted": ["x"],
        "columns": [{"name": "x", "method": "wasserstein", "score": 900.0}],
        "at": nanos(START),
    }
    policy = Policy.model_validate({"triggers": {"drift": {"action": "retrain"}}})
    held = by_triggers(policy)(sight(START, matured=5000, shift=shift), {})
    assert held.kind == "data_contract"
    assert "'x'" in held.reason


def test_every_counts_windows() -> None:
    looks = [
        Look(number=n, at=n, arrived=n, matured=n, window=n // 2, ends_window=n % 2 == 1) for n in range(12)
    ]
    seen = [
        Sight(look=look, champion=1, matured_at_last_run=0, runs=(), decay=None, shift=None) for look in looks
    ]
    decide = every(3)
    assert [one.look.window for one in seen if decide(one, {}).start] == [2, 5]


def test_gates_of_the_machine_are_left_out_and_those_of_the_judge_kept() -> None:
    own = Policy.model_validate({"gates": {"min_effect": 0.01, "alpha": 0.1}, "lookback_window": "P1D"})
    (player,) = players(ReplayPlan.model_validate({"policies": ["own"]}), own, TASK)
    assert (player.rules.min_effect, player.rules.alpha) == (0.01, 0.1)
    assert (player.rules.max_latency_ms, player.lookback) == (None, 86_400 * 10**9)


@pytest.mark.parametrize(
    ("embargo", "delay", "days"), [("auto", "PT6H", 0.25), ("auto", "P9D", 1), ("P3D", "PT6H", 3)]
)
def test_the_embargo_is_the_policys_or_the_delay_of_the_labels(embargo: str, delay: str, days: float) -> None:
    plan = ReplayPlan.model_validate({"policies": ["own"], "delay": delay})
    own = Policy.model_validate({"holdout": {"embargo": embargo}})
    (player,) = players(plan, own, TASK)
    assert player.embargo == round(days * 86_400 * 10**9)
    assert (player.rules.blocks, player.slices) == ("auto", 20)


@pytest.mark.parametrize("name", ["every", "always"])
def test_only_always_goes_unjudged(name: str) -> None:
    (player,) = players(ReplayPlan.model_validate({"policies": [name]}), Policy(), TASK)
    assert player.judged is (name == "every")
    assert player.decay is None
