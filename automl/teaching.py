"""What the champion says of rows without a label, and how far it can be believed.

One model can't say how far models disagree. So the champion speaks together with clones of itself, each trained anew
on the truly labelled rows but one fold of them, whose rows it can then be held to. A speaker is one clone and the
champion, half each, held to rows that neither was trained on; where hardly any row is new to the champion, it
could not be held to anything, and its clones speak alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from automl.engines.protocol import Folds
from automl.refit import trained_anew
from automl.scoring import aligned, predictions
from automl.tallies import Positions, Values
from automl.task import Label, Task

LEAST_NEW = 50
"""Rows that the champion must not have been trained on, for its own word to count."""
_MOST_ROWS = 20_000
"""Rows a clone is trained on at most, drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Probabilities in the order of the task's classes, as :mod:`automl.pseudo_labels` takes them.

    ``pool`` (M, n, K) and ``judged`` (M, h, K) are those of M models; ``calibration`` (m, K) their mean for the
    labelled rows at ``positions`` (m,), none of which was trained on by a model that speaks of it.
    ``with_champion``: whether the champion itself speaks, not its clones alone.
    """

    pool: Values
    judged: Values
    calibration: Values
    positions: Positions
    with_champion: bool


def word(
    champion: Pipeline,
    known: Sequence[Label],
    *,
    task: Task,
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    unseen: npt.NDArray[np.bool_],
    folds: Folds,
    pool: pd.DataFrame,
    judged: pd.DataFrame,
    seed: int,
) -> Word:
    """The champion's word on ``pool`` and ``judged``, and its clones'.

    ``known`` are the classes the champion was made with; ``rows`` the truly labelled rows with class positions
    ``y``, of which it was not trained on the ``unseen`` ones; ``folds`` their (train, validation) positions.
    """
    classes = len(task.classes)
    clones = _clones(champion, rows, y, folds, classes, seed)
    total, spoken = np.zeros((len(y), classes)), np.zeros(len(y))
    for clone, (_, valid) in zip(clones, folds, strict=True):
        total[valid] += predictions(clone, rows.iloc[valid], task)
        spoken[valid] += 1
    of_pool = np.stack([predictions(clone, pool, task) for clone in clones])
    of_judged = np.stack([predictions(clone, judged, task) for clone in clones])
    positions = np.flatnonzero((spoken > 0) & unseen)
    with_champion = len(positions) >= LEAST_NEW and len(np.unique(y[positions])) == len(np.unique(y))
    if not with_champion:
        positions = np.flatnonzero(spoken)
    calibration = total[positions] / spoken[positions, None]
    if with_champion:

        def halved(clones_word: Values, these: pd.DataFrame) -> Values:
            own = aligned(predictions(champion, these, task), known, task.classes)
            return 0.5 * (clones_word + own)

        calibration = halved(calibration, rows.iloc[positions])
        of_pool, of_judged = halved(of_pool, pool), halved(of_judged, judged)
    return Word(
        pool=of_pool,
        judged=of_judged,
        calibration=calibration,
        positions=positions.astype(np.intp),
        with_champion=with_champion,
    )


def _clones(
    champion: Pipeline, rows: pd.DataFrame, y: npt.NDArray[Any], folds: Folds, classes: int, seed: int
) -> list[Pipeline]:
    """One for each fold, trained on the rows outside of it."""
    random = np.random.default_rng(seed)
    clones = []
    for train, _ in folds:
        many = len(train) > _MOST_ROWS
        drawn = np.sort(random.choice(train, _MOST_ROWS, replace=False)) if many else train
        clones.append(trained_anew(champion, rows.iloc[drawn], y[drawn], n_classes=classes))
    return clones
