"""Gaps between groups in a person's words."""

from __future__ import annotations

from collections.abc import Sequence

from automl.sentences import significant
from automl.trust.audit import Judged
from automl.trust.gaps import Pair


def exceeding(against: Sequence[Judged]) -> str:
    """The first of these gaps in words: between whom, how wide, and what is allowed."""
    worst = against[0]
    sure = worst.ours.surest
    bound, limit = significant(sure.low), significant(worst.limit or 0.0)
    return f"{said(worst, sure)}, surely at least {bound} where {limit} is allowed{more(against)}"


def said(one: Judged, pair: Pair) -> str:
    """``by sex the selection rate of true is 0.31 higher for M than for F``."""
    of = f" of {pair.figure.label}" if pair.figure.label is not None else ""
    figure = pair.figure.name.replace("_", " ") + of
    high, low = pair.groups
    return (
        f"by {one.grouping.name} the {figure} is {significant(pair.value)} higher for {high} than for {low}"
    )


def more(against: Sequence[Judged]) -> str:
    """How many there are beside the first."""
    return "" if len(against) == 1 else f", and so are {len(against) - 1} more"
