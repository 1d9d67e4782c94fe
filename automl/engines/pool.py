"""What all engines of one search found together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from automl.candidate import Candidate
from automl.engines.evaluation import Prepared
from automl.engines.trials import Tried, best_of_each_kind
from automl.engines.turns import FairTurns

KEPT = 40
"""Trials whose answers are remembered: the best, and the best of each kind of model."""
HELD = 24
"""Of those, the ones whose models of the last fold are held: a blend is chosen from no more."""
_FAR = 0.25
_FEW = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """The best so far: seconds since the budget began, its score, and whose it is."""

    seconds: float
    score: float
    engine: str
    estimator: str


@dataclass(slots=True, kw_only=True)
class Pool:
    """The trials of all engines. May be used by many threads.

    ``best`` is the best candidate that was offered so far, which may be a blend. ``give_up`` says how many seconds without
    a better one end the search (None: none do). While it is ``keeping``, the last fold's models of the best trials are held
    as well. ``heard`` counts the trials with a score.
    """

    prepared: Prepared
    turns: FairTurns
    offer: Callable[[Candidate], None]
    give_up: float | None = None
    keeping: bool = False
    heard: int = 0
    kept: list[Tried] = field(default_factory=list)
    improved_at: float = field(default_factory=time.perf_counter)
    started: float = field(default_factory=time.perf_counter)
    progress: list[Milestone] = field(default_factory=list)
    best: Candidate | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def hear(self, tried: Tried) -> None:
        with self._lock:
            self.heard += 1
            loss = self.prepared.loss(tried.score)
            if not self.kept or loss < self.prepared.loss(self.kept[0].score):
                self.improved_at = time.perf_counter()
                self.turns.found_best(tried.engine)
                self.passed(tried.engine, tried.estimator, tried.score)
            if any(one.estimator == tried.estimator and one.score == tried.score for one in self.kept):
                return  # the same model again
            self.kept.append(tried if self.keeping else replace(tried, fitted=None))
            self.kept.sort(key=lambda one: self.prepared.loss(one.score))
            self._forget()

    def passed(self, engine: str, estimator: str, score: float) -> None:
        """Write down a best so far: better than all before it, blends among them."""
        known = [self.prepared.loss(one.score) for one in self.progress]
        if known and self.prepared.loss(score) >= min(known):
            return
        seconds = time.perf_counter() - self.started
        self.progress.append(Milestone(seconds=seconds, score=score, engine=engine, estimator=estimator))

    def better(self, score: float) -> bool:
        """Whether a candidate of this score would be taken."""
        with self._lock:
            return self.best is None or self.prepared.loss(score) < self.prepared.loss(self.best.score)

    def take(self, candidate: Candidate) -> bool:
        """Offer an engine's best so far where it is the best of all; whether it is."""
        with self._lock:
            if self.better(candidate.score):
                self.best = candidate
                self.improved_at = time.perf_counter()
                self.offer(candidate)
                return True
            return False

    def behind(self, scores: list[float]) -> bool:
        """Whether a trial's scores on its first folds are so much worse than the best's that it is given up.

        Far behind is by more than a quarter of what lies between the best and the median of those kept, and by
        more than the best's scores vary from fold to fold.
        """
        with self._lock:
            if len(self.kept) < _FEW:
                return False
            best, middle = self.kept[0], self.kept[len(self.kept) // 2]
        done = len(scores)
        losses = [self.prepared.loss(score) for score in scores]
        gap = float(np.mean(losses)) - float(
            np.mean([self.prepared.loss(s) for s in best.fold_scores[:done]])
        )
        reach = self.prepared.loss(middle.score) - self.prepared.loss(best.score)
        return gap > max(float(np.std(best.fold_scores)), 2.0 * reach) * (1.0 + _FAR)

    def best_first(self) -> list[Tried]:
        """What is kept now. ``kept`` itself is nothing to look at while trials end: sorting empties it meanwhile."""
        with self._lock:
            return list(self.kept)

    def let_go(self) -> None:
        """Hold no fitted model any longer; what they answered stays."""
        with self._lock:
            self.keeping = False
            self.kept = [replace(one, fitted=None) for one in self.kept]

    @property
    def settled(self) -> bool:
        """Nothing better came for so long that the rest of the budget is better saved."""
        with self._lock:
            quiet = time.perf_counter() - self.improved_at
            return self.give_up is not None and self.heard >= 30 and quiet > self.give_up

    def _forget(self) -> None:
        first, others = best_of_each_kind(self.kept)
        if len(self.kept) > KEPT and others:
            gone = others.pop()
            self.kept = [one for one in self.kept if one is not gone]
        if self.keeping:
            held = set(map(id, [*first, *others][:HELD]))
            self.kept = [one if id(one) in held else replace(one, fitted=None) for one in self.kept]
