"""Greedy ensemble selection: which models, and how much of each, answer best together.

Caruana et al. 2004, "Ensemble Selection from Libraries of Models": begin with nothing, add again and again the model
that makes the mean of the answers best, the same one several times where that helps. Answers to rows that
the model was not trained on are what it selects by; whether the blend really beats the single best is asked on folds
that took no part in the selection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import Metric
from automl.mixing import Mixing

Answers = Sequence[npt.NDArray[Any]]
"""A model's answers, one array for each fold."""

_PATIENCE = 4
"""Steps without anything better after which a selection ends."""
_SPARED = 0.05
"""Share of what a blend gains by those it chose from that may go with models that carry little: each of them would be
trained, kept and asked on every row."""
_FEWEST_HELD = 2
"""Folds by which a blend's gain is told at least; where time is short, the others are not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One fold's labels (class positions or numbers) and row weights. Only folds of one ``split`` have no row in common."""

    y: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None = None
    split: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How the models are blended (``weights`` by position, summing to 1), and what that is worth.

    ``gain`` is the mean by which blends beat the best single model on folds that chose neither, in the metric's
    unit and never by the rows that selected; ``score`` is the blend's on all folds.
    """

    weights: dict[int, float]
    score: float
    gain: float


def select(
    models: Sequence[Answers],
    truths: Sequence[Truth],
    measure: Metric,
    *,
    rounds: int = 20,
    members: int = 6,
    costs: Sequence[float] | None = None,
    allowed: float = math.inf,
    expired: Callable[[], bool] = lambda: False,
) -> Choice | None:
    """The blend, or None where there are fewer than two models, or two folds of a split, or the time has ``expired``
    before its gain was seen on two of them.

    It takes the steps that are best by the rows that choose it, and leaves out models that hardly carry any of that; where
    blends so made gain nothing on the other folds, it takes as many steps as gain most there.

    At most ``members`` different models, whose ``costs`` together stay within what is ``allowed``; the best single
    model is always affordable.

    >>> from automl.metrics import metric
    >>> y = np.arange(8.0); up, down = y + 1, y - 1
    >>> halves = lambda a: (a[:4], a[4:])
    >>> found = select([halves(up), halves(down)], [Truth(y=part) for part in halves(y)], metric("rmse"))
    >>> found.weights, found.score
    ({0: 0.5, 1: 0.5}, 0.0)
    """
    folds = range(len(truths))
    if len(models) < 2 or not all(_apart(truths, fold) for fold in folds):
        return None
    pick = _Picker(
        models,
        truths,
        measure,
        rounds,
        members,
        [0.0] * len(models) if costs is None else costs,
        allowed,
        expired,
    )
    path = pick.path(list(folds))  # first: what the other folds choose among goes the same way for long
    gains = []
    for held in folds:
        others = _apart(truths, held)
        theirs = pick.path(others)
        if expired():
            break
        scores = [pick.score(_shares(counts), [held]) for counts in theirs.steps]
        scores += [scores[-1]] * (rounds - len(scores))
        chosen = pick.score(_shares(pick.lean(theirs.steps[theirs.best], others)), [held])
        gains.append([measure.gain(score, scores[0]) for score in (chosen, *scores)])
    finite = [gain for gain in gains if np.isfinite(gain).all()]
    if len(gains) < _FEWEST_HELD or not finite:
        return None
    gain, *by_steps = np.mean(finite, axis=0)
    counts = pick.lean(path.steps[path.best], list(folds))
    if not gain > 0.0:
        gain, counts = max(by_steps), path.steps[min(int(np.argmax(by_steps)), len(path.steps) - 1)]
    weights = _shares(counts)
    return Choice(weights=weights, score=pick.score(weights, list(folds)), gain=float(gain))


def given(
    models: Sequence[Answers], truths: Sequence[Truth], measure: Metric, weights: dict[int, float]
) -> Choice | None:
    """A blend whose weights were known before: it was chosen by none of these rows, the single model that it is
    compared with by the other folds of the one that is asked. None where one has no others, or none tells.

    >>> from automl.metrics import metric
    >>> y = np.arange(8.0); halves = lambda a: (a[:4], a[4:])
    >>> asked = [Truth(y=part) for part in halves(y)]
    >>> given([halves(y + 1), halves(y - 1)], asked, metric("rmse"), {0: 0.5, 1: 0.5}).gain
    1.0
    """
    folds = range(len(truths))
    if not all(_apart(truths, fold) for fold in folds):
        return None
    pick = _Picker(models, truths, measure)
    gains = []
    for held in folds:
        single = pick.single(_apart(truths, held))
        gains.append(measure.gain(pick.score(weights, [held]), pick.score({single: 1.0}, [held])))
    finite = [gain for gain in gains if math.isfinite(gain)]
    if not finite:
        return None
    return Choice(weights=weights, score=pick.score(weights, list(folds)), gain=float(np.mean(finite)))


def by_use(
    models: Sequence[Answers],
    truths: Sequence[Truth],
    measure: Metric,
    *,
    rounds: int = 40,
    expired: Callable[[], bool] = lambda: False,
) -> list[int]:
    """The models that a blend of any number of them takes within so many rounds, in the order in which it first does.

    >>> from automl.metrics import metric
    >>> y = np.arange(8.0); halves = lambda a: (a[:4], a[4:])
    >>> by_use([halves(y + 9), halves(y - 1), halves(y + 2)], [Truth(y=part) for part in halves(y)], metric("rmse"))
    [1, 2]
    """
    pick, folds = _Picker(models, truths, measure), range(len(truths))
    counts: dict[int, int] = {}
    for _ in range(rounds):
        losses = pick.adding(counts, folds)
        at = int(np.argmin(losses))
        if not math.isfinite(losses[at]) or expired():
            break
        counts[at] = counts.get(at, 0) + 1
    return list(counts)


def _apart(truths: Sequence[Truth], held: int) -> list[int]:
    """The folds that have no row in common with this one."""
    return [at for at, truth in enumerate(truths) if at != held and truth.split == truths[held].split]


def _shares(counts: dict[int, int]) -> dict[int, float]:
    whole = sum(counts.values())
    return {at: count / whole for at, count in sorted(counts.items())}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """How often each model was taken after each step, and the place of the best step."""

    steps: Sequence[dict[int, int]]
    best: int


class _Picker:
    def __init__(
        self,
        models: Sequence[Answers],
        truths: Sequence[Truth],
        measure: Metric,
        rounds: int = 0,
        members: int = 0,
        costs: Sequence[float] = (),
        allowed: float = math.inf,
        expired: Callable[[], bool] = lambda: False,
    ) -> None:
        self._models = models
        self._truths = truths
        self._measure = measure
        self._rounds = rounds
        self._members = members
        self._costs = np.asarray(costs, dtype=np.float64)
        self._allowed = allowed
        self._expired = expired
        self._mixing = [
            Mixing([model[fold] for model in models], truth.y, truth.weights, measure)
            for fold, truth in enumerate(truths)
        ]
        self._known: dict[tuple[int, tuple[tuple[int, int], ...]], npt.NDArray[np.float64]] = {}

    def single(self, folds: Sequence[int]) -> int:
        return int(np.argmin(self.adding({}, folds)))

    def score(self, weights: dict[int, float], folds: Sequence[int]) -> float:
        scores = []
        for fold in folds:
            mixed = np.sum([share * self._models[at][fold] for at, share in weights.items()], axis=0)
            scores.append(self._measure.score(self._truths[fold].y, mixed, self._truths[fold].weights))
        finite = [score for score in scores if math.isfinite(score)]
        nothing = -math.inf if self._measure.greater_is_better else math.inf
        return float(np.mean(finite)) if finite else nothing

    def path(self, folds: Sequence[int]) -> _Path:
        """Greedily, from the best model alone to a few steps beyond the best."""
        losses = self.adding({}, folds)
        first = int(np.argmin(losses))
        counts, best, best_at = {first: 1}, float(losses[first]), 1
        steps = [dict(counts)]
        for step in range(2, self._rounds + 1):
            losses = np.where(self._affordable(counts), self.adding(counts, folds), math.inf)
            at = int(np.argmin(losses))
            if not math.isfinite(losses[at]) or self._expired() or step > best_at + _PATIENCE:
                break
            counts[at] = counts.get(at, 0) + 1
            steps.append(dict(counts))
            if losses[at] < best:
                best, best_at = float(losses[at]), step
        return _Path(steps=steps, best=best_at - 1)

    def lean(self, counts: dict[int, int], folds: Sequence[int]) -> dict[int, int]:
        """Without the models, those of the least weight first, that can go for ``_SPARED`` of the gain over the best single
        one, all together."""
        best = self.score(_shares(counts), folds)
        alone = self.score({next(iter(counts)): 1.0}, folds)
        room = _SPARED * max(self._measure.gain(best, alone), 0.0)
        kept = counts
        for at in sorted(counts, key=counts.__getitem__):
            rest = {other: count for other, count in kept.items() if other != at}
            if rest and self._measure.gain(best, self.score(_shares(rest), folds)) <= room:
                kept = rest
        return kept

    def adding(self, counts: dict[int, int], folds: Sequence[int]) -> npt.NDArray[np.float64]:
        """For each model the mean loss with one more of it; infinite where no fold has a value. Selections that leave
        out another fold go the same way for long: what one of them measured on a fold is not measured again for the next.
        """
        key = tuple(sorted(counts.items()))
        for fold in folds:
            if (fold, key) not in self._known:
                self._known[fold, key] = self._mixing[fold].adding(counts)
        losses = np.stack([self._known[fold, key] for fold in folds])
        finite = np.isfinite(losses)
        count = finite.sum(axis=0)
        total = np.where(finite, losses, 0.0).sum(axis=0)
        means: npt.NDArray[np.float64] = np.divide(
            total, count, out=np.full(len(total), math.inf), where=count > 0
        )
        return means

    def _affordable(self, counts: dict[int, int]) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(len(self._models), dtype=bool)
        chosen[list(counts)] = True
        if len(counts) >= self._members:
            return chosen
        affordable: npt.NDArray[np.bool_] = chosen | (
            self._costs[chosen].sum() + self._costs <= self._allowed
        )
        return affordable
