"""Follows the losses of one model as truth arrives, and says when their mean has changed.

Each answer gives one loss in [0, 1]: for classes half the Brier score, a proper score that sees a class get
less sure before mistakes show; for numbers the absolute error over twice the 99th percentile of the first hundred
errors, cut at 1. :class:`automl.adwin.Adwin` holds the window in which their mean stayed the same. Nothing is
compared with the holdout: what is found is a change while the model served, at an hour.

What it can't see. Truth that comes sooner for one class than for another changes the mean by its order alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.adwin import Adwin, Change

_FIRST = 100
_CUT_AT = 0.99
_ONE_CHANGE = 1_000


@dataclass(slots=True, kw_only=True)
class LossMonitor:
    """The state of one model. :meth:`add` changes it; :meth:`to_json` and :meth:`from_json` keep it, exactly.

    ``scale`` is the error that counts as a loss of 1, None as long as the first errors of a regression are
    gathered in ``first``. ``last`` is the newest change.
    """

    adwin: Adwin
    scale: float | None = None
    first: list[float] = field(default_factory=list)
    last: Change | None = None

    @classmethod
    def new(cls, delta: float) -> LossMonitor:
        return cls(adwin=Adwin(delta=delta))

    def add(self, y: npt.NDArray[Any], p: npt.NDArray[np.float64]) -> Change | None:
        """Take in truths and answers in order: class positions and probabilities (n, K), or numbers and numbers.

        The change that they brought, if any. A window forgets in steps: changes in one direction with less than
        1,000 answers between them are one, told again with the mean of before the first.
        """
        losses = half_brier(y, p) if p.ndim == 2 else self._scaled(np.abs(np.asarray(y, np.float64) - p))
        changes = self.adwin.add(losses.tolist())
        for change in changes:
            self.last = _continued(self.last, change)
        return self.last if changes else None

    def to_json(self) -> dict[str, Any]:
        last = self.last
        return {
            "adwin": self.adwin.to_json(),
            "scale": self.scale,
            "first": self.first,
            "last": None
            if last is None
            else {"at": last.at, "before": last.before, "after": last.after, "rows": last.rows},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LossMonitor:
        """Raises ValueError for the state of another method."""
        return cls(
            adwin=Adwin.from_json(data["adwin"]),
            scale=data["scale"],
            first=list(data["first"]),
            last=None if data["last"] is None else Change(**data["last"]),
        )

    def _scaled(self, errors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self.scale is None:
            self.first.extend(errors.tolist())
            if len(self.first) < _FIRST:
                return np.empty(0)
            errors = np.array(self.first)
            self.scale = 2 * float(np.quantile(errors[:_FIRST], _CUT_AT)) or 1.0
            self.first = []
        return np.minimum(errors / self.scale, 1.0)


def half_brier(y: npt.NDArray[Any], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half the squared distance of each row's probabilities from its truth, from 0 to 1."""
    truth = np.zeros_like(p)
    truth[np.arange(len(y)), np.asarray(y, dtype=np.intp)] = 1.0
    return np.asarray(np.clip(((p - truth) ** 2).sum(axis=1) / 2, 0.0, 1.0), dtype=np.float64)


def _continued(last: Change | None, change: Change) -> Change:
    if last is None or last.rose != change.rose or change.at - last.at >= _ONE_CHANGE:
        return change
    return Change(at=change.at, before=last.before, after=change.after, rows=change.rows)
