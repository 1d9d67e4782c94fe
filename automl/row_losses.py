"""What metrics ask of each row: losses, the numbers they depend on, and metrics made of their means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.tallies import Sums, Tally, Values, ratio

Losses = Callable[[npt.NDArray[Any], Values], Values]
Prepare = Callable[[npt.NDArray[Any], Values, tuple[int, ...]], Tally]
Finish = Callable[[Values], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A metric that asks for one number of each row, so that many predictions are scored in one go.

    ``of`` takes it out of labels and predictions, of shape (many, rows) or (many, rows, K), or says None where one
    number is not enough. ``scores`` takes labels, numbers of shape (many, rows) and row weights, and returns the
    metric of each, NaN where it has no value.
    """

    of: Callable[[npt.NDArray[Any], Values], Values | None]
    scores: Callable[[npt.NDArray[Any], Values, Values], Values]


def itself(mean: Values) -> Values:
    return mean


def mean(losses: Losses, finish: Finish = itself) -> Prepare:
    """A metric that is a function of the weighted mean of a loss."""

    def prepare(y: npt.NDArray[Any], p: Values, classes: tuple[int, ...]) -> Tally:
        terms = np.column_stack([losses(y, p), np.ones(len(y))])
        return Sums(terms=terms, finish=lambda sums: finish(ratio(sums[:, 0], sums[:, 1])))

    return prepare


def means(losses: Losses, finish: Finish = itself) -> Callable[[npt.NDArray[Any], Values, Values], Values]:
    """As :func:`mean`, of many predictions under one weighting."""

    def scores(y: npt.NDArray[Any], numbers: Values, weights: Values) -> Values:
        total = losses(y, numbers) @ weights
        return finish(ratio(total, np.full_like(total, weights.sum())))

    return scores


def given(y: npt.NDArray[Any], p: Values) -> Values:
    """The probability of each row's own class."""
    classes = np.broadcast_to(y.astype(np.intp)[:, None], (*p.shape[:-1], 1))
    return np.take_along_axis(p, classes, axis=-1)[..., 0]


def surprise(y: npt.NDArray[Any], given: Values) -> Values:
    """In nats, of what was given to the own class."""
    # clipped as scikit-learn does, so that a certain and wrong answer costs 36 nats and not infinitely many
    smallest = np.finfo(np.float64).eps
    return -np.log(np.clip(given, smallest, 1.0 - smallest))


def log_losses(y: npt.NDArray[Any], p: Values) -> Values:
    """In nats, of the probability of each row's own class."""
    return surprise(y, given(y, p))


def positive(y: npt.NDArray[Any], p: Values) -> Values | None:
    """The probability of the class at position 1, of two."""
    return p[..., 1] if p.shape[-1] == 2 else None


def mistakes(y: npt.NDArray[Any], p: Values) -> Values:
    """1 where the likeliest class is another one."""
    return np.asarray(p.argmax(axis=1) != y, dtype=np.float64)


def squared(y: npt.NDArray[Any], p: Values) -> Values:
    return np.square(y - p)


def absolute(y: npt.NDArray[Any], p: Values) -> Values:
    return np.abs(y - p)
