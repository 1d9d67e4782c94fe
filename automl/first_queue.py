"""Which rows to label first, when no model is there to be unsure of any: typical ones, as different as can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.labelling import Queue, QueueRule, Why, company, together, with_new
from automl.surroundings import Surroundings
from automl.tallies import Positions, Values

__all__ = ["first_queue"]


def first_queue(
    features: npt.NDArray[Any],
    wanted: int,
    rule: QueueRule,
    *,
    seed: int,
    odd: npt.NDArray[np.bool_] | None = None,
) -> Queue:
    """The ``wanted`` rows of a pool of n to label first (all n where there are fewer): each in the midst of others,
    and unlike those before it. ``rule`` gives the shares of drawn and of odd rows, as in
    :func:`automl.labelling.queue`; ``features`` (n, d) is a matrix without gaps. The same arguments give the same queue.
    """
    n = len(features)
    if odd is not None and len(odd) != n:
        raise ValueError(f"odd must have a row for each of the {n:,} in the pool")
    wanted, random = min(wanted, n), np.random.default_rng(seed)
    around = Surroundings.of(np.asarray(features, dtype=np.float64), random)
    tie = np.asarray(random.random(size=(n,)), dtype=np.float64)
    count = wanted - rule.drawn(wanted)
    new, apart = company(odd, around, tie, rule, count)
    worth = np.where(apart, 0.0, 0.5 + 0.5 * around.density)
    chosen = _spread(worth, tie, min(count - len(new), int(np.sum(~apart))), around)
    both, reasons = with_new(chosen, [Why.TYPICAL] * len(chosen), new)
    return together(both, reasons, worth, wanted, random)


def _spread(worth: Values, tie: Values, count: int, around: Surroundings) -> Positions:
    """Rows in order, each the one worth most by its own worth times the distance to the nearest one before it."""
    left = worth + 1e-9 * tie
    nearest = np.full(len(worth), np.inf)
    chosen: list[int] = []
    for _ in range(count):
        value = left if not chosen else np.where(left < 0, -1.0, left * nearest)
        best = int(value.argmax())
        chosen.append(best)
        apart = np.square(around.scaled - around.scaled[best]).sum(axis=1)
        nearest = np.minimum(nearest, np.sqrt(apart))
        left[best] = -1.0
    return np.array(chosen, dtype=np.intp)
