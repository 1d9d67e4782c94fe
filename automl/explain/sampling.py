"""Shapley values by sampling, for whatever answers: columns are taken over from training rows to the row, one by one.

Each background row is walked to the row to be explained in an order of its own, and every change of the answer on the
way belongs to the column that was changed. A walk starts at the background row's answer and ends at the
row's, so the contributions add up exactly, however few the walks; their number only sets how far single contributions
are off. Orders come in pairs, one the reverse of the other, and are the same for every row and call.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.explain.explanation import Floats

ASKED_A_ROW = 1_500
"""Answers that a row may cost: few columns are walked often, many seldom."""
FEWEST, MOST = 6, 64
AT_ONCE = 50_000
"""Rows put to the model at once, so that memory stays in bounds."""

Score = Callable[[pa.Table], Floats]


def walks(columns: int, available: int) -> int:
    """How many background rows are walked from; an even number where there are as many."""
    wanted = max(FEWEST, min(MOST, ASKED_A_ROW // (columns + 1)))
    return min(wanted - wanted % 2, available)


def sampled(
    table: pa.Table,
    background: pa.Table,
    columns: tuple[str, ...],
    score: Score,
    picked: npt.NDArray[np.intp] | None,
) -> tuple[Floats, Floats]:
    """The base of each row (n,) and the contributions of ``columns`` (n, d).

    ``score`` gives (m,) numbers, or (m, K) of which row i is explained by column ``picked[i]``.
    """
    orders = _orders(len(columns), background.num_rows)
    asked = background.num_rows * (len(columns) + 1)
    step = max(1, AT_ONCE // asked)
    found = [
        _some(
            table.slice(at, step),
            background,
            columns,
            orders,
            score,
            None if picked is None else picked[at : at + step],
        )
        for at in range(0, table.num_rows, step)
    ]
    return np.concatenate([base for base, _ in found]), np.concatenate([parts for _, parts in found])


def _orders(columns: int, count: int) -> npt.NDArray[np.intp]:
    """For each walk the place at which each column is taken over."""
    random = np.random.default_rng(0)
    places = np.empty((count, columns), dtype=np.intp)
    for walk in range(count):
        places[walk] = random.permutation(columns) if walk % 2 == 0 else columns - 1 - places[walk - 1]
    return places


def _some(
    table: pa.Table,
    background: pa.Table,
    columns: tuple[str, ...],
    places: npt.NDArray[np.intp],
    score: Score,
    picked: npt.NDArray[np.intp] | None,
) -> tuple[Floats, Floats]:
    rows, count, width = table.num_rows, background.num_rows, len(columns)
    answers = score(_walked(table, background, columns, places)).reshape(rows, count, width + 1, -1)
    if picked is not None:
        answers = np.take_along_axis(answers, picked[:, None, None, None], axis=3)
    scores = answers[..., 0]
    changes = np.diff(scores, axis=2)  # by row, walk and place on the way
    of_column = np.take_along_axis(changes, np.broadcast_to(places, (rows, count, width)), axis=2)
    return scores[:, :, 0].mean(axis=1), of_column.mean(axis=1)


def _walked(
    table: pa.Table, background: pa.Table, columns: tuple[str, ...], places: npt.NDArray[np.intp]
) -> pa.Table:
    """All rows on all ways, by row, then walk, then place."""
    rows, (count, width) = table.num_rows, places.shape
    own = np.arange(rows)[:, None, None]
    others = rows + np.arange(count)[None, :, None]
    place = np.arange(width + 1)[None, None, :]
    both = pa.concat_tables([table, background.select(table.column_names)]).combine_chunks()
    walked = {}
    for name in table.column_names:
        if name in columns:
            taken = places[None, :, columns.index(name), None] < place
            where = np.where(taken, own, others)
        else:  # the model does not look at it
            where = np.broadcast_to(own, (rows, count, width + 1))
        walked[name] = both[name].take(pa.array(where.ravel()))
    return pa.table(walked)
