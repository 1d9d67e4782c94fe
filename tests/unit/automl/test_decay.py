from __future__ import annotations

import numpy as np
import pytest

from automl.decay import decay


def answers(rows: int, skill: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(skill * (2 * y - 1) + random.normal(size=rows))))
    return y, np.column_stack([1 - score, score])


def look(rows: int, skill: float, seed: int, reference: float) -> float:
    y, p = answers(rows, skill, seed)
    found = decay(
        y, p, metric_name="roc_auc", reference=reference, reference_rows=2_000, alpha=0.01, seed=seed
    )
    assert found is not None
    return found.sure_drop


REFERENCE = 0.8556  # AUC of a shift of 1.5 standard deviations: Phi(1.5 / sqrt 2)


def test_a_real_drop_is_sure_and_about_as_large_as_it_is() -> None:
    y, p = answers(2_000, 0.2, 1)
    found = decay(y, p, metric_name="roc_auc", reference=REFERENCE, reference_rows=2_000, alpha=0.01, seed=0)
    assert found is not None
    assert 0.2 < found.sure_drop < found.drop < 0.3


def test_no_drop_is_hardly_ever_sure() -> None:
    alarms = sum(look(500, 0.75, seed, REFERENCE) > 0.0 for seed in range(100))
    assert alarms <= 5


def test_errors_that_grow_count_as_a_drop() -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=1_000)
    found = decay(
        y,
        y + random.normal(scale=2, size=1_000),
        metric_name="rmse",
        reference=1.0,
        reference_rows=500,
        alpha=0.01,
        seed=0,
    )
    assert found is not None
    assert found.drop == pytest.approx(1.0, abs=0.15)
    assert found.sure_drop > 0.7


def test_one_class_says_nothing() -> None:
    y, p = np.zeros(50, dtype=np.int64), np.full((50, 2), 0.5)
    assert decay(y, p, metric_name="roc_auc", reference=0.8, reference_rows=9, alpha=0.01, seed=0) is None
