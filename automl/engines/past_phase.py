"""The first part of a search that knows the past: its models again, and at each of them the best blend of those so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from automl.engines.choosing import Limits
from automl.engines.evaluation import Prepared
from automl.engines.past import SHARE, Again, Phase, with_zero_shots
from automl.engines.pool import Pool
from automl.engines.protocol import Start, Trial
from automl.engines.standing import Standing
from automl.engines.trials import Trials

_BLENDING = 0.25
"""Choosing takes at most so much of the time between two choices."""
_IN_VAIN = 8
"""So many in turn that make nothing better are enough: the engines do the rest."""

Past = Sequence[tuple[Start, Trials]]
"""What was tried again, with its trials."""


def try_the_past(
    starts: Sequence[Start],
    prepared: Prepared,
    limits: Limits,
    pool: Pool,
    report: Callable[[Trial], None],
    *,
    zero_shots: bool,
    standing: Standing | None,
) -> Past:
    """The models of past runs, tried again before any engine is imported, and blended (``standing``) where that is better.

    ``zero_shots``: the portfolio's settings are tried with them, by turns.
    """
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

    if zero_shots:
        starts = with_zero_shots(starts, prepared, seed=limits.seed)
    past = Again(starts, trials_of, at_once=limits.at_once, seed=limits.seed, time=phase)
    best, better_at, of_champion = None, 0, sum(start.share > 0 for start in starts)
    while past.another():
        if standing is not None:
            standing.look(share=_BLENDING)
        if pool.best is not best:
            best, better_at = pool.best, len(past.done)
        if len(past.done) >= max(better_at, of_champion) + _IN_VAIN:
            past.no_more()
    if standing is not None and past.done:
        standing.look()
    return past.done
