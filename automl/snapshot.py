"""The frozen parts of a dataset: which rows judge, which rows train, and in which folds a search compares."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from automl.embargo import before_the_gap
from automl.engines.protocol import Folds
from automl.errors import SplitError
from automl.task import Task

Positions = npt.NDArray[np.intp]
Order = npt.NDArray[np.int64]
Fold = tuple[Positions, Positions]

OLDEST = np.iinfo(np.int64).min
"""Where a row without a time stands: before all others, so that it only ever trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutRule:
    """The holdout is ``share`` of the rows, but at least ``min_rows`` and at most ``max_rows`` of them.

    At least ``min_train`` rows must be left to train on.
    """

    share: float = 0.2
    min_rows: int = 50
    max_rows: int = 10_000
    min_train: int = 50

    def wanted(self, rows: int) -> int:
        return min(max(round(rows * self.share), self.min_rows), self.max_rows)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mark:
    """A place in the order of rows: a time (or arrival), then a row id, which tells equal times apart."""

    at: int
    row_id: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"at": self.at, "row_id": self.row_id}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mark:
        return cls(at=int(data["at"]), row_id=str(data["row_id"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Positions, each part oldest first; the parts are disjoint, and together they are all rows.

    ``left_out`` is empty unless entities are named or there is an embargo. ``cut`` is the first row of the
    holdout. ``trained_until`` is the last row of the training part: rows beyond it were never trained on.
    """

    train: Positions
    holdout: Positions
    left_out: Positions
    cut: Mark
    trained_until: Mark


def row_order(table: pa.Table, task: Task) -> Order:
    """When each row happened: its time column (nanoseconds, or the number as it sorts), else its arrival.

    ``table`` is typed; arrival is the registry's ``_arrived_at``. Rows without a time come first.
    """
    values = table.column(task.time_column or "_arrived_at").combine_chunks()
    if pa.types.is_timestamp(values.type):
        micros = pc.fill_null(values.cast(pa.int64()), OLDEST).to_numpy(zero_copy_only=False)
        return np.where(micros == OLDEST, OLDEST, micros * 1_000).astype(np.int64)
    return _sortable(values.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _sortable(numbers: npt.NDArray[np.float64]) -> Order:
    """Whole numbers that sort as the floats do: their bits, with those of the negative ones turned."""
    bits = (numbers + 0.0).view(np.int64)  # + 0.0 makes -0.0 and 0.0 one
    turned = np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)
    return np.where(np.isnan(numbers), OLDEST, turned).astype(np.int64)


def split(
    order: Order,
    *,
    row_ids: Sequence[str] | pa.Array | pa.ChunkedArray | None = None,
    entities: npt.NDArray[Any] | pa.Array | None = None,
    rule: HoldoutRule | None = None,
    trained_until: Mark | None = None,
    embargo: int | None = None,
) -> Split:
    """Parts truly labelled rows into the older, to train on, and the newest, to judge on.

    ``order`` is :func:`row_order`; equal times are ordered by ``row_ids``, else by position.
    ``trained_until`` is a champion's: only rows beyond it may judge it, so the holdout may get smaller than
    the rule wants, never smaller than ``min_rows``.

    With an ``embargo`` (nanoseconds, in the order's unit; 0 or more) every row of the holdout is strictly later
    than every row of the training part, and than ``trained_until``, by more than that: older rows within the gap
    are left out. Without one, rows of the same moment may stand on both sides.

    With ``entities`` none stands on both sides. The holdout stays the newest rows, and older rows of its
    entities are left out. Where that leaves too few to train on (each entity comes back all the time),
    whole entities are held out instead, those seen last first, by their newest rows.

    Raises SplitError with the numbers when rows are too few.
    """
    rule = rule or HoldoutRule()
    ids = _texts(row_ids, order.size)
    by_age = np.lexsort((_ranks(ids), order))
    fresh = by_age if trained_until is None else by_age[_beyond(order, ids, trained_until, embargo)[by_age]]
    size = min(rule.wanted(order.size), fresh.size)
    _demand(size >= rule.min_rows, rule, order.size, fresh.size if trained_until else None)
    _demand(order.size - size >= rule.min_train, rule, order.size, None)
    train, holdout = by_age[: order.size - size], by_age[order.size - size :]
    if embargo is not None:
        train = before_the_gap(train, holdout, order, embargo=embargo, least=rule.min_train)
    if entities is not None:
        train, holdout = _apart(train, holdout, fresh, _codes(entities), rule)
        if embargo is not None:  # whole entities that were held out may begin earlier than the newest rows do
            train = before_the_gap(train, holdout, order, embargo=embargo, least=rule.min_train)
    used = np.zeros(order.size, dtype=np.bool_)
    used[train] = used[holdout] = True
    return Split(
        train=train,
        holdout=holdout,
        left_out=by_age[~used[by_age]],
        cut=_mark(order, ids, holdout[0]),
        trained_until=_mark(order, ids, train[-1]),
    )


def _texts(row_ids: Sequence[str] | pa.Array | pa.ChunkedArray | None, rows: int) -> pa.Array:
    if isinstance(row_ids, pa.ChunkedArray):
        return row_ids.combine_chunks()
    return pa.array([""] * rows if row_ids is None else row_ids, pa.string())


def _mark(order: Order, ids: pa.Array, row: np.intp) -> Mark:
    return Mark(at=int(order[row]), row_id=ids[int(row)].as_py())


def _ranks(ids: pa.Array) -> npt.NDArray[np.uint64]:
    return np.asarray(pc.rank(ids, tiebreaker="dense"))


def _beyond(order: Order, ids: pa.Array, mark: Mark, embargo: int | None) -> npt.NDArray[np.bool_]:
    if embargo is not None:
        return np.asarray(order > mark.at + embargo)
    later_id = pc.greater(ids, mark.row_id).to_numpy(zero_copy_only=False)
    return np.asarray((order > mark.at) | ((order == mark.at) & later_id))


def _demand(holds: bool, rule: HoldoutRule, rows: int, fresh: int | None) -> None:
    if holds:
        return
    if fresh is not None and rows - rule.min_rows >= rule.min_train:
        raise SplitError(
            f"{fresh} truly labelled rows are newer than what the champion was trained on; "
            f"{rule.min_rows} are needed to judge by: send labels of newer rows (a refitted champion knows all "
            "earlier ones), or lower holdout.min_rows"
        )
    raise SplitError(
        f"{rows} truly labelled rows; {rule.min_rows + rule.min_train} are needed "
        f"({rule.min_train} to train on and {rule.min_rows} newer ones to judge by)"
    )


def _apart(
    train: Positions, holdout: Positions, fresh: Positions, codes: Positions, rule: HoldoutRule
) -> tuple[Positions, Positions]:
    """Train and holdout without a common entity, as :func:`split` promises."""
    apart = train[~np.isin(codes[train], codes[holdout])]
    if apart.size >= rule.min_train:
        return apart, holdout
    seen_last = codes[fresh[::-1]]
    names, first, counts = np.unique(seen_last, return_index=True, return_counts=True)
    in_turn = np.argsort(first)
    enough = int(np.searchsorted(np.cumsum(counts[in_turn]), holdout.size)) + 1
    held = names[in_turn[:enough]]
    by_age = np.concatenate([train, holdout])
    rest = by_age[~np.isin(codes[by_age], held)]
    newest = fresh[np.isin(codes[fresh], held)][-holdout.size :]
    if rest.size < rule.min_train:
        raise SplitError(
            f"the {holdout.size} newest rows and all else belong to the same few entities "
            f"({np.unique(codes).size} in all): {rest.size} rows of others are left to train on, "
            f"{rule.min_train} are needed"
        )
    return rest, newest


def _codes(entities: npt.NDArray[Any] | pa.Array) -> Positions:
    """Numbers for entities; each row without one is an entity of its own."""
    values = entities.to_pylist() if isinstance(entities, pa.Array | pa.ChunkedArray) else entities
    codes, _ = pd.factorize(np.asarray(values, dtype=object))
    missing = np.flatnonzero(codes < 0)
    codes[missing] = -1 - missing
    return np.asarray(codes, dtype=np.intp)


def folds(
    y: npt.NDArray[Any],
    *,
    task: Task,
    order: Order | None = None,
    entities: npt.NDArray[Any] | pa.Array | None = None,
    n: int = 4,
    seed: int,
) -> Folds:
    """The (train, validation) positions by which every engine compares configurations.

    With ``entities`` none is divided; else, with the ``order`` of a time column, the slices roll forward,
    each trained on all before it; else rows are shuffled, classes in even shares. A fold is left out when
    its training part lacks a class or its validation part has one alone; slices that roll give way to
    shuffled ones when that leaves none. Raises SplitError when rows are too few for any.
    """
    plans = (
        [_by_entity(y, task, entities, n, seed)] if entities is not None else [_shuffled(y, task, n, seed)]
    )
    if order is not None and entities is None:
        plans.insert(0, _rolling(order, n))
    try:
        for plan in plans:
            kept = tuple((t, v) for t, v in plan if not task.is_classification or _comparable(y, t, v))
            if kept:
                return kept
    except ValueError as refusal:
        raise SplitError(f"{y.size} rows can't be cut into folds: {refusal}") from None
    raise SplitError(
        f"no fold of {y.size} rows has every class to train on and two to validate by; "
        f"the rarest class has {_rarest(y)} row(s)"
    )


def other_folds(
    y: npt.NDArray[Any],
    *,
    task: Task,
    order: Order | None = None,
    entities: npt.NDArray[Any] | pa.Array | None = None,
    seed: int,
) -> Folds:
    """Other folds of the same rows than :func:`folds` gives, for a second look; none where the slices of a time column
    roll forward, which they can in one way only. Raises SplitError as that does."""
    if order is not None and entities is None:
        return ()
    return folds(y, task=task, entities=entities, seed=seed + 1)


def _rolling(order: Order, n: int) -> Iterator[Fold]:
    by_age = np.argsort(order, kind="stable")
    for train, valid in TimeSeriesSplit(n).split(by_age):
        yield by_age[train], by_age[valid]


def _by_entity(
    y: npt.NDArray[Any], task: Task, entities: npt.NDArray[Any] | pa.Array, n: int, seed: int
) -> Iterator[Fold]:
    groups = _codes(entities)
    kind = StratifiedGroupKFold if task.is_classification else GroupKFold
    parts = kind(min(n, np.unique(groups).size), shuffle=True, random_state=seed)
    yield from parts.split(y.reshape(-1, 1), y, groups)


def _shuffled(y: npt.NDArray[Any], task: Task, n: int, seed: int) -> Iterator[Fold]:
    if not task.is_classification:
        yield from KFold(n, shuffle=True, random_state=seed).split(y)
        return
    commonest = int(np.unique(y, return_counts=True)[1].max())
    shuffled = StratifiedKFold(max(2, min(n, commonest)), shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of a class with fewer members than folds: those folds are left out
        warnings.simplefilter("ignore", UserWarning)
        parts = list(shuffled.split(y, y))
    yield from parts


def _comparable(y: npt.NDArray[Any], train: Positions, valid: Positions) -> bool:
    return np.unique(y[train]).size == np.unique(y).size and np.unique(y[valid]).size > 1


def _rarest(y: npt.NDArray[Any]) -> int:
    return int(np.unique(y, return_counts=True)[1].min())


def snapshot_hash(row_ids: Sequence[str] | pa.Array, labels: Sequence[str | None] | pa.Array) -> str:
    """SHA-256 (hex) of which rows with which labels: the same in whatever order the rows come."""
    ids = row_ids.to_pylist() if hasattr(row_ids, "to_pylist") else row_ids
    texts = labels.to_pylist() if hasattr(labels, "to_pylist") else labels
    pairs = sorted(zip(ids, texts, strict=True), key=lambda pair: (pair[0], pair[1] or ""))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
