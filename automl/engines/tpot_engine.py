"""TPOT: genetic programming over whole pipelines.

TPOT's own evolver, individuals and operators; what is replaced is where an individual is evaluated. TPOT
sends it to a Dask worker and, from the second one on, without a time limit; here it runs in this process on
our folds, with our metric and a limit, and is reported as it ends. The first generation is not left to
chance: the start, where it can be used, and each model's good default come first.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from func_timeout import FunctionTimedOut, func_timeout
from sklearn.pipeline import Pipeline
from tpot.evolvers import BaseEvolver
from tpot.search_spaces.nodes import EstimatorNode
from tpot.search_spaces.pipelines import ChoicePipeline, SequentialPipeline

from automl.candidate import Candidate
from automl.engines import families
from automl.engines.evaluation import Allowance, Prepared, one_thread, prepare
from automl.engines.families import NOTHING, Family, Shape
from automl.engines.plain import plain, requirements
from automl.engines.protocol import Problem, Start, Trial
from automl.errors import SearchFailed

_POPULATION = 10
_OBJECTIVE = "score"


class _TimeIsUp(Exception):
    """Ends TPOT's loop; never leaves this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A pipeline that has a score: (family, parameters) of each step, and its seconds of training."""

    steps: tuple[tuple[Family, Mapping[str, Any]], ...]
    score: float
    training: float

    @property
    def model(self) -> str:
        return self.steps[-1][0].name

    def build(self) -> Pipeline:
        return _build(self.steps)


@dataclass(slots=True, kw_only=True)
class _Trials:
    """Runs and remembers the trials of one search."""

    prepared: Prepared
    allowance: Allowance
    report: Callable[[Trial], None]
    menu: tuple[tuple[Family, ...], ...]
    max_trials: int | None
    tried: list[_Tried] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    count: int = 0

    def run(self, individual: Any) -> float:
        """The score of an individual with greater as better, NaN when it fails. Raises _TimeIsUp."""
        seconds = self.allowance.trial_seconds()
        if not seconds or (self.max_trials is not None and self.count >= self.max_trials):
            raise _TimeIsUp
        self.count += 1
        steps = _steps(individual, self.menu)
        began = time.perf_counter()
        score, error, training = None, None, 0.0
        try:
            score, training = func_timeout(seconds, self._cross_validate, args=(steps,))
        except FunctionTimedOut:
            error = f"stopped after {seconds:.2g} s"
        except Exception as failure:  # a random pipeline may fail in any way it likes
            error = f"{type(failure).__name__}: {failure}"
        self.report(_trial(steps, score, time.perf_counter() - began, error))
        if score is None:
            self.errors.append(f"{steps[-1][0].name}: {error}")
            return math.nan
        self.tried.append(_Tried(steps=steps, score=score, training=training))
        self.allowance.refit_seconds = self.ranked()[0].training * self.prepared.refit_ratio
        return -self.prepared.loss(score)

    def ranked(self) -> list[_Tried]:
        """What has a score, best first; the earlier of equals first."""
        return sorted(self.tried, key=lambda tried: self.prepared.loss(tried.score))

    def _cross_validate(self, steps: tuple[tuple[Family, Mapping[str, Any]], ...]) -> tuple[float, float]:
        """Mean score over the folds, and the seconds of training."""
        scores, training = [], 0.0
        for fold in self.prepared.folds:
            began = time.perf_counter()
            model = _fit(_build(steps), fold.train.X, fold.train.y, fold.train.weights)
            training += time.perf_counter() - began
            scores.append(self.prepared.score(fold, model))
        return self.prepared.mean(scores), training


class _Evolver(BaseEvolver):  # type: ignore[misc]
    """TPOT's evolver, evaluating one individual after another in this process."""

    def __init__(self, trials: _Trials, individuals: Iterator[Any], seed: int) -> None:
        self._trials = trials
        super().__init__(
            individual_generator=individuals,
            objective_functions=[],
            objective_function_weights=[1.0],
            objective_names=[_OBJECTIVE],
            population_size=_POPULATION,
            generations=math.inf,
            max_time_mins=math.inf,
            client=object(),  # no Dask cluster: nothing is ever sent to one
            verbose=0,
            rng=seed,
        )

    def evaluate_population_full(self, budget: Any = None) -> None:
        individuals = self.get_unevaluated_individuals(self.objective_names, budget=budget)
        for individual in individuals:
            score = self._trials.run(individual)
            self.population.update_column([individual], column_names=_OBJECTIVE, data=score)
            failed = "INVALID" if math.isnan(score) else None
            self.population.update_column([individual], column_names="Eval Error", data=failed)
        if len(individuals):
            self.population.remove_invalid_from_population(column_names="Eval Error")


class TpotEngine:
    """TPOT behind the engine protocol.

    A start that was TPOT's is the first individual, and breeds like any other; one that no longer fits the
    families this problem allows (their rules depend on rows, columns and weights) is passed over, and the
    search begins from the defaults alone. With ``max_trials`` set, same problem and seed give the same
    candidate.
    """

    def __init__(self, *, max_trials: int | None = None) -> None:
        self._max_trials = max_trials

    @property
    def name(self) -> str:
        return "tpot"

    def search(
        self,
        problem: Problem,
        *,
        budget_seconds: float,
        seed: int,
        report: Callable[[Trial], None],
        start: Start | None = None,
    ) -> Candidate:
        allowance = Allowance(budget_seconds=budget_seconds)
        with warnings.catch_warnings(), one_thread():
            warnings.simplefilter("ignore")
            prepared = prepare(problem, seed=seed)
            allowance.refit_ratio = prepared.refit_ratio
            trials = _Trials(
                prepared=prepared,
                allowance=allowance,
                report=report,
                menu=families.steps(_shape(prepared, seed)),
                max_trials=self._max_trials,
            )
            _evolve(trials, seed, start if start is not None and start.engine == self.name else None)
            best, model = _refit(trials, budget_seconds)
        pipeline = plain(
            prepared.preprocessing, model, present=prepared.full.present, n_classes=prepared.n_classes
        )
        return Candidate(
            engine=self.name,
            estimator=best.model,
            pipeline=pipeline,
            score=best.score,
            config=_config(best.steps),
            requirements=requirements(pipeline),
        )


