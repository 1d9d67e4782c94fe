"""Which recipes to mix for each series, by their errors at past origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.forecasting.backtest import Backtest
from automl.forecasting.recipes import NAIVE, Recipe

Values = npt.NDArray[np.float64]
MEMBERS = 5
"""Recipes mixed for one series at most."""
_WORST = 1.3
"""A member's loss is at most so many times the best one's."""
_BORROWED = 4.0
"""What all series say of a recipe counts for one series like so many origins of its own."""
_HALF_LIFE = 2.0
"""The newest origins count most: weights halve over this share (one over it) of the origins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """Recipes, and for each series its weights over them; ``usual`` are those of a series that has none of its own."""

    recipes: tuple[Recipe, ...]
    usual: Values
    weights: Mapping[str, Values]

    def of(self, name: str) -> Values:
        return self.weights.get(name, self.usual)

    def mixed(self, told: Values, names: tuple[str, ...]) -> Values:
        """The mean of forecasts (recipes, series, …) by weight; a recipe without a forecast gives its weight to the
        others."""
        shares = np.stack([self.of(name) for name in names], axis=1)
        shares = shares.reshape(shares.shape + (1,) * (told.ndim - 2))
        there = np.isfinite(told)
        shares = np.where(there, shares, 0.0)
        whole = shares.sum(axis=0)
        sums = np.sum(shares * np.where(there, told, 0.0), axis=0)
        return np.where(whole > 0, sums / np.where(whole > 0, whole, 1.0), np.nan)

    def to_json(self) -> dict[str, Any]:
        return {
            "recipes": [one.to_json() for one in self.recipes],
            "usual": self.usual.tolist(),
            "weights": {name: shares.tolist() for name, shares in self.weights.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Blend:
        """The inverse of :meth:`to_json`."""
        return cls(
            recipes=tuple(Recipe.from_json(one) for one in data["recipes"]),
            usual=np.asarray(data["usual"], dtype=np.float64),
            weights={name: np.asarray(one, dtype=np.float64) for name, one in data["weights"].items()},
        )


def blend(tried: Backtest, *, members: int = MEMBERS) -> Blend:
    """The mix for each series of the recipes that did best there, and on all series.

    Raises ValueError when nothing was tried.
    """
    if not tried.recipes:
        raise ValueError("no recipe was tried, so none can be mixed")
    losses = np.stack([tried.losses(recipe) for recipe in tried.recipes])  # (recipes, series, origins)
    own, counts = _own(losses)
    everywhere = _everywhere(own, counts)
    usual = _shares(everywhere, members)
    weights: dict[str, Values] = {}
    for at, name in enumerate(tried.names):
        if counts[at] > 0:
            relative = own[:, at] / _middle(own[:, at])
            seen = (counts[at] * relative + _BORROWED * everywhere) / (counts[at] + _BORROWED)
            single = len(tried.names) == 1
            weights[name] = _shares(own[:, at] if single else seen, members)
    return _used(tried.recipes, usual, weights)


def _own(losses: Values) -> tuple[Values, npt.NDArray[np.int64]]:
    """Each recipe's mean loss on each series, newer origins counting more, and how many origins there are."""
    there = ~np.isnan(losses[0])
    age = np.arange(losses.shape[2])[::-1]
    newness = 0.5 ** (_HALF_LIFE * age / max(1, losses.shape[2]))
    shares = np.where(there, newness, 0.0)
    whole = np.maximum(shares.sum(axis=1), 1e-12)
    sums = np.sum(
        np.where(there[None], np.nan_to_num(losses, nan=0.0, posinf=np.inf), 0.0) * shares[None], axis=2
    )
    return np.asarray(sums / whole), there.sum(axis=1)


def _everywhere(own: Values, counts: npt.NDArray[np.int64]) -> Values:
    """Each recipe's loss over all series, in units of the median recipe's there."""
    used = np.flatnonzero(counts > 0)
    if not len(used):
        return np.ones(len(own))
    return np.asarray(np.mean([own[:, at] / _middle(own[:, at]) for at in used], axis=0))


def _middle(losses: Values) -> float:
    finite = losses[np.isfinite(losses)]
    return float(np.median(finite)) if len(finite) and np.median(finite) > 0 else 1.0


def _shares(losses: Values, members: int) -> Values:
    """Weights by inverse squared loss of the best recipes; equal recipes count once."""
    order = np.argsort(losses, kind="stable")
    best = max(float(losses[order[0]]), 1e-12)
    shares = np.zeros(len(losses))
    chosen: list[int] = []
    for at in order:
        if len(chosen) == members or not losses[at] <= _WORST * best:
            break
        chosen.append(int(at))
        shares[at] = 1.0 / max(float(losses[at]), 1e-12) ** 2
    if not chosen:
        shares[0] = 1.0
    return np.asarray(shares / shares.sum())


def _used(recipes: tuple[Recipe, ...], usual: Values, weights: Mapping[str, Values]) -> Blend:
    """Without recipes of which nobody makes use; the naive one stays, for what the others can't take."""
    kept = [
        at
        for at, recipe in enumerate(recipes)
        if recipe.kind == NAIVE.kind or usual[at] > 0 or any(one[at] > 0 for one in weights.values())
    ]
    return Blend(
        recipes=tuple(recipes[at] for at in kept),
        usual=usual[kept],
        weights={name: one[kept] for name, one in weights.items()},
    )
