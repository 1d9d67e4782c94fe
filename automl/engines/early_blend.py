"""A blend before the engines begin: of the models of past runs that were tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from automl.candidate import Candidate
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.blending import ENGINE, IN_CONFIG, ingredient
from automl.engines.choosing import BlendRule, Chosen, Limits, best_choice
from automl.engines.evaluation import Fold, Prepared
from automl.engines.plain import plain, requirements
from automl.engines.protocol import Start
from automl.engines.trials import Tried


def early_choice(
    kept: Sequence[Tried], prepared: Prepared, rule: BlendRule, limits: Limits, *, starts: Sequence[Start]
) -> Chosen | None:
    """Of what is ``kept``, those that still have their model of the last fold, blended where that is better by the rule."""
    again = [tried for tried in kept if tried.fitted is not None]
    if len(again) < 2:
        return None
    choice = best_choice(again, prepared, rule, limits, starts=starts)
    return choice if choice.used else None


def early_blend(choice: Chosen, prepared: Prepared) -> Candidate:
    """What is left if the search is ended early; its members are trained on the last fold's rows only."""
    made: list[tuple[Tried, float, Fold, Any]] = []
    for tried, share in choice.parts:
        assert tried.fitted is not None
        made.append((tried, share, *tried.fitted))
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
