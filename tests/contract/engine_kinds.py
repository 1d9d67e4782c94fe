"""A start for each kind of model that our own engines may end with."""

from __future__ import annotations

from automl.engines import sklearn_settings
from automl.engines.families import Shape, steps
from automl.engines.portfolio import settings
from automl.engines.protocol import Problem, Start
from automl.engines.recipes import defaults, to_config

TREES = ("lgbm", "xgboost", "extra_tree", "rf", "xgb_limitdepth")


def kinds(name: str, problem: Problem) -> list[Start]:
    """None for an engine whose kinds are another's."""
    if name == "flaml":
        return [Start(engine=name, estimator=learner, config={}) for learner in (*TREES, "lrl2")]
    if name == "portfolio":
        shown = settings(rows=600, columns=20, n_classes=2, weighted=False, skewed=False)
        return [Start(engine=name, estimator="", config=setting.to_config()) for setting in shown]
    if name == "sklearn":
        return [
            Start(engine=name, estimator=one.kind, config=one.to_config())
            for one in sklearn_settings.defaults(len(problem.y))
        ]
    return _of_tpot(problem) if name == "tpot" else []


def _of_tpot(problem: Problem) -> list[Start]:
    shape = Shape(
        rows=len(problem.y), fold_rows=len(problem.y) // 2, columns=20, n_classes=2, weighted=False, seed=5
    )
    menu = steps(shape)
    recipes = [*defaults(menu), *(((step, step.default), *next(defaults(menu))[1:]) for step in menu[0])]
    recipes.append((*next(defaults(menu))[:1], (menu[1][1], menu[1][1].default), *next(defaults(menu))[2:]))
    return [Start(engine="tpot", estimator="", config=to_config(recipe)) for recipe in recipes]
