"""All engines of a run at once: budget, blend, starts, failures."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from installed_plugins import install

from automl.candidate import Candidate
from automl.engines import engine
from automl.engines.choosing import BlendRule
from automl.engines.contract import problems
from automl.engines.protocol import Problem, Start, Trial
from automl.engines.race import Raced, RaceRule, race
from automl.errors import SearchFailed
from automl.metrics import metric
from automl.snapshot import other_folds

pytestmark = pytest.mark.slow

ALL = {"portfolio": 0.3, "flaml": 0.4, "tpot": 0.3}


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Importing an engine takes seconds, or many where the machine is busy: no budget here is to go on that."""
    for name in ALL:
        engine(name)


def raced(
    problem: Problem, *, budget: float = 6.0, rule: RaceRule | None = None, starts: tuple[Start, ...] = ()
) -> tuple[Raced, list[Trial], list[Candidate]]:
    trials: list[Trial] = []
    offers: list[Candidate] = []
    found = race(
        problem,
        rule or RaceRule(shares=ALL, at_once=2),
        budget_seconds=budget,
        seed=3,
        report=trials.append,
        starts=starts,
        offer=offers.append,
    )
    return found, trials, offers


def test_every_engine_gets_its_turn_and_the_best_or_a_blend_stands() -> None:
    problem = problems.mixed()
    found, trials, offers = raced(problem, budget=8)
    assert {trial.engine for trial in trials} == set(ALL)
    assert {name: part.trials for name, part in found.parts.items()} == {
        name: sum(trial.engine == name for trial in trials) for name in ALL
    }
    measure = metric(problem.task.metric)
    best = min(part.score for part in found.parts.values() if part.score is not None)
    assert measure.gain(found.candidate.score, best) >= -1e-9
    assert (found.candidate.engine == "blend") == found.blend["used"]
    assert found.blend["reason"]
    gains = [measure.gain(later.score, earlier.score) for earlier, later in itertools.pairwise(offers)]
    assert all(gain > 0 for gain in gains)
    assert all(offer.partial for offer in offers)
    again = pickle.loads(pickle.dumps(found.candidate.pipeline))
    np.testing.assert_array_equal(
        again.predict_proba(problem.X), found.candidate.pipeline.predict_proba(problem.X)
    )


def test_the_budget_holds_from_the_beginning_to_the_trained_model() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(20_000, 20)), columns=[f"c{at}" for at in range(20)])
    labels = (X.iloc[:, :5].sum(axis=1).to_numpy() + rng.normal(size=20_000) > 0).astype(int)
    problem = problems.problem_of(X, labels, metric="roc_auc")
    began = time.perf_counter()
    found, _, offers = raced(problem, budget=8)
    assert time.perf_counter() - began < 1.2 * 8 + 5
    assert found.candidate.score > 0.8
    assert offers


def test_a_blend_is_asked_for_or_not() -> None:
    problem = problems.multiclass()
    found, _, _ = raced(problem, rule=RaceRule(shares={"portfolio": 1.0}, blend=None))
    assert found.candidate.engine == "portfolio"
    strict = RaceRule(shares={"portfolio": 1.0}, blend=BlendRule(margin=10.0))
    found, _, _ = raced(problem, rule=strict)
    assert found.candidate.engine == "portfolio"
    assert not found.blend["used"]
    reasons = ("not more than 10", "alone", "there was not time")  # the last where the machine stands still
    assert any(reason in found.blend["reason"] for reason in reasons)


def test_the_best_get_a_second_look_in_the_time_that_training_leaves() -> None:
    problem = problems.multiclass()
    problem = replace(problem, again=other_folds(problem.y, task=problem.task, seed=3))
    plateau = RaceRule(shares={"portfolio": 1.0}, patience=0.05)  # it ends long before its budget does
    found, trials, _ = raced(problem, budget=40, rule=plateau)
    assert 0 < found.blend["looked_again"] <= len(trials)
    assert math.isfinite(found.candidate.score)
    none, _, _ = raced(problems.multiclass(), budget=2, rule=RaceRule(shares={"portfolio": 1.0}))
    assert none.blend["looked_again"] == 0


def test_starts_are_tried_first_by_their_own_engine() -> None:
    problem = problems.regression()
    _, trials, _ = raced(problem, budget=4, rule=RaceRule(shares={"portfolio": 1.0}))
    scored = [trial for trial in trials if trial.score is not None]
    best = min(scored, key=lambda trial: trial.score or 0.0)
    config: Any = json.loads(json.dumps(dict(best.config)))
    starts = (
        Start(engine="portfolio", estimator=best.estimator, config=config),
        Start(engine="tpot", estimator="Gone", config={}),
    )
    _, again, _ = raced(problem, budget=2, rule=RaceRule(shares={"portfolio": 1.0}), starts=starts)
    assert again[0].config == best.config
    assert again[0].score == pytest.approx(best.score, rel=0.01)


def starts_of(candidate: Candidate) -> tuple[Start, ...]:
    stored = json.loads(json.dumps([dict(part) for part in candidate.recipe]))
    return tuple(
        Start(
            **{name: part[name] for name in ("engine", "estimator", "config", "model")}, share=part["weight"]
        )
        for part in stored
    )


