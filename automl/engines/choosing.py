"""Which blend of what was tried is the best, and whether it stands."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.blend import Answers, Choice, Truth, by_use, given, select
from automl.engines.allowance import Allowance
from automl.engines.evaluation import Prepared
from automl.engines.protocol import Start
from automl.engines.trials import Tried, best_of_each_kind

CANDIDATES = 24
"""A blend is chosen from so many."""
_ROWS, _FEW_ROWS = 20_000, 4_000
_SELECTING, _RANKING = 0.06, 0.02
_IN_NEED = 0.2
"""Share of the budget by which training a blend that stands may overrun."""
_BLOCKS = 4
"""Where there are fewer folds, they are cut into at least so many blocks to be held out in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendRule:
    """A blend stands where it beats the best single model by more than ``margin`` (the metric's unit) on rows that took
    no part in choosing it. It has at most ``members`` models, which answer one row within ``row_seconds`` together."""

    margin: float = 0.0
    members: int = 6
    row_seconds: float | None = None
    calibrate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A blend's parts and their shares, its score on all folds, and what is said of it, whether it is ``used`` among that.

    ``parts`` is empty where nothing could be chosen.
    """

    parts: tuple[tuple[Tried, float], ...]
    score: float
    report: Mapping[str, Any]

    @property
    def used(self) -> bool:
        return bool(self.report["used"])

    @property
    def refit_seconds(self) -> float:
        """What training its members on all rows takes, one after the other."""
        return math.fsum(tried.refit_seconds for tried, _ in self.parts)

    def let_go(self) -> Chosen:
        """Without the models of the last fold, which fill the memory."""
        return replace(self, parts=tuple((replace(tried, fitted=None), share) for tried, share in self.parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What choosing and training a blend may take: the search's allowance and the trials that run side by side.

    ``training`` is how long its members may train where that is not all that is left.
    """

    allowance: Allowance
    at_once: int
    seed: int
    rounds: int = 20
    training: float | None = None

    @property
    def seconds_to_train(self) -> float:
        """Members train side by side, so together they may take what is left as often as there are cores."""
        left = max(self.allowance.left, 0.0) if self.training is None else self.training
        return left * self._side_by_side

    @property
    def seconds_in_need(self) -> float:
        """Some more, for what time was kept back for, where the trials took some of that."""
        return self.seconds_to_train + _IN_NEED * self.allowance.budget_seconds * self._side_by_side

    def kept_back(self, choice: Chosen) -> float:
        """The seconds that training its members takes."""
        return choice.refit_seconds / self._side_by_side

    @property
    def _side_by_side(self) -> float:
        return self.at_once * 0.7


def best_choice(
    kept: Sequence[Tried],
    prepared: Prepared,
    rule: BlendRule,
    limits: Limits,
    *,
    starts: Sequence[Start] = (),
    standing: Chosen | None = None,
) -> Chosen:
    """The best blend of what is ``kept`` (best first) that stands; one that doesn't, and why, where none does.

    Asked are: the best of all; the champion's own blend as it was, whose weights ``starts`` tell; where neither
    stands, what past runs were made of alone; and the one that is ``standing`` from before, which is not lost by more
    to choose from, as long as no single model has become better than it.
    """
    found = _choices(kept, prepared, rule, limits, starts)
    best = prepared.loss(kept[0].score)
    if standing is not None and standing.refit_seconds <= limits.seconds_in_need:
        found += [standing] if prepared.loss(standing.score) < best else []
    if not any(one.used for one in found):
        past = [tried for tried in kept if tried.model is not None]
        others = _choices(past, prepared, rule, limits, ()) if len(past) > 1 else []
        found += [one for one in others if one.used and prepared.loss(one.score) < best]
    sound = [one for one in found if one.used]
    return min(sound, key=lambda one: prepared.loss(one.score)) if sound else found[0]


def _choices(
    kept: Sequence[Tried], prepared: Prepared, rule: BlendRule, limits: Limits, starts: Sequence[Start]
) -> list[Chosen]:
    """The greedy choice first, always; then the champion's blend where all of that was tried and can be trained in time."""
    time_left = limits.seconds_to_train
    pool = [tried for at, tried in enumerate(kept) if at == 0 or tried.refit_seconds <= time_left]
    pool = varied(pool)[:CANDIDATES]
    most = np.inf if rule.row_seconds is None else rule.row_seconds
    costs = [max(tried.refit_seconds / max(time_left, 1e-9), tried.row_seconds / most) for tried in pool]
    rows, truths = _rows(prepared, limits.seed, most=_ROWS)
    models: list[Answers] = [_parts(tried.answers, rows) for tried in pool]
    until = time.perf_counter() + max(_SELECTING * limits.allowance.budget_seconds, 1.0)
    choice = select(
        models,
        truths,
        prepared.metric,
        rounds=limits.rounds,
        members=rule.members,
        costs=costs,
        allowed=1.0,
        expired=lambda: time.perf_counter() > until,
    )
    found = [_told(choice, pool, rule, prepared)]
    weights = _as_it_was(pool, starts)
    if len(weights) > 1 and sum(costs[at] for at in weights) <= 1.0:
        was = given(models, truths, prepared.metric, weights)
        found += [] if was is None else [_told(was, pool, rule, prepared)]
    return found


