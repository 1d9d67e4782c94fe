from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from service.policy import Policy
from service.schedule import next_due
from service.trust_energy import EnergyCost


def test_the_defaults_are_a_whole_policy_and_survive_json() -> None:
    assert Policy.model_validate_json(Policy().model_dump_json()) == Policy()


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"cooldwon": "PT1H"}, "cooldwon"),
        ({"triggers": {"schedule": "every night"}}, "schedule"),
        ({"triggers": {"schedule": "61 3 * * *"}}, "schedule"),
        ({"search": {"engines": {"autosklearn": 1}}}, "engines"),
        ({"search": {"engines": {"flaml": 0}}}, "engines"),
        ({"search": {"budget_seconds": 0}}, "budget_seconds"),
        ({"triggers": {"drift": {"q": 0}}}, "q"),
        ({"triggers": {"drift": {"joint": {"auc": 0.4}}}}, "auc"),
        ({"triggers": {"decay": {"loss": {"delta": 1}}}}, "delta"),
        ({"gates": {"alpha": 0.7}}, "alpha"),
        ({"gates": {"resamples": 100}}, "resamples"),
        ({"holdout": {"share": 0.9}}, "share"),
        ({"cooldown": "an hour"}, "cooldown"),
    ],
)
def test_an_impossible_part_is_refused_by_name(part: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate(part)
    assert any(field in map(str, error["loc"]) for error in refused.value.errors())


def test_an_engine_that_was_uninstalled_leaves_a_stored_policy_readable() -> None:
    kept = {"search": {"engines": {"portfolio": 0.5, "acme": 0.5}}}
    assert Policy.stored(kept).search.engines == {"portfolio": 0.5, "acme": 0.5}
    with pytest.raises(ValidationError, match="unknown engine 'acme'; choose from autogluon, flaml"):
        Policy.model_validate(kept)


def test_drift_and_risen_loss_are_only_noted_unless_the_policy_says_more() -> None:
    triggers = Policy().triggers
    assert triggers.drift is not None
    assert not triggers.drift.retrains
    assert triggers.decay is not None
    assert triggers.decay.loss is not None
    assert triggers.decay.loss.action == "annotate"


def test_the_next_due_time_is_strictly_later() -> None:
    at = datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert next_due("0 3 * * *", at) == datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert next_due("*/5 * * * *", at) == datetime(2026, 1, 1, 3, 5, tzinfo=UTC)


def test_pseudo_labels_are_off_unless_asked_for_and_winners_are_refitted_unless_told_not_to() -> None:
    policy = Policy()
    assert (policy.pseudo_labels.mode, policy.refit) == ("off", True)
    assert policy.run_seconds == policy.search.budget_seconds
    asked = Policy.model_validate({"pseudo_labels": {"mode": "judged", "lifetime": "P7D"}})
    assert asked.run_seconds == 2 * asked.search.budget_seconds
    assert asked.pseudo_labels.lifetime.days == 7


def test_a_floor_above_the_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="floor"):
        Policy.model_validate({"pseudo_labels": {"threshold": 0.7, "floor": 0.8}})


def test_a_hard_gate_of_energy_needs_its_limit() -> None:
    with pytest.raises(ValidationError, match="max_wh_per_1000"):
        EnergyCost(mode="hard")
    assert EnergyCost(mode="hard", max_wh_per_1000=0.1).max_wh_per_1000 == 0.1
