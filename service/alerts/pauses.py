"""When to try again. Pure."""

from __future__ import annotations

import random
from datetime import timedelta

LONGEST = timedelta(hours=1)
LONGEST_ASKED = timedelta(hours=6)
_DOUBLINGS = 30


def pause(
    attempt: int, *, first: timedelta, draw: random.Random, asked: timedelta | None = None
) -> timedelta:
    """After the ``attempt``-th failure: ``first``, doubled each time up to an hour, drawn from its second half to its
    whole, so that what failed together is not tried together. A receiver that asks for longer gets it, up to six hours."""
    whole: timedelta = min(LONGEST, first * 2 ** min(attempt - 1, _DOUBLINGS))
    drawn = whole * draw.uniform(0.5, 1.0)
    return drawn if asked is None else max(drawn, min(asked, LONGEST_ASKED))
