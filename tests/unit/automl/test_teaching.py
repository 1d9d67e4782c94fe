"""The champion and its clones: what they say of rows without truth, and what that is held to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.engines.protocol import Problem
from automl.pseudo_training import with_pseudo_labels
from automl.schema import check, infer, table_from_rows
from automl.snapshot import folds
from automl.task import Task, TaskKind
from automl.teaching import LEAST_NEW, Word, word

TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=("no", "yes"))


def rows(n: int, seed: int) -> tuple[pd.DataFrame, Any]:
    X = pd.DataFrame({"x": np.random.default_rng(seed).normal(size=n)})
    return X, (X["x"] > 0).to_numpy().astype(np.int64)


def said(champion: Pipeline, *, new: int, known: tuple[str, ...] = ("no", "yes")) -> Word:
    X, y = rows(200, 1)
    return word(
        champion,
        known,
        task=TASK,
        rows=X,
        y=y,
        unseen=np.arange(200) >= 200 - new,
        folds=folds(y, task=TASK, n=4, seed=0),
        pool=rows(30, 2)[0],
        judged=rows(20, 3)[0],
        seed=0,
    )


def champion() -> Pipeline:
    return Pipeline([("model", LogisticRegression())]).fit(*rows(500, 0))


def test_the_champion_speaks_where_it_can_be_held_to_rows_it_never_saw() -> None:
    spoken = said(champion(), new=80)
    assert spoken.with_champion
    assert spoken.positions.tolist() == list(range(120, 200))
    assert spoken.pool.shape == (4, 30, 2)
    assert spoken.judged.shape == (4, 20, 2)
    assert spoken.calibration.shape == (80, 2)
    np.testing.assert_allclose(spoken.pool.sum(axis=2), 1)
    right = spoken.pool.mean(axis=0).argmax(axis=1) == rows(30, 2)[1]
    assert right.mean() > 0.9


def test_with_hardly_a_new_row_its_clones_speak_alone_on_every_row() -> None:
    spoken = said(champion(), new=LEAST_NEW - 1)
    assert not spoken.with_champion
    assert len(spoken.positions) == 200


def test_a_champion_of_fewer_classes_says_nothing_of_the_new_one() -> None:
    wide = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=("no", "maybe", "yes"))
    X, y = rows(200, 1)
    y = np.where(y == 1, 2, 0)
    y[::7] = 1
    spoken = word(
        champion(),
        ("no", "yes"),
        task=wide,
        rows=X,
        y=y,
        unseen=np.ones(200, dtype=bool),
        folds=folds(y, task=wide, n=4, seed=0),
        pool=rows(30, 2)[0],
        judged=rows(20, 3)[0],
        seed=0,
    )
    assert spoken.pool.shape == (4, 30, 3)
    assert (spoken.pool[:, :, 1] < 0.5).all()


def test_the_same_seed_says_the_same() -> None:
    one, other = said(champion(), new=80), said(champion(), new=80)
    np.testing.assert_array_equal(one.pool, other.pool)


def problem() -> Problem:
    data = [{"x": float(k), "who": f"p{k % 6}", "y": "yes" if k % 2 else "no"} for k in range(24)]
    schema, task = infer(table_from_rows(data), Task(kind=TaskKind.CLASSIFICATION, target="y", metric="auto"))
    checked = check(table_from_rows(data), schema, task)
    y = np.array([k % 2 for k in range(24)])
    return Problem(
        task=task,
        schema=schema,
        X=pd.DataFrame({"x": np.arange(len(checked.table), dtype=float)}),
        y=y,
        folds=folds(y, task=task, n=3, seed=0),
    )


def test_pseudo_labelled_rows_train_in_every_fold_and_are_never_validated_on() -> None:
    true = problem()
    more = pd.DataFrame({"x": [1.5, 2.5]})
    both = with_pseudo_labels(true, more, np.array([0, 1]), np.array([0.4, 0.3]))
    assert both.X["x"].tolist()[-2:] == [1.5, 2.5]
    assert both.weights is not None
    assert both.weights.tolist() == [1.0] * 24 + [0.4, 0.3]
    for (train, valid), (before, same) in zip(both.folds, true.folds, strict=True):
        assert set(train) == set(before) | {24, 25}
        assert valid.tolist() == same.tolist()


def test_a_row_of_an_entity_that_is_validated_on_does_not_train_there() -> None:
    true = problem()
    names = np.array([f"p{k}" for k in range(24)], dtype=object)
    held = int(true.folds[0][1][0])
    more = np.array([f"p{held}", None], dtype=object)
    both = with_pseudo_labels(
        true, pd.DataFrame({"x": [1.0, 2.0]}), np.array([0, 1]), np.ones(2), entities=(names, more)
    )
    assert [24 in train for train, _ in both.folds] == [held not in valid for _, valid in both.folds]
    assert all(25 in train for train, _ in both.folds)
