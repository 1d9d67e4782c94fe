"""Each column of the rows that come in beside those trained on: two histograms on one scale."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi import Request

from automl.schema import Column, ColumnKind, Schema
from registry.records import Project
from registry.store import Registry
from service.dashboard import words

NEWEST = 1_000
_BINS = 24
_CATEGORIES = 8
_FRESH_SECONDS = 60.0
_KEPT = 32
_making = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Shares by bin, from 0 to 1; ``labels`` say what each bin holds. ``now`` is None before any row came."""

    labels: tuple[str, ...]
    trained: tuple[float, ...]
    now: tuple[float, ...] | None
    missing: float
    missing_now: float | None


class Histograms:
    """Kept for a minute for each champion: many viewers of a page cost one look at the newest rows."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: dict[tuple[int, int], tuple[float, dict[str, Compared]]] = {}

    def of(self, registry: Registry, project: Project) -> dict[str, Compared]:
        """By column; empty before there is a champion with a sample of its training rows. Blocks: for a thread."""
        if project.champion is None or project.schema is None:
            return {}
        key = (project.id, project.champion)
        with self._guard:
            at, found = self._kept.get(key, (0.0, {}))
            if not found or time.monotonic() - at > _FRESH_SECONDS:
                found = _look(registry, project)
                while len(self._kept) >= _KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = (time.monotonic(), found)
        return found


def kept_histograms(request: Request) -> Histograms:
    """The app's one."""
    with _making:
        found: Histograms | None = getattr(request.app.state, "histograms", None)
        if found is None:
            found = request.app.state.histograms = Histograms()
        return found


def _look(registry: Registry, project: Project) -> dict[str, Compared]:
    assert project.champion is not None
    model = registry.models.get(project.id, project.champion)
    sample = model.attachments.get("reference")
    if sample is None:
        return {}
    trained = pq.read_table(io.BytesIO(registry.blobs.open(sample.digest)))
    newest = registry.datasets.recent(project.id, NEWEST)
    columns = Schema.from_json(project.schema or {}).columns
    return {
        column.name: compared(column, trained[column.name], _of(newest, column))
        for column in columns
        if column.name in trained.column_names
    }


def _of(table: pa.Table, column: Column) -> pa.ChunkedArray | None:
    found = column.name in table.column_names and table.num_rows
    return table[column.name] if found else None


def compared(column: Column, trained: pa.ChunkedArray, now: pa.ChunkedArray | None) -> Compared:
    """Both as shares of their known values, in bins of the trained ones."""
    if column.kind is ColumnKind.NUMERIC or column.kind is ColumnKind.DATETIME:
        labels, counts = _numbers(column, trained, now)
    elif column.kind is ColumnKind.TEXT:
        lengths = [None if part is None else pc.utf8_length(part) for part in (trained, now)]
        labels, counts = _numbers(column, lengths[0], lengths[1])
    else:
        labels, counts = _categories(trained, now)
    return Compared(
        labels=labels,
        trained=_shares(counts[0]),
        now=None if counts[1] is None else _shares(counts[1]),
        missing=trained.null_count / max(len(trained), 1),
        missing_now=None if now is None else now.null_count / max(len(now), 1),
    )


_Counts = tuple[npt.NDArray[Any], npt.NDArray[Any] | None]


def _numbers(
    column: Column, trained: pa.ChunkedArray, now: pa.ChunkedArray | None
) -> tuple[tuple[str, ...], _Counts]:
    old = _floats(trained)
    new = None if now is None else _floats(now)
    if not len(old):
        return (), (np.zeros(0), None if new is None else np.zeros(0))
    low, high = np.quantile(old, [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    labels = [_span(column, a, b) for a, b in pairwise(edges)]
    labels[0], labels[-1] = f"below {_one(column, edges[1])}", f"from {_one(column, edges[-2])}"
    # The first bin and the last hold all beyond them, so that nothing that moved away is left out.
    return tuple(labels), (_binned(old, edges), None if new is None else _binned(new, edges))


def _floats(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    kept = values.drop_null()
    if pa.types.is_timestamp(kept.type):
        kept = pc.cast(kept, pa.int64())
    found = np.asarray(kept.to_numpy(), dtype=np.float64)
    return found[np.isfinite(found)]


def _binned(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
    return np.bincount(places, minlength=_BINS)


def _span(column: Column, low: float, high: float) -> str:
    return f"{_one(column, low)} to {_one(column, high)}"


def _one(column: Column, value: float) -> str:
    if column.kind is ColumnKind.DATETIME:
        return str(np.datetime64(int(value), "us"))[:16]
    return f"{value:.4g}"


def _categories(trained: pa.ChunkedArray, now: pa.ChunkedArray | None) -> tuple[tuple[str, ...], _Counts]:
    old = _counted(trained)
    new = {} if now is None else _counted(now)
    names = sorted(old, key=lambda name: -old[name])[:_CATEGORIES]
    names += sorted((name for name in new if name not in old), key=lambda name: -new[name])[:2]
    rest = any(name not in names for name in (*old, *new))
    labels = [words.short(name, 40) for name in names] + (["all others"] if rest else [])

    def row(counts: dict[str, int]) -> npt.NDArray[Any]:
        told = [counts.get(name, 0) for name in names]
        return np.array(told + ([sum(counts.values()) - sum(told)] if rest else []))

    return tuple(labels), (row(old), None if now is None else row(new))


def _counted(values: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(values.drop_null().cast(pa.string())).to_pylist()
    return {one["values"]: one["counts"] for one in found}


def _shares(counts: Sequence[float] | npt.NDArray[Any]) -> tuple[float, ...]:
    total = float(np.sum(counts)) or 1.0
    return tuple(round(float(count) / total, 5) for count in counts)
