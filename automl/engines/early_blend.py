"""A blend before the engines begin: of the models of past runs that were tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from automl.candidate import Candidate
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.blending import ENGINE, IN_CONFIG, BlendRule, choose, ingredient, told
from automl.engines.evaluation import Fold, Prepared
from automl.engines.plain import plain, requirements
from automl.engines.trials import Allowance, Tried

_ROUNDS = 10


def early_blend(
    kept: Sequence[Tried],
    prepared: Prepared,
    rule: BlendRule,
    *,
    allowance: Allowance,
    at_once: int,
    seed: int,
) -> Candidate | None:
    """Of what is ``kept``, those that still have their model of the last fold, blended where that is better by the rule.

    What is left if the search is ended early; its members are trained on that fold's rows only.
    """
    again = [tried for tried in kept if tried.fitted is not None]
    choice, pool = choose(again, prepared, rule, allowance, at_once, seed, rounds=_ROUNDS)
    if choice is None or not told(choice, pool, rule, prepared)["used"]:
        return None
    made: list[tuple[Tried, float, Fold, Any]] = []
    for at, share in choice.weights.items():
        fitted = pool[at].fitted
        assert fitted is not None
        made.append((pool[at], share, *fitted))
    members, weights = [model for *_, model in made], [share for _, share, *_ in made]
    blended = BlendClassifier if prepared.n_classes else BlendRegressor
    fold = made[0][2]
    pipeline = plain(
        fold.preprocessing,
        blended(members=members, weights=weights),
        present=fold.train.present,
        n_classes=prepared.n_classes,
    )
    recipe = [ingredient(tried, share, model) for tried, share, _, model in made]
    return Candidate(
        engine=ENGINE,
        estimator=" + ".join(dict.fromkeys(tried.estimator for tried, *_ in made)),
        pipeline=pipeline,
        score=choice.score,
        config={"members": [{name: one[name] for name in IN_CONFIG} for one in recipe]},
        requirements=requirements(pipeline),
        partial=True,
        recipe=recipe,
    )
