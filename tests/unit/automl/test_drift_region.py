from __future__ import annotations

import numpy as np

from automl.drift_region import moved
from automl.source_learner import boosted


def test_rows_unlike_any_of_the_reference_have_moved_and_others_have_not() -> None:
    random = np.random.default_rng(0)
    reference = random.normal(size=(400, 3))
    pool = random.normal(size=(200, 3))
    pool[:100, 0] += 4
    found = moved(reference, pool, seed=0)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.median(found[:100]) > 0.7
    assert np.median(found[100:]) < 0.2


def test_nothing_has_moved_where_all_is_alike_or_too_few_rows_say() -> None:
    random = np.random.default_rng(1)
    assert moved(random.normal(size=(400, 3)), random.normal(size=(200, 3)), seed=0).mean() < 0.2
    assert moved(random.normal(size=(400, 3)), random.normal(size=(10, 3)) + 9, seed=0).tolist() == [0.0] * 10


def test_the_learner_knows_classes_that_its_training_rows_lack() -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(200, 2))
    y = (features[:, 0] > 0).astype(np.intp)
    learner = boosted(features, y, classes=3, seed=0)
    probabilities = learner(np.arange(150), np.arange(150, 200))
    assert probabilities.shape == (50, 3)
    assert (probabilities[:, 2] == 0).all()
    assert (probabilities.argmax(axis=1) == y[150:]).mean() > 0.9
    only = learner(np.flatnonzero(y == 1), np.arange(5))
    assert only[:, 1].tolist() == [1.0] * 5
