"""The first part of a search that knows the past: its models again, and at each of them the best blend of those so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from automl.engines.choosing import BlendRule, Chosen, Limits
from automl.engines.early_blend import early_blend, early_choice
from automl.engines.evaluation import Prepared
from automl.engines.past import SHARE, Again, Phase, with_other_kinds
from automl.engines.pool import Pool
from automl.engines.protocol import Start, Trial
from automl.engines.trials import Trials

_ROUNDS = 20
_BLENDING = 0.25
"""Choosing takes at most so much of the time between two choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was tried again, with its trials, and the best blend of it that stands."""

    tried: Sequence[tuple[Start, Trials]]
    standing: Chosen | None


def try_the_past(
    starts: Sequence[Start],
    prepared: Prepared,
    rule: BlendRule | None,
    limits: Limits,
    pool: Pool,
    report: Callable[[Trial], None],
    *,
    kinds: bool,
) -> Past:
    """The models of past runs, tried again before any engine is imported, and blended where that is better.

    ``kinds``: quick kinds of model that the past lacks are tried with them.
    """
    pool.keeping = rule is not None and any(start.model is not None for start in starts)
    phase = Phase(limits.allowance, SHARE)

    def trials_of(start: Start) -> Trials:
        return Trials(
            engine=start.engine,
            prepared=prepared,
            allowance=phase,
            report=report,
            offer=pool.take,
            hear=pool.hear,
            model=start.model,
        )

    if kinds:
        starts = with_other_kinds(starts, prepared, seed=limits.seed)
    past = Again(starts, trials_of, at_once=limits.at_once, seed=limits.seed)
    if rule is None:
        while past.another():
            pass
        return Past(tried=past.done, standing=None)
    standing = _blended_as_they_come(past, prepared, rule, replace(limits, rounds=_ROUNDS), pool, starts)
    pool.let_go()
    return Past(tried=past.done, standing=standing and standing.let_go())


def _blended_as_they_come(
    past: Again,
    prepared: Prepared,
    rule: BlendRule,
    limits: Limits,
    pool: Pool,
    starts: Sequence[Start],
) -> Chosen | None:
    cost, last, asked = 0.0, time.perf_counter(), 0
    standing: Chosen | None = None

    def blend() -> None:
        nonlocal cost, last, asked, standing
        began, asked = time.perf_counter(), len(past.done)
        choice = early_choice(list(pool.kept), prepared, rule, limits, starts=starts)
        if choice is not None and pool.better(choice.score):
            found, standing = early_blend(choice, prepared), choice
            pool.take(found)
            pool.passed(found.engine, found.estimator, found.score)
        last = time.perf_counter()
        cost = last - began

    while past.another():
        if len(pool.kept) > 1 and cost <= _BLENDING * (time.perf_counter() - last):
            blend()
    if len(pool.kept) > 1 and asked < len(past.done):
        blend()
    return standing
