"""Blocks of consecutive rows, which a bootstrap draws whole where neighbours in time fail together.

A storm delays all flights of a day: rows beside each other tell less than as many rows apart, and a bootstrap
that draws single rows is too sure of itself. Drawing whole blocks (Carlstein 1986) keeps what neighbours share,
as long as a block is longer than what they share lasts.
"""

from __future__ import annotations

import math

import numpy as np

from automl.resampling import gap
from automl.tallies import Positions, Sums, Tally, Values

LEAST_BLOCKS = 10
"""No choice of a length leaves fewer blocks: the error itself would be a guess."""
_NOISE = 1e-12
_CELLS = 500_000


def block_codes(rows: int, length: int) -> Positions:
    """The block of each row, from 0: blocks of ``length`` rows, or a little more so that they are of even size."""
    if length < 1:
        raise ValueError(f"a block holds at least one row, not {length}")
    blocks = max(rows // length, 1)
    return (np.arange(rows, dtype=np.intp) * blocks) // max(rows, 1)


def shortest_length(rows: int) -> int:
    """Below this a block bootstrap is not tried: the cube root of the rows, the order that Künsch (1989) and Hall,
    Horowitz and Jing (1995) find best for the error of a mean of weakly dependent rows.

    >>> shortest_length(1000), shortest_length(50), shortest_length(1)
    (10, 3, 1)
    """
    length = round(math.cbrt(rows))
    return max(length - (length**3 > rows), 1)


def settled_length(challenger: Tally, champion: Tally, rows: int) -> int:
    """How long a block has to be, in rows, so that longer ones show no larger error of the difference.

    Starts at :func:`shortest_length` and doubles for as long as :data:`LEAST_BLOCKS` are left; takes the shortest
    length whose error no longer length exceeds by more than its own uncertainty (the blocking method of
    Flyvbjerg and Petersen 1989), and, where that is more than the first, once more its double: at the very length
    that settles, blocks still cut what they should keep. Rows are in the order of time. The influence of
    each of the shortest blocks on the difference comes from leaving it out, so any metric will do. Swapping
    the tallies changes nothing.

    On rows that share nothing this costs some 3% of the bounds' width.
    """
    shortest = shortest_length(rows)
    ladder = _errors(_influences(challenger, champion, rows, shortest), shortest)
    for place, (length, error, _) in enumerate(ladder):
        if all(longer <= error * slack + _NOISE for _, longer, slack in ladder[place + 1 :]):
            doubled = place > 0 and rows // (2 * length) >= LEAST_BLOCKS
            return 2 * length if doubled else length
    raise AssertionError("unreachable: nothing is longer than the longest")


def _errors(influences: Values, length: int) -> list[tuple[int, float, float]]:
    """For each length its error (up to a factor that is common to all), and the factor by which an error that is
    really the same may come out larger by chance."""
    found: list[tuple[int, float, float]] = []
    while not found or len(influences) >= LEAST_BLOCKS:
        spread = float(influences.var(ddof=1)) if len(influences) > 1 else 0.0
        chance = 1.0 + 1.0 / math.sqrt(2.0 * max(len(influences) - 1, 1))
        found.append((length, math.sqrt(spread / length), chance))
        pairs = len(influences) // 2
        influences, length = influences[: 2 * pairs].reshape(pairs, 2).sum(axis=1), 2 * length
    return found


def _influences(challenger: Tally, champion: Tally, rows: int, length: int) -> Values:
    """By how much each block moves the difference; none where there is no score without it."""
    codes = block_codes(rows, length)
    blocks = int(codes.max()) + 1
    grouped = isinstance(challenger, Sums) and isinstance(champion, Sums)
    if isinstance(challenger, Sums) and isinstance(champion, Sums):
        challenger, champion = challenger.grouped(codes, blocks), champion.grouped(codes, blocks)
    width = blocks if grouped else rows
    whole = float(gap(challenger.scores(np.ones((1, width))), champion.scores(np.ones((1, width))))[0])
    without = []
    step = max(1, _CELLS // width)
    for start in range(0, blocks, step):
        left_out = np.arange(start, min(start + step, blocks))[:, None]
        weights = (left_out != (np.arange(blocks) if grouped else codes)).astype(np.float64)
        without.append(gap(challenger.scores(weights), champion.scores(weights)))
    moved = whole - np.concatenate(without)
    return np.nan_to_num(moved, nan=0.0)
