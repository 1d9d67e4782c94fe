"""A model is served in its compiled form where that was found to answer the same, and else says why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from small_house import make_model, make_project, open_registry, raw_rows

from automl.compiled import Compiled
from automl.compiled import compiling as making
from automl.compiled.compiling import compile_pipeline
from automl.compiled.scorer import OnMatrix
from automl.schema import check
from automl.verdict import Gate
from registry.records import Project
from registry.store import Registry
from service import deployment as deploying
from service.deployment import Deployment, load
from service.stages import compiling
from service.stages.compiling import compiled_gate
from service.stages.golden import golden

FOUND = {"name": "compiled", "passed": True, "reason": "the same", "evidence": {}}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def project(registry: Registry) -> Project:
    return make_project(registry)


def shifted(*arguments: Any) -> Compiled:
    """A compiled form whose answers are off by a thousandth."""
    true = compile_pipeline(*arguments)
    assert isinstance(true, Compiled)
    answers = true.scorer.many

    class Shifted(OnMatrix):
        description, tolerance = true.scorer.description, true.scorer.tolerance

        def many(self, features: Any) -> Any:
            return answers(features) + 1e-3

    return replace(true, scorer=Shifted())


def test_a_model_found_equal_is_served_compiled_with_the_same_answers(
    registry: Registry, project: Project
) -> None:
    served = load(registry, project, make_model(registry, project, compiled=FOUND))
    table = check(raw_rows(50, seed=3), served.schema, served.task).table
    assert served.compiled is not None
    assert served.not_compiled is None
    assert np.allclose(served.raw(table), served.through_pipeline(table), rtol=0, atol=1e-12)
    row = dict(zip(("size", "colour"), (0.5, "red"), strict=True))
    quick = served.compiled.quick([tuple(row[column.name] for column in served.compiled.columns)])
    assert quick is not None
    assert quick.shape == (1, 2)


def test_a_model_from_before_compiled_forms_keeps_its_pipeline_and_says_so(
    registry: Registry, project: Project
) -> None:
    served = load(registry, project, make_model(registry, project))
    assert served.compiled is None
    assert "before compiled forms" in (served.not_compiled or "")


def test_a_form_that_was_found_to_differ_is_not_used(registry: Registry, project: Project) -> None:
    found = {**FOUND, "passed": None, "reason": "not used: the answers differ by 0.1"}
    served = load(registry, project, make_model(registry, project, compiled=found))
    assert served.compiled is None
    assert served.not_compiled == found["reason"]


def test_a_form_that_does_not_give_the_golden_answers_here_is_not_used(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "compile_pipeline", shifted)
    served = load(registry, project, make_model(registry, project, compiled=FOUND))
    assert served.compiled is None
    assert "golden answers differ by" in (served.not_compiled or "")


def gate_of(served: Deployment, pipeline: Pipeline | None = None) -> Gate:
    pipeline = pipeline or served.pipeline
    holdout = check(raw_rows(80, seed=5), served.schema, served.task).table
    judged = replace(served, pipeline=pipeline)
    questions = golden(pipeline, holdout, served.schema, served.task)
    answers = judged.through_pipeline(holdout)
    return compiled_gate(pipeline, holdout, answers, questions, served.schema, served.task)


def test_the_gate_passes_with_the_gap_that_was_found(registry: Registry, project: Project) -> None:
    gate = gate_of(load(registry, project, make_model(registry, project)))
    assert gate.passed is True
    assert "LogisticRegression" in gate.reason
    assert gate.evidence["rows"] == 80
    assert gate.evidence["gap"] <= gate.evidence["tolerance"] == 1e-9
    assert gate.evidence["same_class"] == 1.0
    assert json.loads(json.dumps(gate.to_json())) == gate.to_json()


def with_model(served: Deployment, model: Any) -> Pipeline:
    """The same preprocessing before another model."""
    labelled = check(raw_rows(), served.schema, served.task)
    steps = [*served.pipeline.steps[:-1], ("model", model)]
    X = Pipeline(steps[:-1]).transform(deploying.frame(labelled.table, served.schema))
    model.fit(X, [label == "yes" for label in labelled.labels.to_pylist()])
    return Pipeline(steps)


def test_the_gate_names_the_step_that_answers_for_itself(registry: Registry, project: Project) -> None:
    served = load(registry, project, make_model(registry, project))
    gate = gate_of(served, with_model(served, AdaBoostClassifier(n_estimators=3)))
    assert gate.passed is True
    assert "compiled up to its own AdaBoostClassifier" in gate.reason


def test_the_gate_names_the_step_that_has_no_compiled_form(registry: Registry, project: Project) -> None:
    served = load(registry, project, make_model(registry, project))
    columns, *rest = served.pipeline.steps
    gate = gate_of(served, Pipeline([columns, ("own", FunctionTransformer()), *rest]))
    assert gate.passed is None
    assert "columns, own" in gate.reason


def test_the_gate_says_by_how_much_a_form_differs(
    registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "compile_pipeline", shifted)
    gate = gate_of(load(registry, project, make_model(registry, project)))
    assert gate.passed is None
    assert "differ by 0.001" in gate.reason or "differ by 0.0009" in gate.reason
    assert gate.evidence["gap"] > gate.evidence["tolerance"]