def _shape(prepared: Prepared, seed: int) -> Shape:
    rows, columns = prepared.full.X.shape
    return Shape(
        rows=min(rows, min(len(fold.train.y) for fold in prepared.folds) if rows < 1_000 else rows),
        columns=columns,
        n_classes=prepared.n_classes,
        weighted=prepared.full.weights is not None,
        seed=seed,
    )


def _evolve(trials: _Trials, seed: int, start: Start | None) -> None:
    """Let TPOT breed until the time or the trials are used up."""
    nodes = [[EstimatorNode(family.method, family.space()) for family in step] for step in trials.menu]
    whole = SequentialPipeline([ChoicePipeline(choices) for choices in nodes])
    rng = np.random.default_rng(seed)

    def individuals() -> Iterator[Any]:
        for wanted in _first(trials.menu, start):
            individual = whole.generate(rng)
            for choice, options, step, (family, params) in zip(
                individual.pipeline, nodes, trials.menu, wanted, strict=True
            ):
                choice.node = options[step.index(family)].generate(rng)
                choice.node.hyperparameters = dict(params)
            yield individual
        while True:
            yield whole.generate(rng)

    try:
        _Evolver(trials, individuals(), seed).optimize()
    except _TimeIsUp:
        return
    except Exception:
        # TPOT gives up in its own words when a whole first generation fails; ours follow from the trials.
        if trials.tried or not trials.errors:
            raise


def _first(
    menu: tuple[tuple[Family, ...], ...], start: Start | None
) -> Iterator[tuple[tuple[Family, Mapping[str, Any]], ...]]:
    """The individuals to begin with: the start if it is usable, then each model at its default."""
    if start is not None and (wanted := _from_config(start.config, menu)) is not None:
        yield wanted
    nothing = [next(family for family in step if family.name == NOTHING) for step in menu[:-1]]
    for model in menu[-1]:
        yield (*((family, family.default) for family in nothing), (model, model.default))


def _steps(
    individual: Any, menu: tuple[tuple[Family, ...], ...]
) -> tuple[tuple[Family, Mapping[str, Any]], ...]:
    """What an individual stands for."""
    found = []
    for choice, step in zip(individual.pipeline, menu, strict=True):
        family = next(family for family in step if family.method is choice.node.method)
        params = family.params(choice.node.hyperparameters)
        found.append((family, family.default if params is None else params))
    return tuple(found)


def _config(steps: tuple[tuple[Family, Mapping[str, Any]], ...]) -> dict[str, Any]:
    return {"steps": [{"family": family.name, "params": dict(params)} for family, params in steps]}


def _from_config(
    config: Mapping[str, Any], menu: tuple[tuple[Family, ...], ...]
) -> tuple[tuple[Family, Mapping[str, Any]], ...] | None:
    """The inverse of :func:`_config`; None when the configuration does not fit the menu."""
    wanted = config.get("steps")
    if not isinstance(wanted, list) or len(wanted) != len(menu):
        return None
    found = []
    for part, step in zip(wanted, menu, strict=True):
        family = next((family for family in step if family.name == part.get("family")), None)
        params = None if family is None else family.params(part.get("params", {}))
        if family is None or params is None:
            return None
        found.append((family, params))
    return tuple(found)


def _build(steps: tuple[tuple[Family, Mapping[str, Any]], ...]) -> Pipeline:
    kept = [(family, params) for family, params in steps if family.name != NOTHING]
    return Pipeline([(family.name, family.build(params)) for family, params in kept])


def _fit(pipeline: Pipeline, X: Any, y: Any, weights: Any) -> Pipeline:
    last = pipeline.steps[-1][0]
    extra = {} if weights is None else {f"{last}__sample_weight": weights}
    fitted: Pipeline = pipeline.fit(X, y, **extra)
    return fitted


def _refit(trials: _Trials, budget: float) -> tuple[_Tried, Pipeline]:
    """The best that can be trained on all rows in the time left, trained."""
    full = trials.prepared.full
    for tried in trials.ranked():
        limit = trials.allowance.refit_limit()
        try:
            return tried, func_timeout(limit, _fit, args=(tried.build(), full.X, full.y, full.weights))
        except FunctionTimedOut:
            trials.errors.append(f"{tried.model}: training on all rows was stopped after {limit:.2g} s")
        except Exception as failure:  # what worked on every fold may still fail on all rows
            trials.errors.append(f"{tried.model} on all rows: {type(failure).__name__}: {failure}")
    if not trials.errors:
        raise SearchFailed(
            f"no pipeline could be tried within {budget:.3g} s: raise the budget or send fewer rows"
        )
    raise SearchFailed(f"every pipeline failed ({len(trials.errors)}), the last with {trials.errors[-1]}")


def _trial(
    steps: tuple[tuple[Family, Mapping[str, Any]], ...],
    score: float | None,
    seconds: float,
    error: str | None,
) -> Trial:
    return Trial(
        engine="tpot",
        estimator=steps[-1][0].name,
        score=score,
        seconds=seconds,
        config=_config(steps),
        error=error,
    )
