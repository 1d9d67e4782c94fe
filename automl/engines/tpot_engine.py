"""TPOT: genetic programming over whole pipelines.

TPOT's own evolver, individuals and operators; what is replaced is where an individual is evaluated. TPOT
sends it to a Dask worker and, from the second one on, without a time limit; here it runs in this process on
our folds, with our metric and a limit, and is reported as it ends. The first generation is not left to
chance: the start, where it can be used, and each model's good default come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from tpot.evolvers import BaseEvolver
from tpot.search_spaces.nodes import EstimatorNode
from tpot.search_spaces.pipelines import ChoicePipeline, SequentialPipeline

from automl.engines import families, recipes
from automl.engines.evaluation import Fold, Prepared
from automl.engines.families import Shape
from automl.engines.limits import unheard_timeouts, within
from automl.engines.protocol import Start
from automl.engines.recipes import Menu, Recipe
from automl.engines.searcher import Searcher
from automl.engines.trials import SearchOver, Trials, Tried

_POPULATION = 10
_OBJECTIVE = "score"


class TpotEngine(Searcher):
    """TPOT behind the engine protocol.

    A start that was TPOT's is the first individual, and breeds like any other; one that this problem's
    families no longer allow (they depend on rows, columns and weights) is passed over, and the search begins
    from the defaults alone. With ``max_trials`` set, same problem and seed give the same candidate.
    """

    name = "tpot"

    def propose(self, trials: Trials, *, seed: int, starts: Sequence[Start] = ()) -> None:
        """Let TPOT breed until the time or the trials are used up."""
        menu = families.steps(_shape(trials.prepared, seed))
        read = [recipes.from_config(start.config, menu) for start in starts if start.engine == self.name]
        with unheard_timeouts():
            _evolve(trials, menu, seed, [recipe for recipe in read if recipe is not None])

    def refit(self, tried: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
        """Trained on all rows; TimeoutError when that takes longer than ``seconds``."""
        recipe = recipes.from_config(tried.config, families.steps(_shape(prepared, seed)))
        if recipe is None:
            raise AssertionError(f"a recipe that was tried can't be read back: {tried.config}")
        full = prepared.full
        with unheard_timeouts():
            return within(seconds, recipes.fit, recipe, full.X, full.y, full.weights)


class _Evolver(BaseEvolver):  # type: ignore[misc]
    """TPOT's evolver, evaluating one individual after another in this process."""

    def __init__(self, score: Callable[[Any], float], individuals: Iterator[Any], seed: int) -> None:
        self._score = score
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
            score = self._score(individual)
            self.population.update_column([individual], column_names=_OBJECTIVE, data=score)
            failed = "INVALID" if math.isnan(score) else None
            self.population.update_column([individual], column_names="Eval Error", data=failed)
        if len(individuals):
            self.population.remove_invalid_from_population(column_names="Eval Error")


def _evolve(trials: Trials, menu: Menu, seed: int, starts: Sequence[Recipe]) -> None:
    """Let TPOT breed until the time or the trials are used up."""

    def score(individual: Any) -> float:
        """Greater is better; NaN when it failed."""
        recipe = _recipe(individual, menu)
        name, config = recipe[-1][0].name, recipes.to_config(recipe)
        loss = trials.known(name, config)
        if loss is None:
            loss = trials.run(name, lambda seconds: _attempt(recipe, trials, seconds), lambda: config)
        return math.nan if loss is None else -loss

    try:
        _Evolver(score, _individuals(menu, seed, starts), seed).optimize()
    except SearchOver:
        return
    except Exception as failure:
        # TPOT gives up with a bare Exception when a whole first generation fails; the trials say more.
        if type(failure) is not Exception or not trials.errors:
            raise


def _individuals(menu: Menu, seed: int, starts: Sequence[Recipe]) -> Iterator[Any]:
    """The starts, the defaults, then any."""
    nodes = [[EstimatorNode(family.method, family.space()) for family in step] for step in menu]
    whole = SequentialPipeline([ChoicePipeline(choices) for choices in nodes])
    rng = np.random.default_rng(seed)
    for recipe in (*starts, *recipes.defaults(menu)):
        individual = whole.generate(rng)
        for choice, options, step, (family, params) in zip(
            individual.pipeline, nodes, menu, recipe, strict=True
        ):
            choice.node = options[step.index(family)].generate(rng)
            choice.node.hyperparameters = dict(params)
        yield individual
    while True:
        yield whole.generate(rng)


def _recipe(individual: Any, menu: Menu) -> Recipe:
    """What an individual stands for."""
    recipe = []
    for choice, step in zip(individual.pipeline, menu, strict=True):
        family = next(family for family in step if family.method is choice.node.method)
        params = family.params(choice.node.hyperparameters)
        if params is None:
            raise AssertionError(f"TPOT left the ranges of {family.name}: {choice.node.hyperparameters}")
        recipe.append((family, params))
    return tuple(recipe)


def _attempt(recipe: Recipe, trials: Trials, seconds: float) -> tuple[float, float]:
    def fit(fold: Fold) -> Any:
        return recipes.fit(recipe, fold.train.X, fold.train.y, fold.train.weights)

    score: tuple[float, float] = within(seconds, trials.prepared.cross_validate, fit, trials.keep)
    return score


def _shape(prepared: Prepared, seed: int) -> Shape:
    """Of all rows in size; no fold has fewer rows than a neighbour search may ask for."""
    return Shape(
        rows=len(prepared.full.y),
        fold_rows=min(len(fold.train.y) for fold in prepared.folds),
        columns=prepared.full.X.shape[1],
        n_classes=prepared.n_classes,
        weighted=prepared.full.weights is not None,
        seed=seed,
    )
