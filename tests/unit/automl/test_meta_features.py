"""Which problems are alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automl.engines.contract import problems
from automl.engines.protocol import Problem
from automl.meta_features import distance, meta_features, nearest


def features(problem: Problem) -> dict[str, float]:
    return meta_features(problem.X, problem.y, schema=problem.schema, task=problem.task)


def test_a_table_is_described_by_finite_numbers() -> None:
    found = features(problems.mixed())
    assert found["classification"] == 1.0
    assert found["log_rows"] == pytest.approx(math.log10(600))
    assert found["log_columns"] == pytest.approx(math.log10(6))
    assert found["text"] == pytest.approx(1 / 6)
    assert 0.02 < found["missing"] < 0.1
    assert all(
        math.isfinite(value) for one in (found, features(problems.regression())) for value in one.values()
    )


def test_classes_that_are_even_have_no_imbalance_and_rare_ones_have_much() -> None:
    problem = problems.binary()
    even = np.arange(len(problem.y)) % 2
    rare = (np.arange(len(problem.y)) % 100 == 0).astype(int)
    shown = [meta_features(problem.X, y, schema=problem.schema, task=problem.task) for y in (even, rare)]
    assert shown[0]["imbalance"] == pytest.approx(0.0, abs=1e-4)
    assert shown[1]["imbalance"] > 0.9


def test_the_same_problem_with_fewer_rows_is_the_nearest_and_other_tasks_are_left_out() -> None:
    mine = features(problems.mixed(600))
    others = {
        "earlier": features(problems.mixed(400)),
        "cancer": features(problems.binary()),
        "diabetes": features(problems.regression()),
    }
    assert nearest(mine, others, most=2)[0] == "earlier"
    assert "diabetes" not in nearest(mine, others, most=3)
    assert nearest(mine, {"diabetes": others["diabetes"]}, most=1) == []


def test_a_problem_far_away_says_nothing_and_distance_is_zero_to_itself() -> None:
    mine = features(problems.binary())
    far = {**mine, "log_rows": 7.0, "log_columns": 4.0, "categorical": 1.0, "imbalance": 1.0}
    assert nearest(mine, {"far": far}, most=1) == []
    assert distance(mine, mine, dict.fromkeys(mine, 1.0)) == 0.0