@pytest.mark.parametrize("make", [problems.mixed, problems.regression])
def test_what_past_models_were_made_of_is_tried_before_anything_else_and_blended_soon(
    make: Callable[[], Problem],
) -> None:
    problem = make()
    before, _, _ = raced(problem, budget=12)
    assert sum(part["weight"] for part in before.candidate.recipe) == pytest.approx(1.0)
    starts = starts_of(before.candidate)
    assert all(start.model is not None for start in starts)
    found, trials, offers = raced(problem, budget=12, starts=starts)
    members = sum(start.share > 0 for start in starts)
    first = trials[: max(1, members - 1)]  # two are under way at once, and kinds that the past lacks follow
    assert all(dict(trial.config) in [dict(start.config) for start in starts] for trial in first)
    assert [trial.error for trial in first] == [None] * len(first)
    assert {name: part.trials for name, part in found.parts.items()} == {
        name: sum(trial.engine == name for trial in trials) for name in ALL
    }
    if sum(start.share > 0 for start in starts) > 1:
        blends = [one.seconds for one in found.progress if one.engine == "blend"]
        early = [offer for offer in offers if offer.engine == "blend"]
        assert blends[0] < 0.5 * 12
        assert early[0].partial
        assert len(early[0].recipe) > 1
        assert np.isfinite(early[0].pipeline.predict(problem.X).astype(float)).all()
    seconds = [one.seconds for one in found.progress]
    assert seconds == sorted(seconds)
    gains = [
        metric(problem.task.metric).gain(later.score, earlier.score)
        for earlier, later in itertools.pairwise(found.progress)
    ]
    assert all(gain > 0 for gain in gains)


def test_a_past_model_is_trained_again_where_its_engine_is_not_in_the_policy() -> None:
    problem = problems.regression()
    made = {"class": "sklearn.linear_model._ridge.Ridge", "params": {"alpha": 0.5}}
    start = Start(engine="gone", estimator="ridge", config={"any": 1}, model=made)
    broken = Start(engine="gone", estimator="none", config={}, model={"class": "os.system", "params": {}})
    rule = RaceRule(shares={"tpot": 1.0}, blend=None)
    found, trials, _ = raced(problem, budget=3, rule=rule, starts=(broken, start))
    assert [(trial.engine, trial.estimator) for trial in trials[:2]] == [("gone", "none"), ("gone", "ridge")]
    assert "no package that a server has" in str(trials[0].error)
    assert trials[1].error is None
    if found.candidate.engine == "gone":
        assert type(found.candidate.pipeline.steps[-1][1]).__name__ == "Ridge"


def test_a_search_ends_early_when_nothing_better_comes() -> None:
    problem = problems.multiclass()
    began = time.perf_counter()
    raced(problem, budget=30, rule=RaceRule(shares={"portfolio": 1.0}, patience=0.05))
    assert time.perf_counter() - began < 25


@pytest.mark.parametrize("other", ["portfolio", "sklearn"])
def test_a_plug_in_that_breaks_leaves_the_others(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "acme", engines={"acme": "acme_engine:Acme"}, acme_engine="1 / 0")
    rule = RaceRule(shares={other: 0.5, "acme": 0.5, "gone": 0.5}, at_once=2)
    found, _, _ = raced(problems.binary(), budget=4, rule=rule)
    assert "engine 'acme' of acme 1.0 can't be loaded: ZeroDivisionError" in str(found.parts["acme"].error)
    assert "no engine 'gone' is installed; there are autogluon, flaml" in str(found.parts["gone"].error)
    assert found.candidate.score > 0.9


def test_an_engine_that_is_still_imported_when_the_time_is_over_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import time; time.sleep(12)\nclass Slow: pass"
    install(tmp_path, monkeypatch, "slow", engines={"slow": "slow_engine:Slow"}, slow_engine=source)
    began = time.perf_counter()
    found, _, _ = raced(problems.binary(), budget=3, rule=RaceRule(shares={"portfolio": 0.5, "slow": 0.5}))
    assert time.perf_counter() - began < 10
    assert not found.candidate.partial
    assert found.parts["slow"].error == "it was still being imported when the time for trials was over"


def test_what_is_raised_while_reporting_ends_the_search() -> None:
    def cancelled(trial: Trial) -> None:
        raise InterruptedError("cancelled")

    with pytest.raises(InterruptedError, match="cancelled"):
        race(problems.binary(), RaceRule(shares=ALL, at_once=2), budget_seconds=5, seed=1, report=cancelled)


def test_nothing_found_says_each_engines_reason() -> None:
    problem = problems.binary()
    positives = np.flatnonzero(problem.y == 1)
    folds = tuple((train, np.intersect1d(valid, positives)) for train, valid in problem.folds)
    with pytest.raises(SearchFailed, match=r"portfolio: everything tried failed"):
        raced(replace(problem, folds=folds), budget=20, rule=RaceRule(shares={"portfolio": 1.0}))


def test_a_class_with_fewer_rows_than_folds_fails_nothing() -> None:
    from automl.snapshot import folds

    problem = problems.multiclass()
    rare = np.flatnonzero(problem.y == 2)[2:]
    kept = np.setdiff1d(np.arange(len(problem.y)), rare)
    y = problem.y[kept]
    small = replace(
        problem, X=problem.X.iloc[kept].reset_index(drop=True), y=y, folds=folds(y, task=problem.task, seed=1)
    )
    found, _, _ = raced(small, budget=5)
    assert found.candidate.pipeline.predict_proba(small.X).shape == (len(y), 3)
