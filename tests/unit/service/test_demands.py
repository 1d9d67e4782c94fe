"""The policy in the judge's terms; the stages' own parts of it."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from small_house import make_champion, make_model, make_project, open_registry, raw_rows

from automl.judge import Rules
from automl.schema import Schema, check, frame
from automl.snapshot import HoldoutRule
from automl.task import Task, TaskKind
from registry.records import Model
from service.conclusion import Challenger
from service.demands import embargo_seconds, holdout_rule, is_reversal, rules
from service.policy import Policy
from service.stages.golden import golden, golden_gap
from service.stages.rows import embargo_of

TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=(0, 1))
TIMED = replace(TASK, time_column="t")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_default_demands_are_what_the_judge_takes() -> None:
    asked = Rules(**json.loads(json.dumps(rules(Policy(), TIMED))))
    assert (asked.min_effect, asked.alpha, asked.max_latency_ms) == (0.002, 0.05, 50)
    assert (asked.blocks, asked.required_effect_factor) == ("auto", 1.0)
    assert (asked.slice_margin, asked.slice_rows, asked.floor) == (0.02, 100, None)
    assert HoldoutRule(**holdout_rule(Policy())) == HoldoutRule()
    assert embargo_seconds(Policy()) == "auto"


def test_rows_without_a_time_column_are_drawn_one_by_one() -> None:
    assert rules(Policy(), TASK)["blocks"] is None
    fixed = Policy.model_validate({"gates": {"blocks": 24}})
    assert rules(fixed, TIMED)["blocks"] == 24
    assert rules(fixed, TASK)["blocks"] is None


def test_what_the_policy_says_reaches_the_rules() -> None:
    policy = Policy.model_validate(
        {
            "gates": {"floor": 0.7, "slices": {"margin": 0.05}, "reversal_factor": 3},
            "holdout": {"embargo": "PT2H"},
        }
    )
    asked = Rules(**rules(policy, TASK, reversal=True))
    assert (asked.floor, asked.floor_margin, asked.slice_margin) == (0.7, 0.01, 0.05)
    assert asked.required_effect_factor == 3
    assert embargo_seconds(policy) == 7200.0
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    "part",
    [
        {"gates": {"slices": {"margin": -1}}},
        {"gates": {"blocks": 0}},
        {"gates": {"blocks": "weekly"}},
        {"gates": {"reversal_factor": 0.5}},
        {"gates": {"floor": "high"}},
        {"gates": {"floor": True}},
        {"holdout": {"embargo": "-PT1H"}},
        {"holdout": {"embargo": "a while"}},
    ],
)
def test_impossible_demands_are_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(part)


def challenger(estimator: str, config: dict[str, Any]) -> Challenger:
    return Challenger(
        engine="flaml",
        estimator=estimator,
        score=0.9,
        config=config,
        requirements={},
        size_bytes=1,
        partial=False,
        file="f",
    )


@pytest.fixture
def models(tmp_path: Path) -> Any:
    registry = open_registry(tmp_path)
    project = make_project(registry)
    model = make_model(registry, project)
    make_champion(registry, project, model.version)

    def of(estimator: str, config: dict[str, Any]) -> Model:
        return replace(model, estimator=estimator, config=config)

    yield of
    registry.close()


def test_going_back_to_the_kind_that_was_dethroned_is_a_reversal(models: Any) -> None:
    forest, trees = models("rf", {"depth": 3}), models("lgbm", {"rate": 0.1})
    assert is_reversal(challenger("rf", {"depth": 4}), trees, forest)
    assert not is_reversal(challenger("xgboost", {}), trees, forest)
    assert not is_reversal(challenger("lgbm", {"rate": 0.2}), trees, forest)


def test_retraining_one_recipe_is_no_reversal_but_going_back_to_an_old_one_is(models: Any) -> None:
    slow, fast = models("lgbm", {"rate": 0.1, "leaves": 7}), models("lgbm", {"rate": 0.5, "leaves": 7})
    assert is_reversal(challenger("lgbm", {"rate": 0.10001, "leaves": 7}), fast, slow)
    assert not is_reversal(challenger("lgbm", {"rate": 0.3, "leaves": 7}), fast, slow)
    assert not is_reversal(challenger("lgbm", {"rate": 0.1, "leaves": 7}), slow, slow)


def test_without_a_previous_champion_nothing_is_taken_back(models: Any) -> None:
    assert not is_reversal(challenger("rf", {}), None, None)
    assert not is_reversal(challenger("rf", {}), models("rf", {}), None)


def stored_model(tmp_path: Path) -> tuple[bytes, Any, pa.Table, Schema, Task]:
    registry = open_registry(tmp_path)
    project = make_project(registry)
    data = registry.blobs.open(make_model(registry, project).blob.digest)
    registry.close()
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    return data, pickle.loads(data), check(raw_rows(40, 3), schema, task).table, schema, task


def test_stored_model_gives_its_golden_answers_again(tmp_path: Path) -> None:
    data, pipeline, rows, schema, task = stored_model(tmp_path)
    text = golden(pipeline, rows, schema, task)
    questions = json.loads(text)
    assert len(questions["rows"]) == 20
    assert np.allclose(questions["predictions"], pipeline.predict_proba(frame(rows, schema))[:20])
    assert golden_gap(data, text, schema, task) < 1e-12


def test_model_that_comes_back_another_or_not_at_all_is_caught(tmp_path: Path) -> None:
    data, pipeline, rows, schema, task = stored_model(tmp_path)
    text = golden(pipeline, rows, schema, task)
    pipeline[-1].coef_ = pipeline[-1].coef_ * 1.5
    assert golden_gap(pickle.dumps(pipeline), text, schema, task) > 1e-3
    assert golden_gap(data[:-20], text, schema, task) == np.inf
    assert golden_gap(pickle.dumps("not a model"), text, schema, task) == np.inf


def labelled(*delays: int, source: str = "feedback", column: pa.Array | None = None) -> pa.Table:
    stamp = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "t": pa.array([NOON] * len(delays), stamp) if column is None else column,
            "_arrived_at": pa.array([NOON] * len(delays), stamp),
            "_labelled_at": pa.array([NOON + timedelta(seconds=one) for one in delays], stamp),
            "_label_source": [source] * len(delays),
        }
    )


def test_automatic_embargo_is_how_long_feedback_takes_where_there_is_a_time_column() -> None:
    assert embargo_of(labelled(60, 120, 9000), TIMED, "auto") == 120 * 10**9
    assert embargo_of(labelled(10**7), TIMED, "auto") == 86_400 * 10**9
    assert embargo_of(labelled(60, source="given"), TIMED, "auto") == 0
    assert embargo_of(labelled(60), TASK, "auto") is None


def test_embargo_that_is_asked_for_is_taken_and_numbers_are_only_kept_apart() -> None:
    assert embargo_of(labelled(60), TIMED, 7200.0) == 7200 * 10**9
    assert embargo_of(labelled(60), TASK, 7200.0) == 7200 * 10**9
    assert embargo_of(labelled(60, column=pa.array([1.0])), TIMED, 7200.0) == 0
