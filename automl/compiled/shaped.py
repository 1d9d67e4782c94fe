"""What is done to a model's answers: a calibration of probabilities, a target brought back to its own scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from automl.compiled.scorer import OnMatrix, Scorer

if TYPE_CHECKING:
    from automl.compiled.read_rows import ReadRows

Floats = npt.NDArray[np.float64]


class Shaped(OnMatrix):
    """A scorer whose answers go through a function, row by row."""

    def __init__(self, scorer: Scorer, shape: Callable[[Floats], Floats], name: str) -> None:
        self.description = f"{scorer.description}, {name}"
        self.tolerance = scorer.tolerance
        self._scorer = scorer
        self._shape = shape

    def one(self, features: bytes) -> Floats:
        return self._shape(self._scorer.one(features))

    def many(self, features: Floats) -> Floats:
        return self._shape(self._scorer.many(features))

    def answers(self, rows: ReadRows) -> Floats:
        return self._shape(self._scorer.answers(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unshaped:
    """Answers of :class:`automl.engines.skewed.LogTarget`'s regressor as numbers of the target."""

    way: str
    center: float
    scale: float
    most: float

    def __call__(self, answers: Floats) -> Floats:
        if self.way == "log":
            return np.asarray(np.expm1(np.clip(answers, 0.0, self.most)))
        return np.asarray(answers * self.scale + self.center)
