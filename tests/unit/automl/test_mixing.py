"""What a fold makes of many mixes at once is what the metric makes of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from automl.metrics import METRICS, metric
from automl.mixing import Mixing

ROWS, MODELS = 60, 5


def answers(name: str, classes: int, rng: np.random.Generator) -> tuple[list[Any], Any]:
    if metric(name).needs == "values":
        y = rng.normal(size=ROWS)
        return [y + rng.normal(size=ROWS) for _ in range(MODELS)], y
    y = rng.integers(0, classes, ROWS)
    # rounded, so that scores are tied as a tree's are; one model says the same of every row
    given = [rng.dirichlet(np.ones(classes), ROWS).round(1) for _ in range(MODELS - 1)]
    return [*given, np.full((ROWS, classes), 1.0 / classes)], y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_losses_of_many_mixes_are_those_of_each(name: str, classes: int, weighted: bool) -> None:
    rng = np.random.default_rng(3)
    models, y = answers(name, classes, rng)
    weights = rng.integers(0, 4, ROWS).astype(np.float64) if weighted else None
    measure = metric(name)
    sign = -1.0 if measure.greater_is_better else 1.0
    mixing = Mixing(models, y, weights, measure)
    for counts in ({}, {0: 1}, {1: 2, 3: 1}):
        total = sum(count * models[at] for at, count in counts.items())
        mixes = [(total + one) / (sum(counts.values()) + 1) for one in models]
        expected = [sign * measure.score(y, mix, weights) for mix in mixes]
        np.testing.assert_allclose(mixing.adding(counts), expected, rtol=1e-12, atol=1e-12)


def test_a_fold_of_one_class_has_no_value() -> None:
    p = np.full((4, 2), 0.5)
    assert np.isnan(Mixing([p, p], np.zeros(4, dtype=int), None, metric("roc_auc")).adding({})).all()