def _as_it_was(pool: Sequence[Tried], starts: Sequence[Start]) -> dict[int, float]:
    """The champion's shares of its parts by their place in the pool; empty where one of the parts is missing."""
    weights: dict[int, float] = {}
    for start in starts:
        if not start.share:
            continue
        place = next((at for at, tried in enumerate(pool) if tried.is_again(start)), None)
        if place is None:
            return {}
        weights[place] = weights.get(place, 0.0) + start.share
    whole = math.fsum(weights.values())
    return {at: share / whole for at, share in weights.items()}


def varied(pool: Sequence[Tried]) -> list[Tried]:
    """The best of each kind of model before the second of any: many of one kind must not crowd the others out."""
    first, others = best_of_each_kind(pool)
    return [*first, *others]


def by_use_in_blends(kept: Sequence[Tried], prepared: Prepared, limits: Limits) -> list[Tried]:
    """What a blend of any number would be made of, in the order in which it takes them; then the others, as they came."""
    pool = varied([tried for tried in kept if tried.answers])[:CANDIDATES]
    if len(pool) < 2:
        return list(kept)
    rows, truths = _rows(prepared, limits.seed, most=_FEW_ROWS)
    until = time.perf_counter() + _RANKING * limits.allowance.budget_seconds
    order = by_use(
        [_parts(tried.answers, rows) for tried in pool],
        truths,
        prepared.metric,
        expired=lambda: time.perf_counter() > until,
    )
    first = [pool[at] for at in order]
    taken = set(map(id, first))
    return [*first, *(tried for tried in kept if id(tried) not in taken)]


Where = tuple[tuple[int, npt.NDArray[np.intp]], ...]


def _rows(prepared: Prepared, seed: int, *, most: int) -> tuple[Where, list[Truth]]:
    """The validation rows to select by, a sample where they are many; few folds are cut into blocks."""
    rng = np.random.default_rng(seed)
    whole = sum(len(fold.y) for fold in prepared.folds)
    blocks = math.ceil(_BLOCKS / len(prepared.first_folds))
    where: list[tuple[int, npt.NDArray[np.intp]]] = []
    for at, fold in enumerate(prepared.folds):
        share = min(1.0, most / whole)
        rows = np.sort(rng.permutation(len(fold.y))[: max(1, round(share * len(fold.y)))])
        parts = np.array_split(rows, blocks)
        where.extend((at, np.asarray(part, dtype=np.intp)) for part in parts if len(part))
    truths = [
        Truth(
            y=prepared.folds[at].y[rows],
            weights=None if (weights := prepared.folds[at].weights) is None else weights[rows],
            split=prepared.folds[at].split,
        )
        for at, rows in where
    ]
    return tuple(where), truths


def _parts(answers: Sequence[npt.NDArray[Any]], where: Where) -> list[npt.NDArray[np.float64]]:
    return [np.asarray(answers[at][rows], dtype=np.float64) for at, rows in where]


def _score(parts: Sequence[tuple[Tried, float]], prepared: Prepared) -> float:
    """On all rows of the folds, as a single model's: those that did not choose the blend flatter it less."""
    scores = []
    for at, fold in enumerate(prepared.folds):
        mixed = np.sum([share * tried.answers[at].astype(np.float64) for tried, share in parts], axis=0)
        scores.append(float(prepared.metric.score(fold.y, mixed, fold.weights)))
    return float(np.mean([score for score in scores if math.isfinite(score)]))


def rescored(choice: Chosen, again: Mapping[int, Tried], prepared: Prepared) -> Chosen:
    """A choice whose parts were tried on more folds: ``again`` has them by the ``id`` of what they were."""
    parts = tuple((again[id(tried)], share) for tried, share in choice.parts)
    score = _score(parts, prepared)
    return Chosen(parts=parts, score=score, report={**choice.report, "score": score})


def _told(choice: Choice | None, pool: Sequence[Tried], rule: BlendRule, prepared: Prepared) -> Chosen:
    """A choice and what is said of it; it is ``used`` where its gain is above the rule's margin."""
    if choice is None:
        report = {"used": False, "reason": "there was not time, or not enough, to choose a blend"}
        return Chosen(parts=(), score=math.nan, report=report)
    parts = tuple((pool[at], share) for at, share in choice.weights.items())
    score = _score(parts, prepared)
    names = ", ".join(f"{share:.0%} {tried.engine}'s {tried.estimator}" for tried, share in parts)
    facts = {"gain": choice.gain, "score": score, "members": names}
    unit = prepared.metric.name
    used = False
    if len(parts) < 2:
        reason = "the best single model is best alone"
    elif not choice.gain > rule.margin:
        gained = (
            f"gains {choice.gain:.3g} {unit} on rows that did not choose it, not more than {rule.margin:g}"
        )
        reason = f"the blend ({names}) {gained}"
    else:
        used = True
        reason = f"{names}: better than the best single model by {choice.gain:.3g} {unit} on rows that did not choose it"
    return Chosen(parts=parts, score=score, report={**facts, "used": used, "reason": reason})
