"""Voting and stacking: answers of several models made into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from automl.compiled.scorer import OnMatrix, Scorer

if TYPE_CHECKING:
    from automl.compiled.read_rows import ReadRows

Floats = npt.NDArray[np.float64]


class Voting(OnMatrix):
    """The weighted mean of the members' answers."""

    def __init__(self, members: Sequence[Scorer], weights: Sequence[float] | None) -> None:
        self.description = "mean of " + ", ".join(member.description for member in members)
        self.tolerance = max(member.tolerance for member in members)
        self._members = members
        self._weights = weights

    def many(self, features: Floats) -> Floats:
        return self._mean([member.many(features) for member in self._members])

    def answers(self, rows: ReadRows) -> Floats:
        return self._mean([member.answers(rows) for member in self._members])

    def _mean(self, answers: Sequence[Floats]) -> Floats:
        mean: Floats = np.average(np.asarray(answers), axis=0, weights=self._weights)
        return mean


class Stacking(OnMatrix):
    """A model that takes the members' answers as its features, and with ``passthrough`` theirs too.

    Of two classes' probabilities only the second is one.
    """

    def __init__(self, members: Sequence[Scorer], final: Scorer, *, binary: bool, passthrough: bool) -> None:
        self.description = f"{final.description} on " + ", ".join(member.description for member in members)
        self.tolerance = max(member.tolerance for member in (*members, final))
        self._members = members
        self._final = final
        self._binary = binary
        self._passthrough = passthrough

    def many(self, features: Floats) -> Floats:
        columns = [self._column(member.many(features)) for member in self._members]
        if self._passthrough:
            columns.append(features)
        return self._final.many(np.ascontiguousarray(np.hstack(columns)))

    def _column(self, answers: Floats) -> Floats:
        if answers.ndim == 1:
            return answers[:, None]
        return answers[:, 1:] if self._binary else answers
