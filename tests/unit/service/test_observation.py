from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.schema import check
from registry.records import BatchKind
from registry.store import Registry
from service.deployment import Deployment, load
from service.observation import Observation


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def deployment(registry: Registry) -> Deployment:
    project = make_project(registry)
    model = make_model(registry, project)
    make_champion(registry, project, 1)
    return load(registry, registry.projects.get("fruit"), model)


def observation(registry: Registry) -> Observation:
    return Observation(registry, registry.home, flush_seconds=60, clock=lambda: NOW)


def log(log_: Observation, deployment: Deployment, ids: list[str], seed: int = 5) -> None:
    checked = check(raw_rows(len(ids), seed), deployment.schema, deployment.task)
    log_.log(deployment, checked.table, ids, deployment.predict(checked.table))


def test_flushed_answers_are_rows_and_predictions_of_one_batch(
    registry: Registry, deployment: Deployment
) -> None:
    log_ = observation(registry)
    log(log_, deployment, ["a", "b"])
    log(log_, deployment, ["c"])
    log_.flush()
    facts = registry.datasets.facts(deployment.project_id)
    assert (facts.rows, facts.predictions) == (123, 3)
    newest = registry.datasets.batches(deployment.project_id)[0]
    assert newest.kind is BatchKind.PREDICTIONS
    scored = registry.datasets.scored(deployment.project_id, labelled=False)
    assert set(scored["_row_id"].to_pylist()) == {"a", "b", "c"}
    assert set(scored["model_version"].to_pylist()) == {1}


def test_what_a_dead_process_logged_is_found_by_the_next_one(
    registry: Registry, deployment: Deployment
) -> None:
    dead = observation(registry)
    log(dead, deployment, ["a"])
    dead._journal.close()
    heir = observation(registry)
    heir.flush()
    assert registry.datasets.known(deployment.project_id, ["a"]) == {"a"}


def test_a_crash_between_commit_and_removal_stores_nothing_twice(
    registry: Registry, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_ = observation(registry)
    log(log_, deployment, ["a"])
    monkeypatch.setattr(log_._journal, "drop", lambda number: None)
    log_.flush()
    log_.flush()
    assert registry.datasets.facts(deployment.project_id).predictions == 1


def test_a_row_predicted_twice_is_one_row_with_two_predictions(
    registry: Registry, deployment: Deployment
) -> None:
    log_ = observation(registry)
    log(log_, deployment, ["a"])
    log(log_, deployment, ["a"])
    log_.flush()
    log(log_, deployment, ["a", "row-3"])
    log_.flush()
    facts = registry.datasets.facts(deployment.project_id)
    assert (facts.rows, facts.predictions) == (121, 4)


def test_answers_for_a_deleted_project_are_dropped(registry: Registry, deployment: Deployment) -> None:
    log_ = observation(registry)
    log(log_, deployment, ["a"])
    registry.projects.delete("fruit", at=NOW)
    log_.flush()
    assert log_._journal.sealed() == []


def test_logged_values_come_back_as_they_were_sent(registry: Registry, deployment: Deployment) -> None:
    log_ = observation(registry)
    checked = check(raw_rows(4, 9), deployment.schema, deployment.task)
    log(log_, deployment, list("wxyz"), seed=9)
    log_.flush()
    stored = registry.datasets.recent(deployment.project_id, 4, source="prediction")
    got = stored.sort_by("_row_id").select(checked.table.column_names)
    assert got.to_pylist() == checked.table.to_pylist()


def test_a_row_that_can_never_be_stored_is_set_aside_and_does_not_hold_up_the_rest(
    registry: Registry, deployment: Deployment
) -> None:
    log_ = observation(registry)
    log(log_, deployment, ["x" * 300])
    log_.flush()
    log(log_, deployment, ["fine"])
    log_.flush()
    assert registry.datasets.known(deployment.project_id, ["fine"]) == {"fine"}
    assert len(list((registry.home / "journal").rglob("*.unusable"))) == 1
    assert list(registry.home.joinpath("staging").glob("*-*")) == []
