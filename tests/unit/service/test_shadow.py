"""Shadow scoring leaves answers alone, whatever the model in the shadow does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from registry.records import BatchKind, Project
from registry.store import Registry
from service.deployment import Deployment, load
from service.metrics import Metrics
from service.prediction import Predictor
from service.shadow import Shadow
from service.understudies import Understudy


class Crashing:
    def predict_proba(self, rows: Any) -> Any:
        raise RuntimeError("no")


class Sleeping:
    def __init__(self) -> None:
        self.began = threading.Event()
        self.woke = threading.Event()

    def predict_proba(self, rows: Any) -> Any:
        self.began.set()
        time.sleep(60)
        self.woke.set()


class House:
    """A project with a champion (version 2), its predecessor in the shadow, and a predictor."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.project: Project = make_project(registry)
        models = [make_model(registry, self.project), make_model(registry, self.project, C=0.01)]
        make_champion(registry, self.project, 2)
        self.project = registry.projects.get("fruit")
        old, self.champion = (load(registry, self.project, model) for model in models)
        self.shadows: Mapping[str, Understudy] = {
            "fruit": Understudy(deployment=old, probation=1, champion=2)
        }
        self.metrics = Metrics()
        self.shadow = self.shadowing()
        self.logged = 0

    def shadowing(self, **changed: Any) -> Shadow:
        return Shadow(
            self.registry,
            lambda: self.shadows,
            clock=lambda: NOW,
            metrics=self.metrics,
            **{"flush_seconds": 0.1, "queue_rows": 1_000, **changed},
        )

    def put_in_shadow(self, pipeline: Any) -> None:
        mine = self.shadows["fruit"]
        self.shadows = {"fruit": replace(mine, deployment=replace(mine.deployment, pipeline=pipeline))}

    def predict(self, count: int = 3, *, seed: int = 1, champion: Deployment | None = None) -> list[Any]:
        predictor = Predictor(lambda: champion or self.champion, self._log, self.shadow)
        rows = raw_rows(count, seed).drop_columns(["ripe"]).to_pylist()
        return list(predictor([rows]))

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"project": "fruit"}) or 0.0

    def _log(self, *_: Any) -> None:
        self.logged += 1


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    registry = open_registry(tmp_path)
    yield House(registry)
    registry.close()


def test_both_answers_to_a_row_are_stored_beside_each_other(house: House) -> None:
    [answer] = house.predict(5)
    house.shadow.work_off()
    house.shadow.flush()
    stored = house.registry.datasets.shadowed(house.project.id, 1, 100)
    assert stored["_row_id"].to_pylist() == list(answer.ids)
    assert set(stored["champion_version"].to_pylist()) == {2}
    assert set(stored["model_version"].to_pylist()) == {1}
    assert stored["champion_probabilities"].to_pylist() == answer.probabilities
    assert stored["probabilities"].to_pylist() != answer.probabilities
    newest = house.registry.datasets.batches(house.project.id)[0]
    assert (newest.kind, newest.rows) == (BatchKind.SHADOW, 0)
    assert house.counted("incumbent_shadow_scored_total") == 5


def test_only_rows_that_this_champion_answered_are_scored(house: House) -> None:
    house.predict(champion=replace(house.champion, version=7))
    assert house.shadow.queued == 0
    house.shadows = {}
    house.predict()
    assert house.shadow.queued == 0


def test_calls_are_scored_together_and_rows_of_an_ended_probation_are_not(house: House) -> None:
    for seed in range(20):
        house.predict(2, seed=seed)
    assert house.shadow.queued == 40
    while house.shadow.queued:
        house.shadow.work_off()
    house.shadow.flush()
    assert house.registry.datasets.shadowed(house.project.id, 1, 100).num_rows == 40
    assert len(house.registry.datasets.batches(house.project.id)) == 2
    house.predict()
    house.shadows = {"fruit": replace(house.shadows["fruit"], probation=2)}
    house.shadow.work_off()
    house.shadow.flush()
    assert house.registry.datasets.shadowed(house.project.id, 2, 100).num_rows == 0


def test_a_full_queue_drops_rows_and_counts_them(house: House) -> None:
    house.shadow = house.shadowing(queue_rows=10)
    for _ in range(4):
        house.predict(4)
    assert house.shadow.queued == 8
    assert house.counted("incumbent_shadow_dropped_total") == 8
    assert house.logged == 4


def test_a_shadow_that_raises_costs_nothing_but_its_own_answers(house: House) -> None:
    good = house.predict(5)
    house.shadow.work_off()
    house.put_in_shadow(Crashing())
    again = house.predict(5)
    house.shadow.work_off()
    house.shadow.flush()
    assert again[0].values == good[0].values
    assert house.counted("incumbent_shadow_failed_total") == 5
    assert house.registry.datasets.shadowed(house.project.id, 1, 100).num_rows == 5


def test_a_shadow_that_sleeps_keeps_no_answer_waiting(house: House) -> None:
    sleeper = Sleeping()
    [alone] = house.predict()
    house.put_in_shadow(sleeper)
    house.shadow.start()
    house.predict()
    assert sleeper.began.wait(20)
    for _ in range(100):
        [beside] = house.predict()
        assert beside.values == alone.values
    house.shadow.stop()
    assert not sleeper.woke.is_set()


def test_the_thread_stores_by_itself_and_stops_with_everything_stored(house: House) -> None:
    house.shadow.start()
    house.predict(6)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if house.registry.datasets.shadowed(house.project.id, 1, 100).num_rows == 6:
            break
        time.sleep(0.05)
    house.predict(6, seed=2)
    house.shadow.stop()
    assert house.registry.datasets.shadowed(house.project.id, 1, 100).num_rows == 12


def test_rows_that_cannot_be_stored_are_kept_for_the_next_time(house: House, tmp_path: Path) -> None:
    house.predict(3)
    house.shadow.work_off()
    staging = house.registry.home / "staging"
    staging.rename(tmp_path / "away")
    staging.write_text("in the way")
    house.shadow.flush()
    staging.unlink()
    (tmp_path / "away").rename(staging)
    house.shadow.flush()
    assert house.registry.datasets.shadowed(house.project.id, 1, 100).num_rows == 3


def test_only_failures_of_the_model_are_held_against_it(house: House) -> None:
    house.predict()
    predictor = Predictor(lambda: house.champion, house._log, house.shadow)
    predictor([[{"size": "not a number", "colour": "red"}]])
    broken = replace(house.champion, pipeline=Crashing())
    house.predict(champion=broken)

    def full(*_: Any) -> None:
        raise OSError("the disk is full")

    rows = raw_rows(2, 1).drop_columns(["ripe"]).to_pylist()
    Predictor(lambda: house.champion, full, house.shadow)([rows, rows])
    seen = house.shadow.conduct(house.project.id, 2)
    assert (seen.calls, seen.failed) == (5, 1)


def test_the_pace_of_both_models_is_that_of_the_same_rows(house: House) -> None:
    house.shadow = house.shadowing(timed_every=0.0)
    assert house.shadow.pace(house.project.id, 1) is None
    for seed in range(5):
        house.predict(1, seed=seed)
        house.shadow.work_off()
    pace = house.shadow.pace(house.project.id, 1)
    assert pace is not None
    assert pace.calls == 5
    assert 0 < pace.champion < 1
    assert 0 < pace.shadow < 1
