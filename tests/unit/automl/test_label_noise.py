"""Label noise in training: measured with the winner's own pipeline where there is time, else said not to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from trust_house import CLASSES, CLASSIFY, REGRESS, by_learning, exhibit_of, schema_of

from automl.trust.exhibit import Exhibit
from automl.trust.label_noise import LEVELS, flipped, label_noise


def shown(model: Any = None, n: int = 1_200, **more: Any) -> Exhibit:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.normal(0, 1, n), "z": random.normal(0, 1, n)})
    y = (rows["x"] + rows["z"] > 0).to_numpy(dtype=int)
    standing = by_learning(rows, y, rows, schema_of(rows, CLASSES), CLASSIFY, model)
    return exhibit_of(rows, y, standing, **more)


def test_thirty_labels_flipped_by_hand() -> None:
    y = np.arange(30) % 2
    exhibit = shown(n=30)
    after = flipped(y, 0.2, exhibit, np.random.default_rng(4))
    hit = np.random.default_rng(4).random(30) < 0.2
    assert np.array_equal(after, np.where(hit, 1 - y, y))  # of two classes the other one


def test_a_flipped_number_is_another_rows() -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.normal(0, 1, 400)})
    y = random.normal(0, 1, 400)
    exhibit = exhibit_of(rows, y, shown().challenger, task=REGRESS)
    after = flipped(y, 0.1, exhibit, np.random.default_rng(1))
    assert (after != y).mean() == pytest.approx(0.1, abs=0.04)
    assert set(after) <= set(y)


def test_the_curve_begins_with_the_same_rows_unflipped_and_falls() -> None:
    found = label_noise(shown(LogisticRegression(), seconds=60), share=1.0)
    assert found.not_measured is None
    assert found.levels == (0.0, *LEVELS)
    assert found.rows == 1_200
    scores = [score or 0.0 for score in found.scores]
    assert scores[0] > 0.97
    assert scores[0] >= scores[-1] > 0.8


class Slow(DummyClassifier):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Slow:
        import time

        time.sleep(0.05)
        return super().fit(X, y, sample_weight)


def test_without_time_for_all_trainings_it_says_so() -> None:
    found = label_noise(shown(Slow(), seconds=0.1), share=1.0)
    assert found.scores == ()
    assert "a training on 200 rows takes" in (found.not_measured or "")


class Picky(DummyClassifier):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Picky:
        if len(y) < 500:
            raise ValueError("too few rows for me")
        return super().fit(X, y, sample_weight)


def test_a_pipeline_that_cannot_be_trained_on_few_rows_is_not_measured() -> None:
    found = label_noise(shown(Picky()), share=1.0)
    assert found.not_measured == "a training on few rows failed with ValueError: too few rows for me"


def test_too_few_training_rows_are_not_trained_on() -> None:
    assert label_noise(shown(n=100), share=1.0).not_measured == "there are only 100 training rows"
