"""Answers that tell how sure they are: only where the policy asks, the same however a call comes in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from small_house import NOW, await_ready, make_champion, make_model, make_project, open_registry, raw_rows

from automl.conformal import Conformal
from automl.oddness import Oddness, measured
from automl.schema import Schema, check
from automl.task import Task
from registry.records import NewModel, Project
from registry.store import Registry
from service.app import create_app
from service.outliers import ODDNESS
from service.settings import Settings
from service.trust_reports import CERTAINTY

ROWS = [{"size": 1.2, "colour": "red"}, {"size": 0.02, "colour": "blue"}, {"size": 9e5, "colour": "red"}]


def sure_model(registry: Registry, project: Project, *, bare: bool = False) -> int:
    """A model with the errors it made on rows it had not seen and a measure of its training rows; ``bare`` without."""
    made = make_model(registry, project)
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    if bare:
        return made.version
    table = check(raw_rows(), schema, task).table
    # sure of all but a fifth of the rows: at 0.7 one class is enough, at 0.9 it takes both where p is even
    y = np.zeros(100, dtype=int)
    shares = np.where(np.arange(100) < 80, 0.95, 0.2)
    oddness = Oddness.fit(table, measured(schema, task), seed=0)
    put = registry.blobs.put
    errors = Conformal.fit(np.column_stack([shares, 1 - shares]), y)
    attachments = {
        **made.attachments,
        CERTAINTY: put(json.dumps(errors.to_json()).encode(), at=NOW),
        ODDNESS: put(oddness.to_bytes(), at=NOW),
    }
    new = NewModel(
        blob=made.blob,
        engine=made.engine,
        estimator=made.estimator,
        config=made.config,
        dataset_version=1,
        details=made.details,
        attachments=attachments,
    )
    return registry.models.register(project.id, new, at=NOW).version


@contextmanager
def asked(folder: Path, answers: dict[str, Any], *, bare: bool = False) -> Iterator[TestClient]:
    registry = open_registry(folder)
    project = make_project(registry, policy={"answers": answers})
    make_champion(registry, project, sure_model(registry, project, bare=bare))
    with TestClient(create_app(Settings(home=folder / "home", scheduler=False))) as http:
        await_ready(http)
        yield http
    registry.close()


def told(http: TestClient, rows: list[dict[str, Any]] = ROWS, query: str = "") -> list[dict[str, Any]]:
    answer = http.post(f"/v1/projects/fruit/predict{query}", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def test_by_default_answers_tell_nothing_of_it(tmp_path: Path) -> None:
    with asked(tmp_path, {}) as http:
        assert [set(one) for one in told(http)] == [{"id", "value", "probabilities"}] * 3
        assert http.get("/v1/projects/fruit/champion").json()["certainty"] is None


def test_a_coverage_adds_the_set_of_classes_one_row_or_many(tmp_path: Path) -> None:
    with asked(tmp_path, {"coverage": 0.9}) as http:
        sure, torn, _ = told(http)
        assert sure["set"] == ["yes"]
        assert sorted(torn["set"]) == ["no", "yes"]
        assert torn["set"][0] == torn["value"]
        assert "odd" not in sure
        alone = told(http, ROWS[:1])[0]
        assert alone["set"] == sure["set"]
        many = told(http, ROWS * 200)
        assert [one["set"] for one in many[:3]] == [one["set"] for one in told(http)]
        # as text a number goes the long way
        assert told(http, [{"size": "1.2", "colour": "red"}])[0]["set"] == ["yes"]


def test_odd_says_whether_the_row_is_like_those_trained_on(tmp_path: Path) -> None:
    with asked(tmp_path, {"odd": True, "coverage": 0.7}) as http:
        found = told(http)
        assert [one["odd"] for one in found] == [False, False, True]
        assert found[0]["set"] == ["yes"]
        assert [one["odd"] for one in told(http, query="?explain=true")] == [False, False, True]
        served = http.get("/v1/projects/fruit/champion").json()
        assert served["certainty"] == {"coverage": 0.7, "odd": True, "lacking": []}


def test_what_a_model_can_not_tell_is_said_and_the_answer_comes_all_the_same(tmp_path: Path) -> None:
    with asked(tmp_path, {"odd": True, "coverage": 0.9}, bare=True) as http:
        assert [set(one) for one in told(http)] == [{"id", "value", "probabilities"}] * 3
        lacking = http.get("/v1/projects/fruit/champion").json()["certainty"]["lacking"]
        assert len(lacking) == 2
        assert lacking[0].startswith("coverage: version 1 brought no errors")


def test_turning_it_on_takes_effect_without_a_new_model(tmp_path: Path) -> None:
    with asked(tmp_path, {}) as http:
        assert "set" not in told(http)[0]
        done = http.patch("/v1/projects/fruit", json={"policy": {"answers": {"coverage": 0.9}}})
        assert done.status_code == 200, done.text
        http.app.state.context.serving.refresh()  # type: ignore[attr-defined]
        assert told(http)[0]["set"] == ["yes"]


@pytest.mark.parametrize("wrong", [{"coverage": 1.0}, {"coverage": 0.3}, {"odds": True}])
def test_a_wrong_wish_is_refused_with_its_field(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with asked(tmp_path, {}) as http:
        answer = http.patch("/v1/projects/fruit", json={"policy": {"answers": wrong}})
        assert answer.status_code == 422
        assert f"answers.{next(iter(wrong))}" in answer.text


def test_a_server_needs_no_mapie_for_it() -> None:
    code = "import sys, service.app; assert not {'mapie', 'fairlearn', 'cleanlab'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
