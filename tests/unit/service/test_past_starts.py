"""What a search begins with: the project's own past, then that of projects like it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_house import make_champion, make_model, make_project

from registry.records import Model, Project
from registry.store import Registry
from service.run_spec import past_starts, recipes
from service.similar_projects import similar_recipes

MINE = {"classification": 1.0, "log_rows": 3.0, "log_columns": 1.0, "categorical": 0.2, "text": 0.0}
MINE |= {"missing": 0.0, "log_classes": 0.3, "imbalance": 0.1, "skewness": 0.0}


def part(name: str, weight: float = 1.0) -> dict[str, Any]:
    model = {"class": f"sklearn.{name}", "params": {}}
    return {"engine": "flaml", "estimator": name, "config": {}, "weight": weight, "model": model}


def promote(registry: Registry, project: Project, details: dict[str, Any] | None = None) -> Model:
    model = make_model(registry, project, details=details)
    make_champion(registry, project, model.version)
    return model


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry.open(tmp_path)
    yield opened
    opened.close()


def test_the_champions_weightiest_part_comes_first_and_nothing_comes_twice() -> None:
    champion = [part("small", 0.2), part("large", 0.8)]
    starts = past_starts([champion, [part("large"), part("older")]])
    assert [start["estimator"] for start in starts] == ["large", "small", "older"]
    assert "weight" not in starts[0]


def boosted(rounds: int, leaves: int = 7, weight: float = 0.0, seconds: float = 0.1) -> dict[str, Any]:
    model = {
        "class": "lightgbm.sklearn.LGBMRegressor",
        "params": {"n_estimators": rounds, "num_leaves": leaves},
    }
    return {
        **part("lgbm", weight),
        "config": {"rounds": rounds, "leaves": leaves},
        "model": model,
        "seconds": seconds,
    }


def test_boosting_that_differs_in_its_rounds_alone_is_one_model() -> None:
    starts = past_starts([[boosted(40, weight=1.0)], [boosted(80), boosted(80, leaves=31)]])
    assert [start["config"] for start in starts] == [
        {"rounds": 40, "leaves": 7},
        {"rounds": 80, "leaves": 31},
    ]


def test_what_is_of_more_use_comes_first_unless_it_is_slow_or_of_another_recipe() -> None:
    mine = [
        boosted(1, 1, weight=1.0, seconds=9.0),
        boosted(1, 2, seconds=3.0),
        *(boosted(1, at) for at in (3, 4, 5)),
    ]
    starts = past_starts([mine, [boosted(1, 6), boosted(1, 7)]])
    assert [start["config"]["leaves"] for start in starts] == [1, 3, 4, 6, 5, 7, 2]


def test_a_model_from_before_recipes_were_kept_is_a_start_for_its_engine(registry: Registry) -> None:
    project = make_project(registry)
    model: Model = promote(registry, project)
    bare = replace(model, details={**model.details, "recipe": None})
    (start,) = past_starts(recipes(bare, []))
    assert start["engine"] == model.engine
    assert start["model"] is None


def test_champions_of_similar_projects_are_asked_nearest_first_and_others_are_not(registry: Registry) -> None:
    project = make_project(registry, name="mine")
    for name, rows in (("near", 3.1), ("nearer", 3.0), ("far", 9.0)):
        shown = {**MINE, "log_rows": rows, "log_columns": 1.0 if rows < 5 else 4.0}
        details = {"meta_features": shown, "recipe": [part(name)]}
        promote(registry, make_project(registry, name=name), details=details)
    promote(registry, make_project(registry, name="old"))
    found = similar_recipes(registry, project, MINE)
    assert [recipe[0]["estimator"] for recipe in found] == ["nearer", "near"]
    assert similar_recipes(registry, project, None) == []
