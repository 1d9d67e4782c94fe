"""The best of many trials is looked at again on folds that chose none of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from automl.engines.allowance import Allowance
from automl.engines.choosing import BlendRule, Limits, best_choice
from automl.engines.contract import problems
from automl.engines.evaluation import Prepared, prepare
from automl.engines.protocol import Problem
from automl.engines.rebuilding import described
from automl.engines.second_look import Looked, second_look
from automl.engines.trials import Tried
from automl.pseudo_training import with_pseudo_labels
from automl.snapshot import folds, other_folds
from automl.task import Task, TaskKind


@pytest.fixture(scope="module")
def problem() -> Problem:
    made = problems.regression()
    return replace(made, again=folds(made.y, task=made.task, seed=5))


@pytest.fixture(scope="module")
def prepared(problem: Problem) -> Prepared:
    return prepare(problem, seed=0)


def limits(seconds: float = 60.0) -> Limits:
    return Limits(allowance=Allowance(budget_seconds=seconds), at_once=2, seed=0)


def tried(prepared: Prepared, name: str, model: Any, *, lucky: float = 0.0) -> Tried:
    """A trial of a model, whose answers on its own folds are by so much nearer to the truth than the model's."""
    answers, scores = [], []
    for fold in prepared.folds:
        said = model.fit(fold.train.X, fold.train.y).predict(fold.X)
        given = said + lucky * (fold.y - said)
        answers.append(given.astype(np.float32))
        scores.append(float(prepared.metric.score(fold.y, given)))
    return Tried(
        engine="gone",
        estimator=name,
        config={"name": name},
        score=float(np.mean(scores)),
        refit_seconds=0.01,
        answers=tuple(answers),
        fold_scores=tuple(scores),
        likeness=described(model),
    )


def looked(kept: list[Tried], problem: Problem, prepared: Prepared, within: Limits | None = None) -> Looked:
    return second_look(kept, problem, prepared, BlendRule(), within or limits())


def test_who_was_lucky_on_its_folds_is_found_out_on_others(problem: Problem, prepared: Prepared) -> None:
    lucky = tried(prepared, "lucky", DummyRegressor(), lucky=0.32)
    honest = tried(prepared, "honest", Ridge())
    assert lucky.score < honest.score
    found = looked([lucky, honest], problem, prepared)
    assert [one.estimator for one in found.kept] == ["honest", "lucky"]
    assert found.trials == 2
    assert len(found.prepared.folds) == len(problem.folds) + len(problem.again)
    for one in found.kept:
        assert one.score == pytest.approx(np.mean(one.fold_scores))
        assert len(one.answers) == len(one.fold_scores) == len(found.prepared.folds)


def test_the_first_look_stays_the_first_and_calibrates_by_each_row_once(
    problem: Problem, prepared: Prepared
) -> None:
    kept = [tried(prepared, "one", Ridge()), tried(prepared, "two", Ridge(alpha=9.0))]
    found = looked(kept, problem, prepared)
    assert found.prepared.first_folds == prepared.folds
    assert {fold.split for fold in found.prepared.folds} == {0, 1}
    assert found.prepared.full is prepared.full


def test_a_blend_is_told_by_all_folds(problem: Problem, prepared: Prepared) -> None:
    kept = [tried(prepared, "one", Ridge()), tried(prepared, "two", DummyRegressor(), lucky=0.2)]
    first = best_choice(kept, prepared, BlendRule(), limits())
    assert first.used
    found = looked(kept, problem, prepared)
    assert found.standing is not None
    assert found.standing.score > first.score + 0.5  # its luck is gone on half of the folds
    assert {one.estimator for one, _ in found.standing.parts} == {one.estimator for one, _ in first.parts}


def test_all_stays_as_it_was_where_nothing_can_be_looked_at(problem: Problem, prepared: Prepared) -> None:
    kept = [tried(prepared, "one", Ridge()), tried(prepared, "two", DummyRegressor())]
    unknown = [replace(kept[0], likeness=None), kept[1]]
    broken = [replace(kept[0], likeness={"class": "sklearn.linear_model.Gone", "params": {}}), kept[1]]
    slow = [*kept, *(replace(kept[1], estimator=f"number {at}", refit_seconds=9.0) for at in range(20))]
    for held, given, within in (
        (slow, problem, limits()),  # 20 of 9 s each, two at once, do not fit
        (kept, replace(problem, again=()), limits()),
        (kept, problem, limits(0.0)),
        (unknown, problem, limits()),
        (broken, problem, limits()),
        (kept[:1], problem, limits()),
    ):
        found = looked(held, given, prepared, within)
        assert (found.kept, found.prepared, found.standing, found.trials) == (held, prepared, None, 0)


def test_other_folds_hold_other_rows_and_there_are_none_where_time_rolls_on() -> None:
    y = np.arange(100.0)
    task = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
    first, second = folds(y, task=task, seed=0), other_folds(y, task=task, seed=0)
    assert len(first) == len(second) == 4
    assert not any(np.array_equal(one[1], two[1]) for one, two in zip(first, second, strict=True))
    assert other_folds(y, task=task, order=np.arange(100), seed=0) == ()
    entities = np.repeat(np.arange(25), 4)
    for train, valid in other_folds(y, task=task, entities=entities, seed=0):
        assert not set(entities[train]) & set(entities[valid])


def test_pseudo_labelled_rows_train_in_other_folds_as_well(problem: Problem) -> None:
    made = with_pseudo_labels(problem, pd.DataFrame(problem.X.iloc[:5]), problem.y[:5], np.full(5, 0.5))
    assert [len(train) for train, _ in made.again] == [len(train) + 5 for train, _ in problem.again]
    assert [list(valid) for _, valid in made.again] == [list(valid) for _, valid in problem.again]
