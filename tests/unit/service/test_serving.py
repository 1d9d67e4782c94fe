from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.schema import check
from registry.records import Model, Project
from registry.store import Registry
from service.deployment import CannotDeploy, load
from service.serving import Serving


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def serving(registry: Registry) -> Serving:
    return Serving(registry, node="here", poll_seconds=0.1, clock=lambda: NOW)


def test_the_champion_is_loaded_and_answers_as_it_was_judged(registry: Registry) -> None:
    project = make_project(registry)
    make_model(registry, project)
    make_champion(registry, project, 1)
    serves = serving(registry)
    serves.refresh()
    deployment = serves.champions["fruit"]
    checked = check(raw_rows(5, seed=3), deployment.schema, deployment.task)
    scores = deployment.predict(checked.table)
    assert deployment.version == 1
    assert set(scores.values) <= {"no", "yes"}
    assert scores.probabilities is not None
    assert np.allclose(scores.scores, scores.probabilities[:, 1])


def test_a_new_champion_replaces_the_old_one_and_both_are_in_the_ledger(registry: Registry) -> None:
    project = make_project(registry)
    make_model(registry, project)
    make_model(registry, project, C=0.1)
    make_champion(registry, project, 1)
    serves = serving(registry)
    serves.refresh()
    before = serves.champions["fruit"]
    make_champion(registry, project, 2)
    serves.refresh()
    assert serves.champions["fruit"].version == 2
    assert before.version == 1
    told = [(entry.version, entry.status) for entry in registry.ledger.deployments(project.id)]
    assert told == [(2, "serving"), (1, "retired"), (1, "serving")]


def test_a_model_whose_answers_changed_leaves_the_old_one_serving_and_says_so(registry: Registry) -> None:
    project = make_project(registry)
    make_model(registry, project)
    make_model(registry, project, C=0.1, golden_shift=0.01)
    make_champion(registry, project, 1)
    serves = serving(registry)
    serves.refresh()
    make_champion(registry, project, 2)
    serves.refresh()
    serves.refresh()
    assert serves.champions["fruit"].version == 1
    newest = registry.ledger.deployments(project.id)[0]
    assert (newest.version, newest.status) == (2, "failed")
    assert "golden rows differ" in newest.reason
    failures = [event for event in registry.ledger.events() if event.type == "incumbent.deployment.failed"]
    assert len(failures) == 1
    assert failures[0].data["version"] == 2


def test_a_changed_blob_is_never_unpickled(registry: Registry, tmp_path: Path) -> None:
    project = make_project(registry)
    model = make_model(registry, project)
    path = tmp_path / "home" / "blobs" / model.blob.digest[:2] / model.blob.digest[2:]
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    path.write_bytes(evil)
    make_champion(registry, project, 1)
    serves = serving(registry)
    serves.refresh()
    assert "fruit" not in serves.champions
    assert not (tmp_path / "owned").exists()
    assert registry.ledger.deployments(project.id)[0].status == "failed"


def test_a_model_that_needs_another_library_is_refused_with_both_versions(registry: Registry) -> None:
    project = make_project(registry)
    model = make_model(registry, project)
    with pytest.raises(CannotDeploy, match=r"scikit-learn 0\.1\.0"):
        load(registry, project, _with_requirement(model, "scikit-learn", "0.1.0"))
    with pytest.raises(CannotDeploy, match="not installed"):
        load(registry, project, _with_requirement(model, "no-such-library", "1.0"))


def test_a_deleted_project_is_no_longer_served(registry: Registry) -> None:
    project = make_project(registry)
    make_model(registry, project)
    make_champion(registry, project, 1)
    serves = serving(registry)
    serves.refresh()
    registry.projects.delete("fruit", at=NOW)
    serves.refresh()
    assert serves.champions == {}


def _with_requirement(model: Model, name: str, version: str) -> Model:
    return replace(model, details={**model.details, "requirements": {name: version}})


def test_a_project_under_an_old_name_is_not_mistaken_for_the_new_one(registry: Registry) -> None:
    project = make_project(registry)
    make_model(registry, project)
    make_champion(registry, project, 1)
    serves = serving(registry)
    serves.refresh()
    registry.projects.delete("fruit", at=NOW)
    again: Project = make_project(registry)
    serves.refresh()
    assert again.id != project.id
    assert "fruit" not in serves.champions
