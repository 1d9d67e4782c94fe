"""A recipe: the family and parameters of each step of a pipeline, as JSON and as an estimator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from automl.engines.families import NOTHING, Family

Menu = tuple[tuple[Family, ...], ...]
"""The families of each step."""
Recipe = tuple[tuple[Family, Mapping[str, Any]], ...]


def to_config(recipe: Recipe) -> dict[str, Any]:
    """As JSON; :func:`from_config` reads it."""
    return {"steps": [{"family": family.name, "params": dict(params)} for family, params in recipe]}


def from_config(config: Mapping[str, Any], menu: Menu) -> Recipe | None:
    """The recipe, or None when the menu does not allow it (another version's, another problem's)."""
    wanted = config.get("steps")
    if not isinstance(wanted, list) or len(wanted) != len(menu):
        return None
    recipe = []
    for part, step in zip(wanted, menu, strict=True):
        family = next((family for family in step if family.name == part.get("family")), None)
        params = None if family is None else family.params(part.get("params") or {})
        if family is None or params is None:
            return None
        recipe.append((family, params))
    return tuple(recipe)


def defaults(menu: Menu) -> Iterator[Recipe]:
    """Each model at its default, with nothing before it."""
    nothing = tuple(next(family for family in step if family.name == NOTHING) for step in menu[:-1])
    for model in menu[-1]:
        yield (*((family, family.default) for family in nothing), (model, model.default))


def fit(
    recipe: Recipe,
    X: npt.NDArray[np.float64],
    y: npt.NDArray[Any],
    weights: npt.NDArray[np.float64] | None,
) -> Pipeline:
    """A fitted pipeline of the recipe's steps, without those that do nothing."""
    kept = [(family, params) for family, params in recipe if family.name != NOTHING]
    pipeline = Pipeline([(family.name, family.build(params)) for family, params in kept])
    extra = {} if weights is None else {f"{kept[-1][0].name}__sample_weight": weights}
    fitted: Pipeline = pipeline.fit(X, y, **extra)
    return fitted
