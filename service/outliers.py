"""What a project's rows are measured by: its champion's training rows, or its newest rows where there is no champion."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.oddness import LEAST_ROWS, MOST_ROWS, Oddness, measured
from automl.schema import Schema
from automl.task import Task
from registry.outliers import Look, MeasureRecord
from registry.records import Project
from registry.store import Registry
from service.policy import Policy

ODDNESS = "oddness"
"""The attachment of a model that holds its measure."""
_HELD = 8
_LOOKED_AT = 20_000
_SHARE_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """An oddness by the blob that holds it, and what it was made of: a model's training rows, or a dataset version."""

    blob: str
    read: Callable[[str], Oddness]
    model_version: int | None = None
    dataset_version: int | None = None

    @property
    def oddness(self) -> Oddness:
        """Read when it is first asked for: whoever only passes it on need not have it."""
        return self.read(self.blob)


class Measures:
    """Thread-safe. Holds the measures used last; a champion's that brought none is made of the data."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held: OrderedDict[str, Oddness] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, project: Project) -> Measure | None:
        """The measure in force; None where there is none yet."""
        if project.champion is not None:
            model = self._registry.models.get(project.id, project.champion)
            kept = model.attachments.get(ODDNESS)
            if kept is not None:
                return Measure(blob=kept.digest, read=self._read, model_version=model.version)
        record = self._registry.outliers.measure(project.id)
        if record is None:
            return None
        return Measure(blob=record.blob, read=self._read, dataset_version=record.dataset_version)

    def made(self, project: Project, at: datetime) -> Measure | None:
        """The measure in force, made of the newest rows first where a project needs one: it has none, or has twice
        the rows since. None where there are too few rows to tell what is usual."""
        current = self.of(project)
        if project.schema is None or (current is not None and current.model_version is not None):
            return current
        facts = self._registry.datasets.facts(project.id)
        if facts.rows < LEAST_ROWS or not _outgrown(self._registry.outliers.measure(project.id), facts.rows):
            return current
        columns = measured(Schema.from_json(project.schema), Task.from_json(project.task))
        if not columns:  # a time alone always moves on
            return current
        rows = self._registry.datasets.recent(project.id, _LOOKED_AT)
        ids = rows["_row_id"].to_pylist()
        oddness = Oddness.fit(rows, columns, seed=project.id, ids=ids)
        blob = self._registry.blobs.put(oddness.to_bytes(), at=at)
        self._registry.outliers.add_measure(
            project.id, dataset_version=facts.version, rows=facts.rows, blob=blob, at=at
        )
        return self.of(project)

    def odd(self, project: Project, rows: pa.Table) -> npt.NDArray[np.bool_] | None:
        """Which of some typed rows are odd; None where nothing can be said yet, or the policy doesn't ask."""
        rule = Policy.stored(project.policy).outliers
        measure = None if rule is None else self.of(project)
        if rule is None or measure is None:
            return None
        ids = rows["_row_id"].to_pylist() if "_row_id" in rows.column_names else ()
        return np.asarray(measure.oddness.scores(rows, ids).score >= rule.threshold, dtype=bool)

    def _read(self, digest: str) -> Oddness:
        with self._guard:
            known = self._held.get(digest)
            if known is not None:
                self._held.move_to_end(digest)
                return known
        found = Oddness.from_bytes(self._registry.blobs.open(digest))
        with self._guard:
            self._held[digest] = found
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return found


def _outgrown(record: MeasureRecord | None, rows: int) -> bool:
    return record is None or (record.rows < MOST_ROWS and rows >= 2 * record.rows)


def newest_share(looks: Iterable[Look]) -> tuple[int, int] | None:
    """Odd rows and rows looked at, of the newest looks (newest first) by one measure that have 1,000 rows together."""
    newest: Look | None = None
    odd = rows = 0
    for look in looks:
        newest = newest or look
        if (look.model_version, look.dataset_version) != (newest.model_version, newest.dataset_version):
            break
        odd, rows = odd + look.odd, rows + look.rows
        if rows >= _SHARE_ROWS:
            break
    return (odd, rows) if rows else None
