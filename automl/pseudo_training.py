"""A training problem with pseudo-labelled rows beside the true ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.engines.protocol import Folds, Problem
from automl.tallies import Values


def with_pseudo_labels(
    problem: Problem,
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    weights: Values,
    *,
    entities: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
) -> Problem:
    """The problem with further ``rows`` (p,), which train in every fold and are never validated on.

    ``entities`` names those of the problem's rows and of the further ones (None where a row has none): a further
    row is left out of the folds whose validation part holds its entity.
    """
    n = len(problem.y)
    more = np.arange(n, n + len(y), dtype=np.intp)

    def with_more(folds: Folds) -> Folds:
        return tuple(
            (np.concatenate([train, more[_apart(valid, entities)]]), valid) for train, valid in folds
        )

    true = np.ones(n) if problem.weights is None else problem.weights
    return replace(
        problem,
        X=pd.concat([problem.X, rows], ignore_index=True),
        y=np.concatenate([problem.y, y]),
        folds=with_more(problem.folds),
        again=with_more(problem.again),
        weights=np.concatenate([true, weights]),
    )


def _apart(
    valid: npt.NDArray[np.intp], entities: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None
) -> npt.NDArray[np.bool_] | slice:
    if entities is None:
        return slice(None)
    of_true, of_more = entities
    held = set(of_true[valid]) - {None}
    return np.array([entity is None or entity not in held for entity in of_more], dtype=bool)
