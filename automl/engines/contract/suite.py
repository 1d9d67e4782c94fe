"""One suite for every engine: what :class:`automl.engines.searcher.Searcher` promises. Minutes of real searches."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from automl.candidate import Candidate
from automl.engines import engine
from automl.engines.contract import problems
from automl.engines.protocol import Problem, Start, Trial
from automl.engines.race import RaceRule, race
from automl.engines.searcher import Searcher
from automl.errors import SearchFailed
from automl.metrics import metric


class EngineContract:
    """Subclass it as ``class TestMine(EngineContract)`` with ``name = "mine"``, the name of the entry point.

    ``budget_seconds`` is what a short search needs for three trials on some hundred rows, start-up included.
    """

    name: ClassVar[str]
    budget_seconds: ClassVar[float] = 3.0

    def make(self, *, max_trials: int | None = None) -> Searcher:
        """The engine, found as a run finds it."""
        return engine(self.name, max_trials=max_trials)

    def kinds(self, problem: Problem) -> Sequence[Start]:
        """A start for each kind of model that the engine may end with, each of which has to be readable without it.
        None of them by default: then that is asked of one winner."""
        return ()

    def same(self, config: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
        """Whether a configuration that was given as a start is the one that was tried."""
        return dict(config) == dict(again)

    def search(
        self,
        problem: Problem,
        *,
        budget: float | None = None,
        trials: int | None = None,
        starts: Sequence[Start] = (),
    ) -> tuple[Candidate, list[Trial]]:
        reported: list[Trial] = []
        seconds = self.budget_seconds if budget is None else budget
        candidate = self.make(max_trials=trials).search(
            problem, budget_seconds=seconds, seed=5, report=reported.append, starts=starts
        )
        return candidate, reported

    @pytest.mark.parametrize("make", ["binary", "multiclass", "regression", "mixed"])
    def test_it_finds_a_model_that_beats_the_naive_one(self, make: str) -> None:
        problem: Problem = getattr(problems, make)()
        candidate, trials = self.search(problem)
        measure = metric(problem.task.metric)

        assert candidate.engine == self.name
        assert measure.gain(candidate.score, problems.naive_score(problem)) > 0
        scores = [trial.score for trial in trials if trial.score is not None]
        best = max(scores) if measure.greater_is_better else min(scores)
        assert candidate.score == best
        assert len(scores) >= 3
        assert {trial.engine for trial in trials} == {self.name}
        assert all(trial.seconds > 0 and trial.estimator for trial in trials)
        assert json.loads(json.dumps(dict(candidate.config))) == candidate.config
        if problem.task.is_classification:
            p = candidate.pipeline.predict_proba(problem.X)
            assert p.shape == (len(problem.X), len(problem.task.classes))
            assert np.allclose(p.sum(axis=1), 1)
            assert (candidate.pipeline.predict(problem.X) == p.argmax(axis=1)).mean() > 0.99
        else:
            assert candidate.pipeline.predict(problem.X).shape == (len(problem.X),)

    def test_the_score_is_the_projects_metric_on_the_problems_folds(self) -> None:
        problem = problems.mixed()
        candidate, _ = self.search(problem, budget=60, trials=2)
        scores = []
        for train, valid in problem.folds:
            again = problems.fitted_anew(candidate, problem, train)
            p = again.predict_proba(problem.X.iloc[valid])
            scores.append(metric("log_loss").score(problem.y[valid], p))
        assert candidate.score == pytest.approx(np.mean(scores), rel=1e-6)

    def test_the_candidate_was_trained_on_all_rows(self) -> None:
        problem = problems.mixed()
        candidate, _ = self.search(problem, budget=60, trials=1)
        again = problems.fitted_anew(candidate, problem, np.arange(len(problem.y)))
        np.testing.assert_allclose(
            again.predict_proba(problem.X), candidate.pipeline.predict_proba(problem.X), rtol=1e-6
        )

    def test_same_problem_seed_and_trials_give_the_same_candidate(self) -> None:
        problem = problems.multiclass()
        first, tried = self.search(problem, budget=60, trials=14)
        second, tried_again = self.search(problem, budget=60, trials=14)
        assert [(trial.estimator, trial.config, trial.score) for trial in tried] == [
            (trial.estimator, trial.config, trial.score) for trial in tried_again
        ]
        assert first.config == second.config
        np.testing.assert_array_equal(
            first.pipeline.predict_proba(problem.X), second.pipeline.predict_proba(problem.X)
        )

    def test_trials_are_reported_while_the_search_runs(self) -> None:
        at: list[float] = []
        self.make().search(
            problems.binary(),
            budget_seconds=self.budget_seconds,
            seed=1,
            report=lambda _: at.append(time.perf_counter()),
        )
        assert at[-1] - at[0] > 0.5

    def test_the_budget_holds_with_the_final_training_in_it(self) -> None:
        rng = np.random.default_rng(0)
        X = pd.DataFrame(rng.normal(size=(30_000, 40)), columns=[f"c{at}" for at in range(40)])
        labels = (X.iloc[:, :5].sum(axis=1).to_numpy() + rng.normal(size=30_000) > 0).astype(int)
        problem = problems.problem_of(X, labels, metric="roc_auc")
        budget = 2 * self.budget_seconds
        began = time.perf_counter()
        candidate, trials = self.search(problem, budget=budget)
        assert time.perf_counter() - began < budget * 1.5
        assert candidate.score > 0.8
        assert trials

    def test_what_is_raised_while_reporting_ends_the_search(self) -> None:
        def cancelled(trial: Trial) -> None:
            raise InterruptedError("cancelled")

        with pytest.raises(InterruptedError, match="cancelled"):
            self.make().search(
                problems.binary(), budget_seconds=self.budget_seconds + 2, seed=1, report=cancelled
            )

    def test_one_class_fails_and_says_so(self) -> None:
        problem = problems.binary()
        with pytest.raises(SearchFailed, match="one class only"):
            self.search(replace(problem, y=np.zeros_like(problem.y)))

    def test_no_time_fails_and_says_so(self) -> None:
        with pytest.raises(SearchFailed, match=r"nothing could be tried within 0\.001 s"):
            self.search(problems.binary(), budget=0.001)

    def test_folds_without_rows_of_two_classes_fail_and_say_so(self) -> None:
        problem = problems.binary()
        only = np.flatnonzero(problem.y == 1)
        with pytest.raises(SearchFailed, match="two classes"):
            self.search(replace(problem, folds=((only[:50], only[50:90]),)))

    def test_a_failing_metric_fails_every_trial_and_says_why(self) -> None:
        problem = problems.binary()
        positives = np.flatnonzero(problem.y == 1)
        folds = tuple((train, np.intersect1d(valid, positives)) for train, valid in problem.folds)
        with pytest.raises(SearchFailed, match=r"everything tried failed .* no value on any fold"):
            self.search(replace(problem, folds=folds), budget=30, trials=12)

    def test_columns_of_probabilities_stay_in_order_when_a_fold_lacks_a_class(self) -> None:
        problem = problems.multiclass()
        (train, valid), *others = problem.folds
        lacking = train[problem.y[train] != 1]
        changed = replace(problem, folds=((lacking, valid), *others))
        candidate, trials = self.search(changed, trials=14, budget=30)
        assert all(trial.error is None for trial in trials)
        right = candidate.pipeline.predict(problem.X) == problem.y
        assert right.mean() > 0.9

    def test_a_class_that_no_row_has_keeps_its_column(self) -> None:
        problem = problems.multiclass()
        known = np.flatnonzero(problem.y != 1)
        folds = ((np.setdiff1d(known, known[at::3]), known[at::3]) for at in range(3))
        left = replace(
            problem,
            X=problem.X.iloc[known].reset_index(drop=True),
            y=problem.y[known],
            folds=tuple(
                (np.searchsorted(known, train), np.searchsorted(known, valid)) for train, valid in folds
            ),
        )
        candidate, _ = self.search(left, trials=8, budget=30)
        p = candidate.pipeline.predict_proba(left.X)
        assert p.shape == (len(left.X), 3)
        assert (p[:, 1] == 0).all()
        assert (candidate.pipeline.predict(left.X) == left.y).mean() > 0.9
        again = pickle.loads(pickle.dumps(candidate.pipeline))
        np.testing.assert_array_equal(again.predict_proba(left.X), p)

    def test_rows_of_no_weight_teach_nothing(self) -> None:
        problem = problems.binary()
        wrong = np.random.default_rng(1).random(len(problem.y)) < 0.6
        lied = np.where(wrong, 1 - problem.y, problem.y)
        weights = np.where(wrong, 1e-6, 1.0)
        candidate, _ = self.search(replace(problem, y=lied, weights=weights), trials=12, budget=30)
        assert candidate.score > 0.95
        assert roc_auc_score(problem.y, candidate.pipeline.predict_proba(problem.X)[:, 1]) > 0.95

    def test_a_start_of_its_own_is_the_first_trial_and_scores_as_before(self) -> None:
        problem = problems.mixed()
        before, _ = self.search(problem, trials=12, budget=30)
        stored = json.loads(json.dumps(dict(before.config)))
        start = Start(engine=self.name, estimator=before.estimator, config=stored)
        after, trials = self.search(problem, trials=5, budget=30, starts=(start,))
        assert trials[0].estimator == before.estimator
        assert trials[0].score == pytest.approx(before.score, rel=1e-6)
        assert self.same(before.config, trials[0].config)
        assert metric("log_loss").gain(after.score, before.score) > -1e-6

    @pytest.mark.parametrize(
        ("of", "config"),
        [("another", {"n_estimators": 3}), (None, {"nonsense": 1}), (None, {"kind": "gone", "params": {}})],
    )
    def test_a_start_that_can_not_be_used_does_no_harm(self, of: str | None, config: dict[str, Any]) -> None:
        problem = problems.binary()
        start = Start(engine=of or self.name, estimator="gone", config=config)
        cold, tried = self.search(problem, trials=2, budget=30)
        _, warm = self.search(problem, trials=2, budget=30, starts=(start,))
        assert [trial.config for trial in warm] == [trial.config for trial in tried]
        assert cold.score > 0.9

    def test_nothing_is_printed_and_nothing_is_left_in_the_folder(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        recwarn: pytest.WarningsRecorder,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        candidate, _ = self.search(problems.mixed())
        candidate.pipeline.predict_proba(problems.mixed().X.head(3))
        assert capfd.readouterr() == ("", "")
        assert list(tmp_path.iterdir()) == []
        assert [str(warning.message) for warning in recwarn] == []

    def test_the_model_works_in_one_thread_and_names_what_it_needs(self) -> None:
        candidate, _ = self.search(problems.multiclass(), trials=8, budget=30)
        model = candidate.pipeline.steps[-1][1]
        assert model.get_params().get("n_jobs", 1) == 1
        assert {"scikit-learn", "numpy", "pandas"} <= set(candidate.requirements)
        assert all(version(package) == needed for package, needed in candidate.requirements.items())
        package = type(model).__module__.partition(".")[0]
        assert package == "sklearn" or package in candidate.requirements

    def test_every_kind_of_pipeline_is_read_and_predicts_where_no_engine_can_be_imported(
        self, tmp_path: Path
    ) -> None:
        problem = problems.mixed()
        kinds = self.kinds(problem)
        asked: Sequence[tuple[Start, ...]] = [(start,) for start in kinds] if kinds else [()]
        found = [self.search(problem, trials=1, budget=60, starts=starts) for starts in asked]
        for (_, trials), starts in zip(found, asked, strict=True):
            assert all(start.estimator in ("", trials[0].estimator) for start in starts)
        pipelines = [candidate.pipeline for candidate, _ in found]
        stored = tmp_path / "models.pickle"
        stored.write_bytes(
            pickle.dumps((problem.X, [(each, each.predict_proba(problem.X)) for each in pipelines]))
        )
        package = type(self.make()).__module__.partition(".")[0]
        blocked = [] if package == "automl" else [package]
        done = subprocess.run(
            [sys.executable, "-c", problems.READER, str(stored), *blocked],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "ok"

    def test_it_races_beside_another_engine_and_trains_what_won(self) -> None:
        problem, trials = problems.mixed(), list[Trial]()
        rule = RaceRule(shares={"portfolio": 0.2, self.name: 0.8}, at_once=2)
        found = race(problem, rule, budget_seconds=2 * self.budget_seconds + 4, seed=3, report=trials.append)
        part = found.parts[self.name]
        assert part.error is None
        assert part.score is not None
        assert part.trials == sum(trial.engine == self.name for trial in trials)
        measure = metric(problem.task.metric)
        assert measure.gain(found.candidate.score, part.score) >= -1e-9
