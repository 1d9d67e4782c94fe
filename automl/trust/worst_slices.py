"""Where the challenger is worst: parts of the rows that nobody named, found by a shallow tree on its losses.

A tree that looks for high losses finds some by chance as well. So it is grown on one half of the holdout, and what it
found is measured on the other half, where nothing was chosen. (Slice finding by trees: Chung et al., Slice Finder, 2019.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
from sklearn.tree import DecisionTreeRegressor

from automl.metrics import metric
from automl.resampling import holm
from automl.trust.exhibit import Answers, Exhibit
from automl.trust.sides import Side, sides
from automl.trust.slice_words import said

MOST = 5
DEPTH = 3
LEAST_ROWS = 200
LEAST_SHARE = 0.02
LEAST_SUPPORT = 30
ALPHA = 0.05

Losses = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstSlice:
    """A part of the rows: in how many of the ``rows`` measured it holds, its mean loss there and everywhere else, and
    between what the difference lies (95%). ``sure`` says that it is worse with 95% confidence over all slices told.
    ``champion`` is the champion's mean loss there; None where there is none."""

    slice: str
    support: int
    loss: float
    elsewhere: float
    lower: float
    upper: float
    sure: bool
    champion: float | None

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def worst_slices(exhibit: Exhibit) -> dict[str, Any]:
    """The slices, the worst first, the loss that they are measured in, and the rows of the half they were measured on."""
    y = exhibit.whole_y
    name, losses = row_losses(exhibit.metric, y, exhibit.challenger.whole)
    told: dict[str, Any] = {"loss": name, "rows": 0, "slices": [], "not_measured": None}
    if losses is None or len(y) < 2 * LEAST_ROWS:
        reason = (
            "the metric has no loss of single rows" if losses is None else f"there are only {len(y):,} rows"
        )
        return {**told, "not_measured": reason}
    features = sides(exhibit.schema, exhibit.features, exhibit.whole)
    finding = np.random.default_rng(exhibit.seed).permutation(len(y)) < len(y) // 2
    if not features or np.ptp(losses[finding]) == 0:
        return {**told, "not_measured": "all rows are answered equally well"}
    tree = _tree(features, losses, finding)
    champion = None
    if exhibit.champion is not None:
        champion = row_losses(exhibit.metric, y, exhibit.champion.whole)[1]
    measured = _measured(tree, features, losses, champion, ~finding)
    return {**told, "rows": int((~finding).sum()), "slices": [one.to_json() for one in measured]}


def row_losses(name: str, y: npt.NDArray[Any], answers: Answers) -> tuple[str, Losses | None]:
    """Each row's loss and its name: the metric's own, or log loss where it only ranks; None for answers that are none."""
    measure = metric(name)
    if measure.row_losses is None and measure.needs == "probabilities":
        name, measure = "log_loss", metric("log_loss")
    elif measure.row_losses is None:
        name, measure = "rmse", metric("rmse")
    if measure.fault(answers, len(y)) is not None:
        return name, None
    return name, measure.losses(y, answers)


def _tree(features: Sequence[Side], losses: Losses, finding: npt.NDArray[np.bool_]) -> DecisionTreeRegressor:
    leaf = max(LEAST_SUPPORT, math.ceil(LEAST_SHARE * finding.sum()))
    matrix = np.column_stack([one.values for one in features]).astype(np.float32)
    # One row in which a model is surely and wrongly certain must not make a leaf of its own.
    capped = np.minimum(losses[finding], np.quantile(losses[finding], 0.99))
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=leaf, random_state=0)
    return tree.fit(matrix[finding], capped)


def _measured(
    tree: DecisionTreeRegressor,
    features: Sequence[Side],
    losses: Losses,
    champion: Losses | None,
    measuring: npt.NDArray[np.bool_],
) -> list[WorstSlice]:
    """The leaves with the highest losses, measured on rows that the tree has not seen."""
    matrix = np.column_stack([one.values for one in features]).astype(np.float32)[measuring]
    leaves = tree.apply(matrix)
    means = {leaf: float(tree.tree_.value[leaf].ravel()[0]) for leaf in np.unique(leaves)}
    overall = float(tree.tree_.value[0].ravel()[0])
    chosen = sorted((leaf for leaf in means if means[leaf] > overall), key=lambda leaf: -means[leaf])[:MOST]
    here = losses[measuring]
    found = [(leaf, leaves == leaf) for leaf in chosen if (leaves == leaf).sum() >= LEAST_SUPPORT]
    tests = [_apart(here[inside], here[~inside]) for _, inside in found]
    adjusted = holm([p for _, _, p in tests])
    slices = [
        WorstSlice(
            slice=said(tree, features, int(leaf)),
            support=int(inside.sum()),
            loss=float(here[inside].mean()),
            elsewhere=float(here[~inside].mean()),
            lower=lower,
            upper=upper,
            sure=p <= ALPHA,
            champion=None if champion is None else float(champion[measuring][inside].mean()),
        )
        for (leaf, inside), (lower, upper, _), p in zip(found, tests, adjusted, strict=True)
    ]
    return sorted(slices, key=lambda one: one.elsewhere - one.loss)


def _apart(inside: Losses, outside: Losses) -> tuple[float, float, float]:
    """Between what the difference of means lies (95%), and how surprising it were if the slice were not worse (Welch)."""
    gap = float(inside.mean() - outside.mean())
    parts = [float(one.var(ddof=1)) / len(one) for one in (inside, outside)]
    error = math.sqrt(sum(parts))
    if error <= 1e-12 * abs(gap):  # neither varies
        return gap, gap, 0.0 if gap > 0 else 1.0
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(one) - 1) for part, one in zip(parts, (inside, outside), strict=True)
    )
    reach = error * float(scipy.special.stdtrit(freedom, 0.975))
    return gap - reach, gap + reach, float(scipy.special.stdtr(freedom, -gap / error))
