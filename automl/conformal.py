"""How sure an answer is: sets of classes and intervals of numbers that hold the truth with a chance that is asked for.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018; for classes Sadinle, Lei & Wasserman 2019, "LAC"):
rows that the model was not trained on say how far it is usually off, and the quantile of that, with the correction for
finitely many rows, is added to every new answer. The promise holds on average over rows like those, whatever the model is;
where the world moved since, or within a part of the rows, it may not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.tallies import Values

LEAST_COVERAGE = 0.5
MOST_COVERAGE = 0.999
_STEPS = 1000
_FIRST = int(LEAST_COVERAGE * _STEPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """A model's usual errors on ``rows`` it had not seen. ``thresholds`` are those of the coverages 0.500, 0.501 … 0.999:
    for classes the largest 1 - p that a class of the set may have, for numbers how far the truth may lie from the answer;
    None where so few rows promise no such coverage.

    >>> import numpy as np
    >>> found = Conformal.fit(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 2.0]))
    >>> found.threshold(0.5), found.threshold(0.9)
    (0.5, inf)
    """

    rows: int
    thresholds: tuple[float | None, ...]

    @classmethod
    def fit(cls, answers: Values, y: npt.NDArray[Any]) -> Conformal:
        """From answers (probabilities (n, K) or numbers (n,)) and the truth (class positions or numbers). Raises ValueError
        without rows, and for answers that are no finite numbers."""
        given = np.asarray(answers, dtype=np.float64)
        if not len(y) or len(given) != len(y) or not np.all(np.isfinite(given)):
            raise ValueError("there have to be rows, each with finite numbers for an answer")
        off = (
            1.0 - given[np.arange(len(y)), np.asarray(y, dtype=np.intp)]
            if given.ndim == 2
            else np.abs(y - given)
        )
        errors = np.sort(off)
        # (n + 1) in whole thousandths: in floats 10 * 0.9 may come out above 9 and ask for one row more.
        places = [-(-(len(y) + 1) * step // _STEPS) for step in range(_FIRST, _STEPS)]
        return cls(
            rows=len(y),
            thresholds=tuple(float(errors[at - 1]) if at <= len(y) else None for at in places),
        )

    def threshold(self, coverage: float) -> float:
        """That of a coverage from 0.5 to 0.999, in thousandths (others count as the next larger); infinite where the rows
        were too few to promise it."""
        if not LEAST_COVERAGE <= coverage <= MOST_COVERAGE:
            raise ValueError(f"coverage must be from {LEAST_COVERAGE} to {MOST_COVERAGE}, not {coverage}")
        found = self.thresholds[math.ceil(coverage * _STEPS - 1e-9) - _FIRST]
        return math.inf if found is None else found

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "thresholds": list(self.thresholds)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Conformal:
        return cls(rows=int(data["rows"]), thresholds=tuple(data["thresholds"]))


def prediction_set(shares: Sequence[float], threshold: float) -> list[int]:
    """The classes, by position, that the truth may be; the likeliest first and always among them.

    >>> prediction_set([0.15, 0.6, 0.25], 0.8)
    [1, 2]
    """
    order = sorted(range(len(shares)), key=lambda k: -shares[k])
    return [k for rank, k in enumerate(order) if rank == 0 or 1.0 - shares[k] <= threshold]
