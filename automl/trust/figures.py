"""What is told of each group: rates, calibration or error, with bootstrap draws of all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.columns import scalar_text
from automl.resampling import drawn_counts
from automl.task import Task
from automl.trust.groups import Codes, Grouping

Values = npt.NDArray[np.float64]

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "calibration")
"""Of a class: the share answered as it, that share among those that are of it and among the others, and by how much
the mean answer lies above the share that is of it."""
ERRORS = ("error", "bias")
"""Of numbers: the mean absolute and the mean signed error (answer less truth)."""
MOST_CLASSES = 10
"""Of more classes, the most frequent ones are told of, each against all others."""
_SUMS = 5
"""Of a class: rows, rows answered as it, rows of it, both, and the mean answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """``label`` is the class that it is a figure of, None for numbers."""

    name: str
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A model's figures by group: ``values`` (figures, groups), ``drawn`` the same in each resample, ``rests_on`` how many
    rows each is a share or mean of. NaN where there are none. ``units`` (groups,) is how many of what resamples draw
    have rows in a group: entities, or rows."""

    figures: tuple[Figure, ...]
    values: Values
    drawn: Values
    rests_on: Values
    units: Codes

    def interval(self, confidence: float = 0.95) -> tuple[Values, Values]:
        """Bounds of each figure by itself: percentiles of the resamples; NaN where most had no value."""
        kept = np.isfinite(self.drawn).mean(axis=0) > 0.5
        drawn = np.where(kept, self.drawn, 0.0)
        low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        return np.where(kept, low, np.nan), np.where(kept, high, np.nan)


def told_classes(y: npt.NDArray[Any], task: Task) -> tuple[int, ...]:
    """The positions of the classes that figures are told of: the second of two; of more, the most frequent ones. Of
    numbers there is one figure, as if of one class."""
    if not task.is_classification:
        return (0,)
    if task.is_binary:
        return (1,)
    counts = np.bincount(np.asarray(y, dtype=np.intp), minlength=len(task.classes))
    return tuple(int(place) for place in np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES]))


def measured(
    models: Mapping[str, Values],
    y: npt.NDArray[Any],
    groupings: Sequence[Grouping],
    task: Task,
    *,
    resamples: int,
    seed: int,
    units: Codes | None = None,
) -> dict[str, list[Measured]]:
    """For each model, given by its answers, its figures in each grouping.

    All models and groupings see the same resamples: of rows, or of whole ``units`` (the number of each row's own, without
    gaps) where rows belong together. A class is answered that has the highest probability.
    """
    terms = {name: _terms(answers, y, task) for name, answers in models.items()}
    joint, width = np.hstack(list(terms.values())), next(iter(terms.values())).shape[1]
    ordered = [np.argsort(one.codes, kind="stable") for one in groupings]
    sums: list[list[Values]] = [[] for _ in groupings]
    for weights in _weights(len(y), resamples, seed, units):
        for place, one in enumerate(groupings):
            sums[place].append(_by_group(weights, joint, ordered[place], one.counts))
    figures = _figures(y, task)
    found: dict[str, list[Measured]] = {name: [] for name in models}
    for grouping, blocks in zip(groupings, sums, strict=True):
        whole, held = np.concatenate(blocks), _units(grouping, units)
        for place, name in enumerate(models):
            mine = whole[:, :, place * width : (place + 1) * width]
            found[name].append(_finished(mine, figures, task, held))
    return found


def _figures(y: npt.NDArray[Any], task: Task) -> tuple[Figure, ...]:
    if not task.is_classification:
        return tuple(Figure(name=name) for name in ERRORS)
    labels = [scalar_text(task.classes[place]) for place in told_classes(y, task)]
    return tuple(Figure(name=name, label=label) for label in labels for name in RATES)


def _terms(answers: Values, y: npt.NDArray[Any], task: Task) -> Values:
    """What is summed up of each row."""
    if not task.is_classification:
        off = answers - y
        return np.column_stack([np.ones(len(y)), np.abs(off), off])
    told, columns = answers.argmax(axis=1), []
    for place in told_classes(y, task):
        said, true = told == place, np.asarray(y) == place
        columns += [np.ones(len(y)), said, true, said & true, answers[:, place]]
    return np.column_stack(columns).astype(np.float64)


def _weights(rows: int, resamples: int, seed: int, units: Codes | None) -> Iterator[Values]:
    """How often each row counts: once, then in each resample; in blocks that bound the memory."""
    yield np.ones((1, rows))
    random = np.random.default_rng(seed)
    count = rows if units is None else int(units.max()) + 1
    for counts in drawn_counts(random, count, rows, resamples):
        yield counts if units is None else counts[:, units]


def _by_group(weights: Values, terms: Values, order: Codes, counts: Codes) -> Values:
    """Sums of the weighed terms: (resamples, groups, terms)."""
    found = np.zeros((len(weights), len(counts), terms.shape[1]))
    ends = np.cumsum(counts)
    for group, (end, count) in enumerate(zip(ends, counts, strict=True)):
        mine = order[end - count : end]
        found[:, group] = weights[:, mine] @ terms[mine]
    return found


def _units(grouping: Grouping, units: Codes | None) -> Codes:
    """How many units have rows in each group; one may have some in several."""
    if units is None:
        return grouping.counts
    pairs = np.unique(np.column_stack([grouping.codes, units]), axis=0)
    return np.bincount(pairs[:, 0], minlength=len(grouping.names))


def _finished(sums: Values, figures: tuple[Figure, ...], task: Task, units: Codes) -> Measured:
    """Of sums whose first ones are those of all rows."""
    parts = _rates(sums) if task.is_classification else _errors(sums)
    values = np.stack([_share(above, below) for above, below in parts], axis=1)
    rests_on = np.stack([below[0] for _, below in parts])
    return Measured(figures=figures, values=values[0], drawn=values[1:], rests_on=rests_on, units=units)


def _rates(sums: Values) -> list[tuple[Values, Values]]:
    """Each figure as a sum and what it is a share of, in the order of RATES for each class."""
    parts = []
    for start in range(0, sums.shape[2], _SUMS):
        rows, said, true, both, answers = np.moveaxis(sums[:, :, start : start + _SUMS], 2, 0)
        parts += [(said, rows), (both, true), (said - both, rows - true), (answers - true, rows)]
    return parts


def _errors(sums: Values) -> list[tuple[Values, Values]]:
    rows, size, off = np.moveaxis(sums, 2, 0)
    return [(size, rows), (off, rows)]


def _share(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
