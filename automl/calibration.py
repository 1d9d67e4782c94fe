"""Scores into probabilities: what share of the rows scored like this really are of the class.

Each class against the rest, the rows then brought back to a sum of one. Three ways are tried on rows held out
in turn, and the one with the smallest Brier score stays: ``none`` (the scores as they are), ``platt`` (a
logistic curve of the log odds; Platt 1999) and ``isotonic`` (any rising curve; Zadrozny & Elkan 2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from automl.tallies import Positions, Values

Way = Literal["none", "platt", "isotonic"]
WAYS: tuple[Way, ...] = ("none", "platt", "isotonic")
_FOLDS = 5
_SUREST = 1e-6
"""Scores nearer to 0 or 1 than this are taken as this near: their log odds are finite."""
_LOOSE = 1e3
"""Hardly any penalty on the logistic curve; some, so that separable scores have a curve at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """From a score to a probability: ``expit(slope · log odds + intercept)``, or through the points."""

    slope: float = 1.0
    intercept: float = 0.0
    points: tuple[tuple[float, float], ...] = ()

    def __call__(self, scores: Values) -> Values:
        if self.points:
            x, y = np.asarray(self.points).T
            drawn: Values = np.interp(scores, x, y)
            return drawn
        if (self.slope, self.intercept) == (1.0, 0.0):
            return scores
        curved: Values = 1.0 / (1.0 + np.exp(-(self.slope * _log_odds(scores) + self.intercept)))
        return curved

    def to_json(self) -> dict[str, Any]:
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "points": [list(point) for point in self.points],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Curve:
        points = tuple((float(x), float(y)) for x, y in data["points"])
        return cls(slope=data["slope"], intercept=data["intercept"], points=points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One curve for each class; with two classes a single one, for the class at position 1."""

    way: Way
    curves: tuple[Curve, ...]

    @classmethod
    def fit(cls, way: Way, y: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> Calibration:
        """The curves of one way, from class positions (n,) and the model's probabilities (n, K)."""
        labels, given = np.asarray(y, dtype=np.intp), np.asarray(probabilities, dtype=np.float64)
        classes = (1,) if given.shape[1] == 2 else range(given.shape[1])
        return cls(way=way, curves=tuple(_curve(way, labels == k, given[:, k]) for k in classes))

    def __call__(self, probabilities: npt.NDArray[Any]) -> Values:
        """Calibrated probabilities, of the shape given. Raises ValueError for another number of classes."""
        given = np.asarray(probabilities, dtype=np.float64)
        width = 2 if len(self.curves) == 1 else len(self.curves)
        if given.ndim != 2 or given.shape[1] != width:
            raise ValueError(f"probabilities of {width} classes are needed, shape {given.shape} came")
        if width == 2:
            positive = self.curves[0](given[:, 1])
            return np.column_stack([1.0 - positive, positive])
        curved = np.column_stack([curve(given[:, k]) for k, curve in enumerate(self.curves)])
        sums = curved.sum(axis=1, keepdims=True)
        scaled: Values = np.divide(curved, sums, out=given.copy(), where=sums > 0)
        return scaled

    def to_json(self) -> dict[str, Any]:
        return {"way": self.way, "curves": [curve.to_json() for curve in self.curves]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        return cls(way=data["way"], curves=tuple(Curve.from_json(each) for each in data["curves"]))


def chosen(
    y: npt.NDArray[Any], probabilities: npt.NDArray[Any], *, seed: int
) -> tuple[Calibration, Values, dict[str, float]]:
    """The best way fitted on all rows, the probabilities it gave to rows held out, and every way's Brier score.

    Held-out probabilities come from curves that did not see their row, so they are as honest as those of
    rows to come. Scores are means over rows of the squared distance to the truth, summed over classes.
    """
    labels, given = np.asarray(y, dtype=np.intp), np.asarray(probabilities, dtype=np.float64)
    parts = folds(labels, seed=seed)
    truth = np.eye(given.shape[1])[labels]
    held = {way: _held_out(way, labels, given, parts) for way in WAYS}
    scores: dict[str, float] = {way: float(np.square(held[way] - truth).sum(axis=1).mean()) for way in WAYS}
    way = min(WAYS, key=lambda each: scores[each])
    return Calibration.fit(way, labels, given), held[way], scores


def folds(labels: Positions, *, seed: int) -> Positions:
    """A fold number for each row; every class, however rare, is spread over as many folds as it can fill."""
    order = np.lexsort((np.random.default_rng([_FOLDS, seed]).random(len(labels)), labels))
    numbers = np.empty(len(labels), dtype=np.intp)
    numbers[order] = np.arange(len(labels)) % _FOLDS
    return numbers


def _held_out(way: Way, labels: Positions, given: Values, parts: Positions) -> Values:
    if way == "none":
        return given
    held = np.empty_like(given)
    for part in np.unique(parts):
        out = parts == part
        held[out] = Calibration.fit(way, labels[~out], given[~out])(given[out])
    return held


def _curve(way: Way, positive: npt.NDArray[np.bool_], scores: Values) -> Curve:
    # Late: who only applies a curve, as serving does, must not wait for scikit-learn.
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    if way == "none" or positive.all() or not positive.any():
        return Curve()  # a class without rows says nothing about its scores
    if way == "platt":
        if np.ptp(scores) == 0:  # one score for all rows: its probability is their share
            share = float(positive.mean())
            return Curve(slope=0.0, intercept=float(np.log(share / (1.0 - share))))
        fitted = LogisticRegression(C=_LOOSE, solver="newton-cholesky").fit(
            _log_odds(scores)[:, None], positive
        )
        return Curve(slope=float(fitted.coef_[0, 0]), intercept=float(fitted.intercept_[0]))
    risen = IsotonicRegression(out_of_bounds="clip").fit(scores, positive.astype(np.float64))
    points = zip(risen.X_thresholds_.tolist(), risen.y_thresholds_.tolist(), strict=True)
    return Curve(points=tuple(points))


def _log_odds(scores: Values) -> Values:
    clipped = np.clip(scores, _SUREST, 1.0 - _SUREST)
    odds: Values = np.log(clipped / (1.0 - clipped))
    return odds
