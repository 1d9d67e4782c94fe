"""A second look at the best trials, on folds that none of them was chosen by.

The best of hundreds of trials is in part the luckiest on its folds (Cawley & Talbot 2010, "On Over-fitting in Model
Selection and Subsequent Selection Bias in Performance Evaluation", JMLR 11). In the time that is kept for the final
training and not needed for it, the best are trained on other folds of the same rows; the choice is made by all folds then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from automl.engines.choosing import CANDIDATES, BlendRule, Chosen, Limits, best_choice, rescored, varied
from automl.engines.evaluation import Fold, Prepared, prepare_again
from automl.engines.limits import unheard_timeouts, within
from automl.engines.protocol import Problem, Start
from automl.engines.rebuilding import fitted
from automl.engines.trials import Tried

_CAUTION = 1.5
"""The final training is expected to take so much longer than it is told."""
_ENOUGH = 16
"""Fewer to choose from would cost a blend more than their luck does; where there are fewer, all of them are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is ``kept``, best first by all folds of ``prepared``; the blend that would stand without this look, told by all
    of them (None where that would be a single model); and how many ``trials`` were looked at again."""

    kept: Sequence[Tried]
    prepared: Prepared
    standing: Chosen | None
    trials: int = 0


def second_look(
    kept: Sequence[Tried],
    problem: Problem,
    prepared: Prepared,
    rule: BlendRule | None,
    limits: Limits,
    *,
    starts: Sequence[Start] = (),
    standing: Chosen | None = None,
) -> Looked:
    """The best of what is ``kept``, looked at again in the time that the final training leaves.

    All stays as it is where the problem has no other folds, or where there is not time enough to look at what would
    be chosen now and at some others.
    """
    unchanged = Looked(kept=kept, prepared=prepared, standing=standing)
    if not problem.again or len(kept) < 2:
        return unchanged
    choice = (
        None if rule is None else best_choice(kept, prepared, rule, limits, starts=starts, standing=standing)
    )
    chosen = [tried for tried, _ in choice.parts] if choice is not None and choice.used else [kept[0]]
    each = [tried.refit_seconds for tried in chosen]
    training = max(sum(each) / limits.at_once, *each)
    until = time.perf_counter() + limits.allowance.left - _CAUTION * training
    looks = [*chosen, *_others(kept, chosen)]
    enough = looks[: max(_ENOUGH, len(chosen))]
    if until - time.perf_counter() < prepared.seconds + _seconds(enough, prepared) / limits.at_once:
        return unchanged
    others = prepare_again(problem, prepared, seed=limits.seed)
    if others is None:
        return unchanged
    with unheard_timeouts(), ThreadPoolExecutor(limits.at_once) as threads:
        found = list(threads.map(lambda tried: _look(tried, others, until), looks))
    again = {id(tried): seen for tried, seen in zip(looks, found, strict=True) if seen is not None}
    if None in found[: len(chosen)] or len(again) < min(_ENOUGH, len(looks)):
        return unchanged
    every = replace(prepared, folds=(*prepared.folds, *others.folds))
    return Looked(
        kept=sorted(again.values(), key=lambda tried: every.loss(tried.score)),
        prepared=every,
        standing=None if choice is None or not choice.used else rescored(choice, again, every),
        trials=len(again),
    )


def _others(kept: Sequence[Tried], chosen: Sequence[Tried]) -> list[Tried]:
    """What a blend may be chosen from besides, the best of each kind first."""
    inside = set(map(id, chosen))
    more = [tried for tried in varied(kept) if id(tried) not in inside and tried.likeness is not None]
    return more[: max(0, CANDIDATES - len(chosen))]


def _seconds(tried: Sequence[Tried], prepared: Prepared) -> float:
    """What training these on as many folds again takes."""
    return sum(one.refit_seconds for one in tried) / prepared.refit_ratio


def _look(tried: Tried, others: Prepared, until: float) -> Tried | None:
    """The trial with its answers on the other folds as well; None where that fails or would take too long."""
    left = until - time.perf_counter()
    if tried.likeness is None or _seconds([tried], others) > left:
        return None
    likeness = tried.likeness
    answers: list[npt.NDArray[np.float32]] = []
    scores: list[float] = []

    def fit(fold: Fold) -> object:
        return fitted(likeness, fold.train)

    def keep(fold: Fold, model: object, given: npt.NDArray[np.float64], score: float) -> None:
        answers.append(given.astype(np.float32))
        scores.append(score)

    try:
        within(left, others.cross_validate, fit, keep)
    except Exception:  # what was good on its folds may fail on others in any way
        return None
    every = (*tried.fold_scores, *scores)
    finite = [score for score in every if np.isfinite(score)]
    return replace(tried, answers=(*tried.answers, *answers), fold_scores=every, score=float(np.mean(finite)))
