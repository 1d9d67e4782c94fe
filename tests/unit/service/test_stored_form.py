"""A model that was registered with its compiled form is served by it; its pipeline stays in the store until it is asked."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.compiled import Compiled, packing
from automl.compiled.compiling import compile_pipeline
from automl.compiled.packing import pack
from automl.schema import Schema, check
from automl.task import Task
from registry.errors import Tampered
from registry.records import Model, Project
from registry.store import Registry
from service import shelf as shelving
from service.deployment import CannotDeploy, load
from service.serving import Serving
from service.shelf import Shelf
from service.stored_pipeline import StoredPipeline

FOUND = {"name": "compiled", "passed": True, "reason": "the same", "evidence": {}}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def project(registry: Registry) -> Project:
    return make_project(registry)


def with_form(registry: Registry, project: Project, **words: float) -> Model:
    """A model as a run registers it: its compiled form beside it."""
    made = make_model(registry, project, compiled=FOUND, **words)
    pipeline = pickle.loads(registry.blobs.open(made.blob.digest))
    form = compile_pipeline(pipeline, Schema.from_json(project.schema or {}), Task.from_json(project.task))
    assert isinstance(form, Compiled)
    packed = pack(form)
    assert packed is not None
    return replace(made, attachments={**made.attachments, "compiled": registry.blobs.put(packed, at=NOW)})


def test_it_answers_by_the_form_and_opens_the_pipeline_only_when_that_is_asked(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_form(registry, project)
    opened: list[bytes] = []
    loads = pickle.loads
    monkeypatch.setattr(pickle, "loads", lambda data: opened.append(data) or loads(data))
    rests: list[None] = []
    served = load(registry, project, model, lambda: rests.append(None))
    table = check(raw_rows(50, seed=3), served.schema, served.task).table
    answers = served.raw(table)
    assert isinstance(served.pipeline, StoredPipeline)
    assert served.compiled is not None
    assert not opened
    assert rests
    assert np.allclose(answers, served.through_pipeline(table), rtol=0, atol=1e-12)
    assert np.array_equal(served.features(table), replace(served, compiled=None).features(table))
    assert [name for name, _ in served.pipeline.steps[:2]] == ["columns", "encode"]
    assert len(opened) == 1


def test_golden_answers_that_are_not_given_refuse_it_as_ever(registry: Registry, project: Project) -> None:
    with pytest.raises(CannotDeploy, match="golden rows differ"):
        load(registry, project, with_form(registry, project, golden_shift=0.01))


def test_a_pipeline_that_does_not_give_them_is_refused_when_it_is_asked(
    registry: Registry, project: Project
) -> None:
    model, other = with_form(registry, project), make_model(registry, project, C=0.001)
    served = load(registry, project, replace(model, blob=other.blob))
    table = check(raw_rows(5, seed=3), served.schema, served.task).table
    assert len(served.raw(table)) == 5
    with pytest.raises(CannotDeploy, match="golden rows differ"):
        served.through_pipeline(table)


def test_the_form_of_another_release_is_made_anew(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_form(registry, project)
    monkeypatch.setattr(packing, "_head", lambda: b"incumbent-compiled of tomorrow\n")
    served = load(registry, project, model)
    assert served.compiled is not None
    assert not isinstance(served.pipeline, StoredPipeline)


def test_a_form_that_gives_other_answers_is_made_anew(registry: Registry, project: Project) -> None:
    model, other = with_form(registry, project), with_form(registry, project, C=0.001)
    served = load(
        registry,
        project,
        replace(model, attachments={**model.attachments, "compiled": other.attachments["compiled"]}),
    )
    assert not isinstance(served.pipeline, StoredPipeline)
    assert served.compiled is not None
    table = check(raw_rows(50, seed=3), served.schema, served.task).table
    assert np.allclose(served.raw(table), served.through_pipeline(table), rtol=0, atol=1e-12)


@pytest.mark.parametrize("blob", ["form", "pipeline"])
def test_neither_a_changed_form_nor_a_changed_pipeline_serves(
    registry: Registry, project: Project, tmp_path: Path, blob: str
) -> None:
    model = with_form(registry, project)
    digest = model.attachments["compiled"].digest if blob == "form" else model.blob.digest
    path = tmp_path / "home" / "blobs" / digest[:2] / digest[2:]
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Tampered):
        load(registry, project, model)


def test_what_comes_back_is_there_at_once_in_its_new_epoch(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []

    def counted(registry: Registry, project: Project, model: Model, rest: object) -> object:
        loaded.append(model.version)
        return load(registry, project, model)

    monkeypatch.setattr(shelving, "load", counted)
    for C in (1.0, 0.1):
        make_model(registry, project, C=C, compiled=FOUND)
    serves = Serving(registry, node="here", poll_seconds=0.1, clock=lambda: NOW)
    for version in (1, 2, 1, 2):
        make_champion(registry, project, version)
        serves.refresh()
        champion = serves.champions["fruit"]
        assert (champion.version, champion.epoch) == (version, registry.projects.get("fruit").epoch)
    assert loaded == [1, 2]
    told = [(entry.version, entry.status) for entry in registry.ledger.deployments(project.id)]
    assert told[:2] == [(2, "serving"), (1, "retired")]


def test_only_the_last_few_are_kept_and_none_of_a_schema_that_changed(
    registry: Registry, project: Project
) -> None:
    for C in (1.0, 0.1, 0.01):
        make_model(registry, project, C=C, compiled=FOUND)
    shelf = Shelf(registry, rest=lambda: None, most=2)
    first, second, third = (shelf.take(project, version) for version in (1, 2, 3))
    assert shelf.take(project, 3).compiled is third.compiled
    assert shelf.take(project, 2).compiled is second.compiled
    assert shelf.take(project, 1).compiled is not first.compiled
    kept = shelf.take(project, 1)
    edited = replace(project, revision=project.revision + 1)
    assert shelf.take(edited, 1).compiled is not kept.compiled
    shelf.forget(project.id)
    assert shelf.take(edited, 1).compiled is not kept.compiled


def test_the_server_starts_without_scikit_learn_and_scipy() -> None:
    code = "import sys, service.app, service.wire.protocol, service.commands.server; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    late = {"sklearn", "scipy.special", "scipy.stats", "scipy.optimize", "lightgbm", "xgboost"}
    assert not late & set(told.split())
