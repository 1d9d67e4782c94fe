"""Several people labelled the same rows: what holds, and how far do they agree beyond chance?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.tallies import Values
from automl.task import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the annotators of one row say together. ``label`` is None where two labels lead: a tie is not resolved."""

    label: Label | None
    votes: int
    of: int

    @property
    def tied(self) -> bool:
        return self.label is None and self.of > 0


def majority(votes: Sequence[Label]) -> Resolved:
    """The label with the most votes. No votes, no label.

    >>> majority(["a", "b", "a"]).label, majority(["a", "b"]).tied
    ('a', True)
    """
    counts: dict[tuple[type, Label], int] = {}
    for vote in votes:  # 1 and True are different labels
        counts[type(vote), vote] = counts.get((type(vote), vote), 0) + 1
    most = max(counts.values(), default=0)
    leading = [label for (_, label), count in counts.items() if count == most]
    return Resolved(label=leading[0] if len(leading) == 1 else None, votes=most, of=len(votes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """``observed`` is the share of pairs of labels on one row that are equal, ``expected`` that by chance alone.

    ``kappa`` is what is above chance of what could be: 1 is full agreement, 0 no more than chance. None where
    chance alone would always agree (one label only). ``rows`` have two labels or more; ``method`` is
    ``cohen`` for two annotators, ``fleiss`` for more, ``none`` without such rows.
    """

    method: str
    kappa: float | None
    observed: float | None
    expected: float | None
    rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def agreement(labels: npt.NDArray[Any], *, classes: int) -> Agreement:
    """How far the annotators agree on ``labels`` (rows, annotators): class positions, -1 where one gave none.

    Cohen's kappa (1960) for two annotators, on the rows both labelled. Fleiss' (1971) for more; rows may have
    different numbers of labels, each row counts as its labels do. Raises ValueError on labels outside the classes.
    """
    given = np.asarray(labels, dtype=np.intp)
    if given.ndim != 2 or (given.size and (given.min() < -1 or given.max() >= classes)):
        raise ValueError(f"class positions below {classes}, or -1, in (rows, annotators) were expected")
    counts = np.stack([(given == c).sum(axis=1) for c in range(classes)], axis=1)
    several = counts.sum(axis=1) >= 2
    if not several.any():
        return Agreement(method="none", kappa=None, observed=None, expected=None, rows=0)
    if given.shape[1] == 2:
        table = np.zeros((classes, classes))
        np.add.at(table, (given[several, 0], given[several, 1]), 1.0)
        table /= table.sum()
        return _agreement(
            "cohen", float(np.trace(table)), float(table.sum(axis=1) @ table.sum(axis=0)), several
        )
    held = counts[several].astype(np.float64)
    size = held.sum(axis=1)
    pairs: Values = (np.square(held).sum(axis=1) - size) / (size * (size - 1.0))
    shares = held.sum(axis=0) / held.sum()
    return _agreement(
        "fleiss", float(np.average(pairs, weights=size)), float(np.square(shares).sum()), several
    )


def _agreement(method: str, observed: float, expected: float, several: npt.NDArray[np.bool_]) -> Agreement:
    kappa = None if expected >= 1.0 - 1e-12 else (observed - expected) / (1.0 - expected)
    return Agreement(
        method=method, kappa=kappa, observed=observed, expected=expected, rows=int(several.sum())
    )
