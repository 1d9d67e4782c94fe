"""Probation of a promoted model: keep it, roll it back or confirm it, as truth arrives.

What it can't see. Only rows whose truth has come count, so it is as late as they are; before that, errors,
latency and a shift of the predictions have to do. It compares two models on the same rows: a change of the
world that hurts both alike is the decay triggers' business, not a reason to roll back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.sequential import ConfidenceSequence, numbers


class Decision(StrEnum):
    KEEP = "keep"
    ROLL_BACK = "roll_back"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A promoted model on probation: its losses beside the old model's, on the same rows.

    It rolls back as soon as the new model's mean loss is proven to exceed the old one's by more than
    ``tolerance`` (in units of the loss), and confirms as soon as the opposite is proven, or ``max_rows`` rows
    went by without either; nothing is decided before ``min_rows``. A model that is not worse is rolled back
    with a chance of at most ``alpha / 2`` in the whole watch, see :class:`ConfidenceSequence` for what "worse"
    means where rows change.

    The first decision other than ``keep`` stands: ``sequence`` ends at the row that made it, later rows are
    left out. Losses above the stated bound are cut to it and counted in ``cut``; the reason then says so.
    An immutable value: start with :meth:`over`, go on with :meth:`after`.

    >>> watch = Watch.over(bound=1.0).after([1, 0, 1] * 30, [0, 0, 0] * 30)
    >>> watch.decision.value, watch.sequence.rows < 30
    ('roll_back', True)
    """

    sequence: ConfidenceSequence
    tolerance: float = 0.0
    max_rows: int | None = None
    min_rows: int = 1
    decision: Decision = Decision.KEEP
    proven: bool = False
    """Whether the bounds made the decision, and not the end of the watch."""
    cut: int = 0

    @classmethod
    def over(
        cls,
        *,
        bound: float,
        alpha: float = 0.05,
        tolerance: float = 0.0,
        max_rows: int | None = None,
        min_rows: int = 1,
    ) -> Watch:
        """A watch over losses within [0, bound]. Raises ValueError on values that make none."""
        if not 0 <= tolerance < bound:
            raise ValueError(f"the tolerance must lie between 0 and the bound, {tolerance} does not")
        if max_rows is not None and max_rows < 1:
            raise ValueError(f"a watch takes at least one row, not {max_rows}")
        sequence = ConfidenceSequence(bound=bound, alpha=alpha)
        return cls(sequence=sequence, tolerance=tolerance, max_rows=max_rows, min_rows=min_rows)

    def after(self, new: npt.ArrayLike, old: npt.ArrayLike) -> Watch:
        """The watch after the losses of both models on rows whose truth has arrived, in that order.

        Raises ValueError where the two differ in length and where a loss is negative or NaN.
        """
        ours, theirs = numbers(new), numbers(old)
        if ours.shape != theirs.shape or (ours < 0).any() or (theirs < 0).any():
            raise ValueError("two losses of zero or more are needed for each row")
        if self.decision is not Decision.KEEP or not len(ours):
            return self
        if self.max_rows is not None:
            left = self.max_rows - self.sequence.rows
            ours, theirs = ours[:left], theirs[:left]
        bound = self.sequence.bound
        differences = np.minimum(ours, bound) - np.minimum(theirs, bound)
        lower, upper = self.sequence.path(differences)
        sure = (lower > self.tolerance) | (upper < self.tolerance)
        sure[: max(0, self.min_rows - 1 - self.sequence.rows)] = False
        decided = np.flatnonzero(sure)
        end = int(decided[0]) + 1 if len(decided) else len(differences)
        decision = Decision.KEEP
        if len(decided):
            decision = Decision.ROLL_BACK if lower[decided[0]] > self.tolerance else Decision.CONFIRMED
        elif self.sequence.rows + end == self.max_rows:
            decision = Decision.CONFIRMED
        cut = np.count_nonzero(ours[:end] > bound) + np.count_nonzero(theirs[:end] > bound)
        sequence = self.sequence.after(differences[:end])
        return replace(
            self, sequence=sequence, decision=decision, proven=len(decided) > 0, cut=self.cut + int(cut)
        )

    @property
    def reason(self) -> str:
        """One sentence that a person reads."""
        seen = self.sequence
        if seen.estimate is None:
            return "Keep: no truth has arrived yet."
        word = {Decision.KEEP: "Keep", Decision.ROLL_BACK: "Roll back", Decision.CONFIRMED: "Confirmed"}
        level = "the same as" if seen.estimate == 0 else f"{abs(seen.estimate):.4g} "
        if seen.estimate != 0:
            level += "higher than" if seen.estimate > 0 else "lower than"
        gap = (
            f"over {seen.rows:,} rows the new model's loss is {level} the old one's on average "
            f"({1 - seen.alpha:.1%} bounds {seen.lower:+.4g} to {seen.upper:+.4g})"
        )
        allowed = f"the {self.tolerance:.4g} that is allowed" if self.tolerance else "zero"
        if self.decision is Decision.ROLL_BACK:
            conclusion = f"all of it is above {allowed}"
        elif self.proven:
            conclusion = f"all of it is below {allowed}"
        elif self.decision is Decision.CONFIRMED:
            conclusion = f"the watch ends at {seen.rows:,} rows without proof that it is worse"
        else:
            conclusion = "neither better nor worse is proven"
        cut = f"; {self.cut:,} of {2 * seen.rows:,} losses were cut to {seen.bound:.4g}" if self.cut else ""
        return f"{word[self.decision]}: {gap}; {conclusion}{cut}."

    def to_json(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence.to_json(),
            "tolerance": self.tolerance,
            "max_rows": self.max_rows,
            "min_rows": self.min_rows,
            "decision": self.decision.value,
            "proven": self.proven,
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Watch:
        """The inverse of :meth:`to_json`. Raises ValueError for a state that another method made."""
        return cls(
            sequence=ConfidenceSequence.from_json(data["sequence"]),
            tolerance=data["tolerance"],
            max_rows=data["max_rows"],
            min_rows=data.get("min_rows", 1),
            decision=Decision(data["decision"]),
            proven=data["proven"],
            cut=data["cut"],
        )
