"""What every compiled model is, and the wrappers around one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from automl.compiled.read_rows import ReadRows

Floats = npt.NDArray[np.float64]

EXACT = 1e-9
"""How far a compiled form may be off, relative above 1, where it computes in float64."""
SINGLE = 1e-6
"""The same where float32 is computed in, which is XGBoost."""


class Scorer(Protocol):
    """From features to answers, for one row or many (the same up to rounding). May be called by many threads."""

    @property
    def description(self) -> str:
        """The model in a word or two."""

    @property
    def tolerance(self) -> float:
        """How far answers may be off those of the model: EXACT or SINGLE."""

    def one(self, features: bytes) -> Floats:
        """The answer for one row, whose float64 features come as bytes: (1, K) probabilities or (1,) values."""

    def many(self, features: Floats) -> Floats:
        """The answers for the rows of a C-contiguous matrix: (n, K) or (n,)."""

    def answers(self, rows: ReadRows) -> Floats:
        """The same for rows that were read, by whatever of them is quickest."""


class ByMatrix:
    """For scorers to which rows are their features and nothing else."""

    def many(self, features: Floats) -> Floats:
        raise NotImplementedError

    def answers(self, rows: ReadRows) -> Floats:
        return self.many(rows.matrix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A classifier that was trained without some of the classes: those get 0."""

    scorer: Scorer
    present: Sequence[int]
    n_classes: int

    @property
    def description(self) -> str:
        return self.scorer.description

    @property
    def tolerance(self) -> float:
        return self.scorer.tolerance

    def one(self, features: bytes) -> Floats:
        return self._spread(self.scorer.one(features))

    def many(self, features: Floats) -> Floats:
        return self._spread(self.scorer.many(features))

    def answers(self, rows: ReadRows) -> Floats:
        return self._spread(self.scorer.answers(rows))

    def _spread(self, known: Floats) -> Floats:
        out = np.zeros((len(known), self.n_classes))
        out[:, list(self.present)] = known
        return out


class OnMatrix(ByMatrix):
    """For scorers that have no quicker way for one row."""

    tolerance = EXACT

    def one(self, features: bytes) -> Floats:
        return self.many(np.frombuffer(features).reshape(1, -1))


def pair(positive: float) -> Floats:
    """The probabilities of two classes for one row."""
    return np.array([[1.0 - positive, positive]])


def pairs(positive: npt.NDArray[Any]) -> Floats:
    """The probabilities of two classes."""
    out = np.empty((len(positive), 2))
    np.subtract(1.0, positive, out=out[:, 0])
    out[:, 1] = positive
    return out
