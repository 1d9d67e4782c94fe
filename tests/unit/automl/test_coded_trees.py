"""Trees asked by the codes of categories: the same bits as by a matrix of features, and as the pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from compiled_cases import ROWS, case
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.compiled import Compiled
from automl.compiled.coded_trees import CODED_FROM, coded_trees
from automl.compiled.models import compile_model
from automl.compiled.parity import json_rows
from automl.compiled.read_rows import ReadRows
from automl.compiled.tree_scorer import TreeScorer
from automl.engines.blended import BlendRegressor
from automl.schema import frame
from automl.scoring import predictions

QUIET: dict[str, Any] = {"n_jobs": 1, "verbose": -1, "random_state": 0}
MODELS = {
    "two": LGBMClassifier(n_estimators=40, **QUIET),
    "four": LGBMClassifier(n_estimators=20, num_leaves=50, **QUIET),
    "score": LGBMRegressor(n_estimators=60, min_child_samples=5, **QUIET),
}


def _made(target: str) -> tuple[Compiled, Pipeline, pa.Table]:
    at = case(target)
    pipeline = at.pipeline(MODELS[target])
    return at.compiled(pipeline), pipeline, at.table


def _coded(compiled: Compiled) -> Any:
    assert isinstance(compiled.scorer, TreeScorer)
    return compiled.scorer.coded(compiled.reader.blocks)


@pytest.mark.parametrize("target", sorted(MODELS))
def test_rows_of_every_kind_get_the_bits_that_their_features_get(target: str) -> None:
    compiled, pipeline, table = _made(target)
    assert _coded(compiled) is not None
    columns = compiled.reader.typed(table)
    assert len(columns) == ROWS >= CODED_FROM
    answers = compiled.answers(columns)
    assert np.array_equal(answers, compiled.scorer.many(compiled.reader.filled(columns)))
    assert np.array_equal(
        answers, predictions(pipeline, frame(table, case(target).schema), case(target).task)
    )


def test_rows_as_they_come_get_them_too_and_so_does_any_part_of_them() -> None:
    compiled, _, table = _made("two")
    whole = compiled.table(table)
    rows = json_rows(compiled.columns, table)
    settled = [place for place, row in enumerate(rows) if compiled.settled([row])]
    columns = compiled.columns_of([rows[place] for place in settled])
    assert columns is not None
    assert len(columns) > 2 * CODED_FROM
    assert np.array_equal(compiled.answers(columns), whole[settled])
    for part in (slice(0, CODED_FROM), slice(7, 7 + CODED_FROM), slice(3, 12)):
        assert np.array_equal(compiled.answers(columns[part]), whole[settled][part])


def test_histogram_boosting_is_asked_so_too() -> None:
    at = case("two")
    pipeline = at.pipeline(HistGradientBoostingClassifier(max_iter=30, random_state=0))
    compiled = at.compiled(pipeline)
    expected = predictions(pipeline, frame(at.table, at.schema), at.task)
    assert np.array_equal(compiled.table(at.table), expected)


def test_members_of_a_blend_are_asked_each_in_its_own_way() -> None:
    at = case("score")
    members = [LGBMRegressor(n_estimators=40, **QUIET), make_pipeline(StandardScaler(), Ridge()), Ridge()]
    pipeline = at.pipeline(BlendRegressor(members=members, weights=[0.5, 0.3, 0.2]))
    compiled = at.compiled(pipeline)
    columns = compiled.reader.typed(at.table)
    assert np.array_equal(compiled.answers(columns), compiled.scorer.many(compiled.reader.filled(columns)))
    trees = ReadRows(compiled.reader, columns)
    compile_model(members[0], compiled.reader.width).answers(trees)
    assert "matrix" not in vars(trees)


def test_categories_of_few_values_are_looked_up_together() -> None:
    compiled, _, _ = _made("two")
    assert _coded(compiled).width < len(compiled.reader.blocks.plain) + len(compiled.reader.blocks.categories)


def test_categories_of_too_many_values_are_left_to_the_matrix() -> None:
    compiled, _, _ = _made("two")
    assert isinstance(compiled.scorer, TreeScorer)
    bits = compiled.scorer._trees.bits
    assert bits is not None
    many = np.zeros((8 * 1024 * 1024 // bits.line_bytes + 1, 1))
    assert coded_trees(bits, [], [(0, many)]) is None
