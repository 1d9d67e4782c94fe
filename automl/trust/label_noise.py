"""What wrong labels in training cost: the challenger's own pipeline, trained anew on labels of which some are flipped.

Both trainings are on the same few rows, so the score after them is not the challenger's own: what counts is how it falls
from no flipped labels to many.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.refit import trained_anew
from automl.scoring import predictions
from automl.trust.exhibit import Exhibit, drawn
from automl.trust.scores import Scale

LEVELS = (0.05, 0.1, 0.2)
MOST_ROWS = 2_000
LEAST_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise:
    """Scores on the gate rows after training with so many labels flipped, the first with none; or why there are none."""

    rows: int
    levels: tuple[float, ...] = ()
    scores: tuple[float | None, ...] = ()
    not_measured: str | None = None

    def to_json(self) -> dict[str, Any]:
        told = {"rows": self.rows, "levels": list(self.levels), "scores": list(self.scores)}
        return {**told, "not_measured": self.not_measured}


def label_noise(exhibit: Exhibit, *, share: float) -> LabelNoise:
    """Trains on at most :data:`MOST_ROWS` training rows, four times, where the first training shows that there is time for
    the others within ``share`` of the allowance: a training can't be stopped half-way. A pipeline that can't be trained
    on so few rows is not measured either."""
    try:
        return _measured(exhibit, share)
    except Exception as error:  # whatever a model's code raises: the rest of the check doesn't need this
        return LabelNoise(
            rows=0, not_measured=f"a training on few rows failed with {type(error).__name__}: {error}"
        )


def _measured(exhibit: Exhibit, share: float) -> LabelNoise:
    picked = drawn(len(exhibit.train_y), MOST_ROWS, seed=exhibit.seed)
    y = exhibit.train_y[picked]
    if len(picked) < LEAST_ROWS:
        return LabelNoise(rows=len(picked), not_measured=f"there are only {len(picked)} training rows")
    few = drawn(len(picked), LEAST_ROWS, seed=exhibit.seed)
    limit = share * exhibit.seconds
    taken = _seconds(exhibit, picked[few], y[few])
    if taken * (1 + len(LEVELS)) > limit:
        return LabelNoise(rows=len(picked), not_measured=_too_slow(taken, LEAST_ROWS, limit))
    scale, scores = Scale.of(exhibit), []
    random = np.random.default_rng(exhibit.seed)
    started = time.perf_counter()
    for done, level in enumerate((0.0, *LEVELS)):
        spent = time.perf_counter() - started
        if done and spent * (1 + 1 / done) > limit:
            return LabelNoise(rows=len(picked), not_measured=_too_slow(spent / done, len(picked), limit))
        scores.append(_score(exhibit, scale, picked, flipped(y, level, exhibit, random)))
    return LabelNoise(rows=len(picked), levels=(0.0, *LEVELS), scores=tuple(scores))


def flipped(
    y: npt.NDArray[Any], level: float, exhibit: Exhibit, random: np.random.Generator
) -> npt.NDArray[Any]:
    """Labels of which a share ``level`` is wrong: another class, any; of numbers, another row's."""
    hit = random.random(len(y)) < level
    if not exhibit.task.is_classification:
        return np.where(hit, random.permutation(y), y)
    k = len(exhibit.task.classes)
    return np.where(hit, (y + random.integers(1, k, size=len(y))) % k, y)


def _score(exhibit: Exhibit, scale: Scale, picked: npt.NDArray[np.intp], y: npt.NDArray[Any]) -> float | None:
    task = exhibit.task
    trained = trained_anew(
        exhibit.challenger.pipeline,
        exhibit.train.iloc[picked],
        y,
        n_classes=len(task.classes) if task.is_classification else 0,
    )
    return scale.score(predictions(trained, exhibit.rows, task))


def _seconds(exhibit: Exhibit, picked: npt.NDArray[np.intp], y: npt.NDArray[Any]) -> float:
    """What one training on these few rows takes: less than one on more."""
    started = time.perf_counter()
    task = exhibit.task
    trained_anew(
        exhibit.challenger.pipeline,
        exhibit.train.iloc[picked],
        y,
        n_classes=len(task.classes) if task.is_classification else 0,
    )
    return time.perf_counter() - started


def _too_slow(seconds: float, rows: int, limit: float) -> str:
    return f"a training on {rows:,} rows takes {seconds:.1f} s, and there are {limit:.1f} s for all of them"
