"""One search's trials: the time each may take, what each gave, and the winner trained on all rows."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from automl.candidate import Candidate
from automl.engines.allowance import Allowance
from automl.engines.evaluation import Floats, Fold, Prepared, Sample
from automl.engines.plain import plain, requirements
from automl.engines.protocol import Start, Trial
from automl.engines.rebuilding import described
from automl.errors import AutoMLError, SearchFailed

_CAUTION = 1.25
"""Training on all rows is expected to take so much longer than its rows alone would say."""


class Hopeless(AutoMLError):
    """A trial is so far behind on its first folds that the rest is not worth the time. Never leaves this package."""


class SearchOver(AutoMLError):
    """The time, or the trials, are used up. Ends an engine's own loop and never leaves ``automl.engines``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A trial that has a score, in the metric's own sign. ``refit_seconds``: expected, on all rows.

    ``answers`` are those to the validation rows of each fold, of a model that was not trained on them,
    ``fold_scores`` their scores; ``row_seconds`` is what one row takes to be answered. ``model`` describes one of the
    past that was built again, ``fitted`` is the model of the last fold, as long as it may be needed, and ``likeness``
    what describes the model, of the past or not, where that can be said.
    """

    engine: str
    estimator: str
    config: Mapping[str, Any]
    score: float
    refit_seconds: float
    answers: tuple[npt.NDArray[np.float32], ...] = field(default=(), repr=False, compare=False)
    fold_scores: tuple[float, ...] = ()
    row_seconds: float = 0.0
    model: Mapping[str, Any] | None = None
    fitted: tuple[Fold, Any] | None = field(default=None, repr=False, compare=False)
    likeness: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def is_again(self, start: Start) -> bool:
        """Whether this is the trial of a model of the past."""
        return self.model is not None and self.engine == start.engine and self.config == start.config


def best_of_each_kind(ranked: Sequence[Tried]) -> tuple[list[Tried], list[Tried]]:
    """The first of each kind of model of each engine, and the others, both in the order in which they are ranked."""
    first: dict[tuple[str, str], Tried] = {}
    for tried in ranked:
        first.setdefault((tried.engine, tried.estimator), tried)
    chosen = set(map(id, first.values()))
    return list(first.values()), [tried for tried in ranked if id(tried) not in chosen]


class Turns(Protocol):
    """Who may try now, where several engines search at once: a context for each trial of ``engine``."""

    def turn(self, engine: str) -> AbstractContextManager[None]: ...


class Alone:
    """No one else searches."""

    def turn(self, engine: str) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(slots=True, kw_only=True)
class Trials:
    """Runs, reports and remembers the trials of one engine's search.

    Where several search at once, ``turns`` says who may try, ``hear`` is told of each trial with a score, and
    ``behind`` says of a trial's scores on its first folds whether to give it up. ``model`` describes what is tried where
    that is one of the past; ``done`` are this engine's trials of this search from before it began.
    """

    engine: str
    prepared: Prepared
    allowance: Allowance
    report: Callable[[Trial], None]
    offer: Callable[[Candidate], object] = lambda candidate: None
    max_trials: int | None = None
    turns: Turns = field(default_factory=Alone)
    hear: Callable[[Tried], None] = lambda tried: None
    behind: Callable[[list[float]], bool] = lambda scores: False
    model: Mapping[str, Any] | None = None
    done: Sequence[Tried] = ()
    tried: list[Tried] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    count: int = 0
    seconds: float = 0.0
    _fitted: tuple[Fold, Any] | None = None
    _answers: list[npt.NDArray[np.float32]] = field(default_factory=list)
    _scores: list[float] = field(default_factory=list)
    left: Candidate | None = None

    def __post_init__(self) -> None:
        self.allowance.refit_ratio = _CAUTION * self.prepared.refit_ratio

    def run(
        self,
        estimator: str,
        attempt: Callable[[float], tuple[float, float]],
        config: Callable[[], Mapping[str, Any]],
    ) -> float | None:
        """The loss of one configuration, None when it failed.

        ``attempt`` gets the seconds it may train for and gives score and seconds of training; ``config`` is
        asked afterwards. Raises SearchOver instead of beginning what can't end in time.
        """
        with self.turns.turn(self.engine):
            seconds = self.allowance.trial_seconds()
            if not seconds or (self.max_trials is not None and self.count >= self.max_trials):
                raise SearchOver("no time, or no trial, is left")
            self.count += 1
            return self._run(estimator, lambda: attempt(seconds), config)

    def known(self, estimator: str, config: Mapping[str, Any]) -> float | None:
        """The loss of what was done before the engine began, None of anything else: to try it again would tell nothing.

        Raises SearchOver where nothing more would be begun.
        """
        if self.done and not self.allowance.trial_seconds():
            raise SearchOver("no time is left")
        for tried in self.done:
            if tried.estimator == estimator and _alike(tried.config, config):
                return self.prepared.loss(tried.score)
        return None

    def _run(
        self,
        estimator: str,
        attempt: Callable[[], tuple[float, float]],
        config: Callable[[], Mapping[str, Any]],
    ) -> float | None:
        began = time.perf_counter()
        score, error, training, whole = None, None, 0.0, True
        self._answers, self._scores = [], []
        try:
            score, training = attempt()
        except Hopeless:
            score, whole = float(np.mean(self._scores)), False
        except Exception as failure:  # a configuration may fail in any way it likes
            error = f"{type(failure).__name__}: {failure}"
            self.errors.append(f"{estimator}: {error}")
        took = time.perf_counter() - began
        self.seconds += took
        made = config()
        self.report(
            Trial(
                engine=self.engine,
                estimator=estimator,
                score=score,
                seconds=took,
                config=made,
                error=error,
            )
        )
        if score is None:
            return None
        if whole:
            self._remember(estimator, made, score, training)
        return self.prepared.loss(score)

    def _remember(self, estimator: str, config: Mapping[str, Any], score: float, training: float) -> None:
        tried = Tried(
            engine=self.engine,
            estimator=estimator,
            config=config,
            score=score,
            refit_seconds=_CAUTION * training * self.prepared.refit_ratio,
            answers=tuple(self._answers),
            fold_scores=tuple(self._scores),
            row_seconds=self._row_seconds(),
            model=self.model,
            fitted=self._fitted,
            likeness=None if self._fitted is None else described(self._fitted[1], as_trained=True),
        )
        self.hear(tried)
        # Answers are the listener's to keep: those of hundreds of trials would fill the memory.
        self.tried.append(replace(tried, answers=(), fitted=None))
        best = self.ranked()[0]
        self.allowance.refit_seconds = best.refit_seconds
        if best is self.tried[-1] and self._fitted is not None:
            fold, model = self._fitted
            self.left = self._candidate(best, model, fold.preprocessing, fold.train, partial=True)
            self.offer(self.left)

    def _row_seconds(self) -> float:
        if self._fitted is None:
            return 0.0
        fold, model = self._fitted
        ask = model.predict_proba if self.prepared.n_classes else model.predict
        began = time.perf_counter()
        ask(fold.X[:1])
        return time.perf_counter() - began

    def keep(self, fold: Fold, model: Any, answers: Floats, score: float) -> None:
        """Remember what the trial under way gave on a fold. Raises Hopeless when it is given up."""
        self._fitted = (fold, model)
        self._answers.append(answers.astype(np.float32))
        self._scores.append(score)
        more = len(self._scores) < len(self.prepared.folds)
        if more and self.tried and self.behind(self._scores):  # an engine's first score is a whole one
            raise Hopeless("far behind on its first folds")

    def ranked(self) -> list[Tried]:
        """What has a score, best first; the earlier of equals first."""
        return sorted(self.tried, key=lambda tried: self.prepared.loss(tried.score))

    def winner(self, fit: Callable[[Tried, float], Any]) -> Candidate:
        """The best configuration that can be trained on all rows in the time left, as a candidate.

        ``fit`` trains one on all rows within so many seconds. After one that failed, those that are not
        expected to end in time are passed over. When none can be trained on all rows, the best of one fold is
        left; raises SearchFailed when nothing was ever trained.
        """
        for at, tried in enumerate(self.ranked()):
            limit = self.allowance.refit_limit()
            if at and tried.refit_seconds > limit:
                continue
            try:
                model = fit(tried, limit)
            except Exception as failure:  # what worked on every fold may still fail on all rows
                self.errors.append(f"{tried.estimator} on all rows: {type(failure).__name__}: {failure}")
                continue
            return self._candidate(tried, model, self.prepared.preprocessing, self.prepared.full)
        if self.left is not None:
            return self.left
        raise SearchFailed(self.why())

    def _candidate(
        self, tried: Tried, model: Any, preprocessing: Pipeline, rows: Sample, *, partial: bool = False
    ) -> Candidate:
        pipeline = plain(preprocessing, model, present=rows.present, n_classes=self.prepared.n_classes)
        return Candidate(
            engine=self.engine,
            estimator=tried.estimator,
            pipeline=pipeline,
            score=tried.score,
            config=tried.config,
            requirements=requirements(pipeline),
            partial=partial,
        )

    def why(self) -> str:
        budget = self.allowance.budget_seconds
        if not self.errors:
            return f"nothing could be tried within {budget:.3g} s: raise the budget or send fewer rows"
        return f"everything tried failed ({len(self.errors)} times), the last with {self.errors[-1]}"


def _alike(one: Any, other: Any) -> bool:
    """Equal but for what a way through logarithms does to a number."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(other, int | float) and math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, and one thread for BLAS and OpenMP: on a small machine two that wait for each other are
    far slower than one."""
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        yield
