"""A champion on probation: real models, real tables, a clock of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probation_house import House
from small_house import NOW, open_registry

from automl.live_losses import LiveLoss
from registry.probations import ProbationMode, ProbationStatus
from registry.records import NewModel, Project, PromotionKind, RunStatus
from registry.store import Registry
from service.probation_view import standing
from service.serving import Serving


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def test_a_promotion_opens_a_probation_and_a_first_champion_has_none(registry: Registry) -> None:
    house = House(registry)
    house.tick()
    assert registry.probations.list(house.project.id) == ()
    house.promote(2)
    probation = house.probation
    assert (probation.status, probation.mode) == (ProbationStatus.OPEN, ProbationMode.PREVIOUS)
    assert (probation.champion, probation.other) == (2, 1)
    assert probation.ends_at == registry.ledger.promotions(house.project.id)[0].at + timedelta(days=7)
    assert house.serving.shadows["fruit"].deployment.version == 1
    assert "incumbent.probation.began" in house.events()


def test_a_bad_champion_is_rolled_back_by_its_losses_and_the_ledger_says_why(registry: Registry) -> None:
    house = House(registry)
    house.bad = {2}
    house.promote(2)
    for _ in range(6):
        house.live(40)
        house.tick()
    assert house.probation.status is ProbationStatus.ROLLED_BACK
    assert house.project.champion == 1
    entry = registry.ledger.promotions(house.project.id)[0]
    assert (entry.kind, entry.actor) == (PromotionKind.ROLLBACK, "probation")
    assert "version 2's loss (roc_auc) is" in entry.reason
    assert entry.reason == house.probation.reason
    assert house.events()[-2:] == ["incumbent.champion.changed", "incumbent.probation.ended"]
    house.serving.refresh()
    assert house.serving.champions["fruit"].version == 1
    assert house.serving.shadows == {}
    house.tick()
    assert len(registry.probations.list(house.project.id)) == 1  # a rollback begins none


def test_a_champion_that_is_better_is_confirmed(registry: Registry) -> None:
    house = House(registry)
    house.bad = {1}
    house.promote(2)
    for _ in range(6):
        house.live(40)
        house.tick()
    assert house.probation.status is ProbationStatus.CONFIRMED
    assert house.project.champion == 2
    assert house.probation.reason.startswith("Confirmed: over ")


def test_a_champion_like_the_old_one_stays_open_until_the_watch_is_over(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.live(100)
    house.tick()
    shown = standing(house.probation)
    assert shown["status"] == "open"
    assert shown["lower"] <= shown["loss_difference"] <= shown["upper"]
    assert shown["rows"] + shown["reference_rows"] == 100
    house.now += timedelta(days=7)
    house.tick()
    assert house.probation.status is ProbationStatus.CONFIRMED
    assert "the watch is over" in house.probation.reason


def test_without_any_truth_the_end_of_the_watch_says_so(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.now += timedelta(days=7)
    house.tick()
    assert house.probation.status is ProbationStatus.CONFIRMED
    assert "no row with its truth counts yet" in house.probation.reason


def test_annotate_leaves_the_champion_and_says_what_it_saw(registry: Registry) -> None:
    house = House(registry, probation={"min_rows": 50, "action": "annotate", "max_shift": None})
    house.bad = {2}
    house.promote(2)
    for _ in range(6):
        house.live(40)
        house.tick()
    assert house.probation.status is ProbationStatus.ANNOTATED
    assert house.project.champion == 2
    assert house.events()[-1] == "incumbent.probation.ended"


def test_each_row_counts_once_whatever_comes_again_and_in_whatever_order(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    first = house.live(60, truth=False)
    house.live(60)
    house.tick()
    assert standing(house.probation)["rows"] + standing(house.probation)["reference_rows"] == 60
    house.now += timedelta(seconds=1)
    house.tell(first, ["yes"] * 30 + ["no"] * 30)
    house.tell(first, ["no"] * 60)  # corrected: counts as that, and still once
    house.tick()
    house.tick()
    shown = standing(house.probation)
    assert shown["rows"] + shown["reference_rows"] == 120


def test_rows_whose_truth_was_known_before_do_not_count(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    probation = house.probation.number
    ids = house.live(5, truth=False)
    house.now -= timedelta(minutes=5)
    house.tell(ids, ["yes"] * 5)
    pairs = registry.datasets.paired(house.project.id, probation, began=0, after=0)
    assert pairs.table.num_rows == 0


def test_another_process_goes_on_from_the_stored_state(registry: Registry) -> None:
    whole, parts = [], []
    house = House(registry)
    house.promote(2)
    for _ in range(3):
        house.live(40)
        house.tick()
        house.watch = house.watching("another")
        parts.append(standing(house.probation)["rows"])
    pairs = registry.datasets.paired(house.project.id, house.probation.number, began=0, after=0)
    whole.append(pairs.table.num_rows)
    reference = standing(house.probation)["reference_rows"]
    assert parts[-1] + reference == whole[0] == 120
    assert parts == sorted(parts)


def test_the_last_truths_are_seen_though_a_process_died_while_it_looked(registry: Registry) -> None:
    house = House(registry)
    house.bad = {2}
    house.promote(2)
    for _ in range(6):
        house.live(40)
    held = registry.leases.acquire(
        f"probation:{house.project.id}", "who was killed", seconds=60, at=house.now
    )
    assert held is not None
    for _ in range(3):
        house.now += timedelta(seconds=15)
        house.look()
    assert house.probation.status is ProbationStatus.OPEN
    house.now += timedelta(seconds=30)  # the lease is over; nothing new has come
    house.look()
    assert house.probation.status is ProbationStatus.ROLLED_BACK


def test_a_person_who_changes_the_champion_ends_the_probation(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.promote(1, PromotionKind.ROLLBACK)
    assert house.probation.status is ProbationStatus.EXPIRED
    assert "a test" in house.probation.reason
    assert registry.probations.current(house.project.id) is None


def test_no_probation_where_the_policy_wants_none(registry: Registry) -> None:
    house = House(registry, probation=None)
    house.promote(2)
    assert registry.probations.list(house.project.id) == ()
    assert house.serving.shadows == {}


def test_failing_calls_depose_a_champion_before_any_truth(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.tick()
    champion = house.serving.champions["fruit"]
    house.look()
    house.shadow.outcome(champion, 40, 10)
    house.now += timedelta(seconds=2)
    house.look()
    assert house.project.champion == 1
    assert "fails 25.0% of 40 prediction calls" in house.probation.reason


def test_answers_that_moved_away_depose_a_champion_before_any_truth(registry: Registry) -> None:
    house = House(registry, probation={"min_rows": 50, "max_shift": 0.3})
    house.promote(2)
    understudy = house.serving.shadows["fruit"]

    class Constant:
        def predict_proba(self, rows: Any) -> Any:
            return np.tile([0.99, 0.01], (len(rows), 1))

    strange = replace(understudy, deployment=replace(understudy.deployment, pipeline=Constant()))
    house.serving._understudies._loaded = {"fruit": strange}
    house.live(80, truth=False)
    house.tick()
    assert house.project.champion == 1
    assert "distributed otherwise" in house.probation.reason


def test_what_the_judge_left_is_the_reference(registry: Registry) -> None:
    house = House(registry)
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 300)
    p = np.clip(y * 0.4 + random.uniform(0, 0.6, 300), 0, 1)
    judged = np.column_stack([1 - p, p])
    loss = LiveLoss.fit("roc_auc", y, new=judged, old=judged[::-1])
    rivalry = {"against": 1, "loss": loss.to_json(), "shift": 0.2}
    _register_judged(registry, house.project, rivalry)
    house.promote(3, PromotionKind.PROMOTION)
    assert house.probation.rule["judged_shift"] == 0.2
    house.live(10)
    house.tick()
    shown = standing(house.probation)
    assert (shown["rows"], shown["reference_rows"]) == (10, 0)


CHALLENGER = {"shadow": {"mode": "challenger"}}


def test_an_untested_challenger_that_proves_better_is_promoted_out_of_the_shadow(registry: Registry) -> None:
    house = House(registry, **CHALLENGER)
    house.bad = {1}
    house.serving.refresh()
    _inconclusive_run(registry, house)
    house.tick()
    house.serving.refresh()
    assert (house.probation.mode, house.probation.other) == (ProbationMode.CHALLENGER, 3)
    assert house.probation.rule["alpha"] == pytest.approx(0.01 * 6 / np.pi**2)
    for _ in range(6):
        house.live(40)
        house.tick()
    probation = registry.probations.get(house.project.id, 1)
    assert probation.status is ProbationStatus.PROMOTED
    entry = registry.ledger.promotions(house.project.id)[0]
    assert (entry.kind, entry.actor, entry.to_version) == (PromotionKind.PROMOTION, "shadow", 3)
    house.tick()
    assert house.probation.mode is ProbationMode.PREVIOUS  # and is on probation itself


def test_a_challenger_that_is_no_better_leaves_the_shadow_and_is_not_tried_again(registry: Registry) -> None:
    house = House(registry, **CHALLENGER)
    house.bad = {3}
    house.serving.refresh()
    _inconclusive_run(registry, house)
    house.tick()
    house.serving.refresh()
    for _ in range(6):
        house.live(40)
        house.tick()
    assert house.probation.status is ProbationStatus.EXPIRED
    assert house.project.champion == 1
    assert len(registry.probations.list(house.project.id)) == 1


def test_by_default_a_challenger_is_not_put_in_shadow(registry: Registry) -> None:
    house = House(registry)
    _inconclusive_run(registry, house)
    house.tick()
    assert registry.probations.list(house.project.id) == ()


def test_where_a_person_promotes_a_proven_challenger_waits_for_approval(registry: Registry) -> None:
    house = House(registry, promote_mode="manual", **CHALLENGER)
    house.bad = {1}
    house.serving.refresh()
    _inconclusive_run(registry, house)
    house.tick()
    house.serving.refresh()
    for _ in range(6):
        house.live(40)
        house.tick()
    assert house.probation.status is ProbationStatus.ANNOTATED
    assert house.probation.reason.startswith("Awaiting approval")
    assert house.project.champion == 1
    (asked,) = registry.approvals.open(house.project.id)
    assert (asked.probation, asked.champion, asked.version) == (
        house.probation.number,
        1,
        house.probation.other,
    )
    assert (asked.run, asked.reason) == (
        registry.models.get(house.project.id, asked.version).run,
        house.probation.reason,
    )


def test_a_shadow_beyond_the_limit_of_the_process_is_left_out_and_named(registry: Registry) -> None:
    house = House(registry)
    house.serving = Serving(registry, node="here", poll_seconds=0.1, clock=house.clock, most_shadows=0)
    house.promote(2)
    assert house.serving.shadows == {}
    assert "at most 0 models" in house.serving.shadow_faults["fruit"]


def _new_model(registry: Registry, project: Project, **changed: Any) -> NewModel:
    """What version 1 is, once more."""
    model = registry.models.get(project.id, 1)
    return NewModel(
        blob=model.blob,
        engine=model.engine,
        estimator=model.estimator,
        config=model.config,
        dataset_version=1,
        details={**model.details, "judged_against": 1},
        attachments={**model.attachments, **changed},
    )


def _register_judged(registry: Registry, project: Project, rivalry: dict[str, Any]) -> None:
    blob = registry.blobs.put(json.dumps(rivalry).encode(), at=NOW)
    registry.models.register(project.id, _new_model(registry, project, rivalry=blob), at=NOW)


def _inconclusive_run(registry: Registry, house: House) -> None:
    project = house.project
    run = registry.runs.enqueue(
        project.id, trigger={}, reason="a test", plan={"truths": 0}, dataset_version=1, seed=0, at=NOW
    )
    claimed = registry.runs.claim("here", lease_seconds=30, at=NOW)
    assert claimed is not None
    registry.runs.conclude(
        run.id,
        claimed.fence,
        status=RunStatus.COMPLETED,
        verdict={"outcome": "inconclusive"},
        model=_new_model(registry, project),
        at=NOW,
    )
