"""A champion and the model in its shadow, compared on live rows as their truth arrives.

One question with two names. After a promotion the old champion stands in the shadow, and "the champion is
surely worse" means a rollback; beside an untested challenger the same words mean a promotion. So there is one
:class:`automl.watch.Watch`, with the champion as the model that has to stand its ground.

Some losses are measured against rows of known truth (a placement, an error cut at a percentile; see
:mod:`automl.live_losses`). Where the judge compared these very two models, its holdout is that reference.
Where it did not (a person promoted a version), the first live rows are: they are set aside before any is
watched, so what is watched was not seen when the bound was stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.live_losses import LiveLoss
from automl.metrics import metric
from automl.watch import Decision, Watch

_FREE = ("accuracy", "f1", "log_loss")
"""Metrics whose live loss is the same whatever rows it is fitted on."""
_LEAST_OF_A_CLASS = 10
_PATIENCE = 5
"""A reference that lacks a class is waited for until it has so many times the rows asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """An immutable value: start with :meth:`over`, go on with :meth:`after`.

    ``margin`` is what the champion may be worse by, as a share of the largest loss that counts. Nothing is
    decided before ``min_rows`` rows, those of the reference among them. ``reference_rows`` were set aside.
    """

    metric: str
    alpha: float
    margin: float
    min_rows: int
    loss: LiveLoss | None = None
    shadow_is_new: bool = False
    """Whether the loss was fitted with the shadow as the new model."""
    watch: Watch | None = None
    reference_rows: int = 0

    @classmethod
    def over(
        cls,
        *,
        metric_name: str,
        alpha: float,
        margin: float,
        min_rows: int,
        loss: LiveLoss | None = None,
        shadow_is_new: bool = False,
        classes: int = 2,
    ) -> Contest:
        """A contest that has seen nothing; ``loss`` is what the judge's rows gave for these two models.

        Raises ValueError for an unknown metric and for numbers that make no watch.
        """
        if metric(metric_name).needs == "probabilities" and loss is None and metric_name in _FREE:
            nothing = np.empty((0, max(2, classes)))
            loss = LiveLoss.fit(metric_name, np.empty(0, np.intp), new=nothing, old=nothing)
        contest = cls(
            metric=metric_name,
            alpha=alpha,
            margin=margin,
            min_rows=min_rows,
            loss=loss,
            shadow_is_new=shadow_is_new,
        )
        return contest if loss is None else contest._watching(loss, 0)

    @property
    def has_begun(self) -> bool:
        """Whether its loss is fixed, so that rows count."""
        return self.watch is not None

    @property
    def rows(self) -> int:
        """Rows that count; those of the reference do not."""
        return 0 if self.watch is None else self.watch.sequence.rows

    @property
    def allowed(self) -> float | None:
        """The difference of mean losses that the champion may be worse by."""
        return None if self.watch is None else self.watch.tolerance

    @property
    def champion_is_worse(self) -> bool:
        return self.watch is not None and self.watch.decision is Decision.ROLL_BACK

    @property
    def champion_holds(self) -> bool:
        """Whether it is proven not to be worse by more than what is allowed."""
        return self.watch is not None and self.watch.decision is Decision.CONFIRMED

    def after(self, y: npt.NDArray[Any], *, champion: npt.NDArray[Any], shadow: npt.NDArray[Any]) -> Contest:
        """The contest after these rows, in the order in which their truth came.

        While it hasn't begun it keeps none of them: hand in all rows from the start until it has. ``y`` are
        class positions or numbers, predictions as :mod:`automl.metrics` takes them. Raises ValueError where
        they don't fit each other.
        """
        if not len(y):
            return self
        contest = self
        if contest.watch is None:
            first = _reference_size(y, self.metric, self.min_rows)
            if first is None:
                return self
            loss = LiveLoss.fit(self.metric, y[:first], new=champion[:first], old=shadow[:first])
            contest = self._watching(loss, first)
            y, champion, shadow = y[first:], champion[first:], shadow[first:]
        return contest._after_rows(y, champion, shadow) if len(y) else contest

    def _after_rows(
        self, y: npt.NDArray[Any], champion: npt.NDArray[Any], shadow: npt.NDArray[Any]
    ) -> Contest:
        assert self.loss is not None
        assert self.watch is not None
        if self.shadow_is_new:
            theirs, ours = self.loss.losses(y, new=shadow, old=champion)
        else:
            ours, theirs = self.loss.losses(y, new=champion, old=shadow)
        return replace(self, watch=self.watch.after(ours, theirs))

    def _watching(self, loss: LiveLoss, reference_rows: int) -> Contest:
        watch = Watch.over(
            bound=loss.bound,
            alpha=self.alpha,
            tolerance=min(self.margin * loss.bound + loss.tolerance, 0.9 * loss.bound),
            min_rows=max(1, self.min_rows - reference_rows),
        )
        return replace(self, loss=loss, watch=watch, reference_rows=reference_rows)

    def sentence(self, champion: str, shadow: str) -> str:
        """What the rows say, for a person; the models by the names given."""
        if self.watch is None or self.watch.sequence.estimate is None:
            return "no row with its truth counts yet"
        seen = self.watch.sequence
        assert seen.estimate is not None
        if seen.estimate == 0:
            level = f"{champion}'s loss ({self.metric}) is the same as {shadow}'s"
        else:
            side = "higher" if seen.estimate > 0 else "lower"
            level = f"{champion}'s loss ({self.metric}) is {abs(seen.estimate):.4g} {side} than {shadow}'s"
        bounds = f"{1 - seen.alpha:.3g}".removeprefix("0.")
        text = (
            f"over {seen.rows:,} rows with their truth {level} on average, surely between {seen.lower:+.4g} and "
            f"{seen.upper:+.4g} (at confidence 0.{bounds}, looked at after every row); "
            f"{self.watch.tolerance:.4g} is allowed"
        )
        if self.watch.cut:
            text += f"; {self.watch.cut:,} of {2 * seen.rows:,} losses were cut to {seen.bound:.4g}"
        return text

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "alpha": self.alpha,
            "margin": self.margin,
            "min_rows": self.min_rows,
            "loss": None if self.loss is None else self.loss.to_json(),
            "shadow_is_new": self.shadow_is_new,
            "watch": None if self.watch is None else self.watch.to_json(),
            "reference_rows": self.reference_rows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contest:
        """The inverse of :meth:`to_json`. Raises ValueError for a state that another method made."""
        return cls(
            metric=data["metric"],
            alpha=data["alpha"],
            margin=data["margin"],
            min_rows=data["min_rows"],
            loss=None if data["loss"] is None else LiveLoss.from_json(data["loss"]),
            shadow_is_new=data["shadow_is_new"],
            watch=None if data["watch"] is None else Watch.from_json(data["watch"]),
            reference_rows=data["reference_rows"],
        )


def _reference_size(y: npt.NDArray[Any], metric_name: str, wanted: int) -> int | None:
    """How many of the first rows make a reference, or None while there are too few.

    A class that has ten rows by then is enough of; one that came in fewer makes it wait, but not for ever.
    """
    if len(y) < wanted:
        return None
    if metric(metric_name).needs == "values":
        return wanted
    for size in range(wanted, min(len(y), _PATIENCE * wanted) + 1):
        counts = np.unique(np.asarray(y[:size]), return_counts=True)[1]
        if len(counts) > 1 and counts.min() >= _LEAST_OF_A_CLASS:
            return size
    return _PATIENCE * wanted if len(y) >= _PATIENCE * wanted else None
