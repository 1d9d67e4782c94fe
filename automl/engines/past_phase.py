"""The first part of a search that knows the past: its models again, and at each of them the best blend of those so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from automl.engines.choosing import Limits
from automl.engines.evaluation import Prepared
from automl.engines.past import SHARE, Again, Phase, with_other_kinds
from automl.engines.pool import Pool
from automl.engines.protocol import Start, Trial
from automl.engines.standing import Standing
from automl.engines.trials import Trials

_BLENDING = 0.25
"""Choosing takes at most so much of the time between two choices."""


Past = Sequence[tuple[Start, Trials]]
"""What was tried again, with its trials."""


def try_the_past(
    starts: Sequence[Start],
    prepared: Prepared,
    limits: Limits,
    pool: Pool,
    report: Callable[[Trial], None],
    *,
    kinds: bool,
    standing: Standing | None,
) -> Past:
    """The models of past runs, tried again before any engine is imported, and blended (``standing``) where that is better.

    ``kinds``: quick kinds of model that the past lacks are tried with them.
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

    if kinds:
        starts = with_other_kinds(starts, prepared, seed=limits.seed)
    past = Again(starts, trials_of, at_once=limits.at_once, seed=limits.seed)
    while past.another():
        if standing is not None:
            standing.look(share=_BLENDING)
    if standing is not None and past.done:
        standing.look()
    return past.done
