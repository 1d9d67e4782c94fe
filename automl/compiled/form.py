"""The compiled form of a fitted pipeline: from rows to answers with neither pandas nor validation in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import Column, Schema
from automl.compiled.column_reading import Columns
from automl.compiled.read_rows import ReadRows
from automl.compiled.reading import COLUMN_WISE_FROM, Reader, reader_of
from automl.compiled.scorer import Scorer
from automl.task import Task

Floats = npt.NDArray[np.float64]

_ROWS_AT_ONCE = 8192
"""Rows whose features are in memory together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompiled:
    """Why a pipeline has no compiled form."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Answers as the pipeline does: (n, K) probabilities or (n,) values. May be called by many threads.

    ``columns`` are all columns of the schema but the id, in the order in which :meth:`quick` reads a row:
    numeric, boolean, datetime, categorical, text, each in schema order. ``description`` is for people. ``own`` is
    None, or says why only the reading of rows is compiled, and the pipeline's own later steps answer.
    """

    columns: tuple[Column, ...]
    description: str
    reader: Reader
    scorer: Scorer
    own: str | None = None

    @property
    def tolerance(self) -> float:
        """How far answers may be off the pipeline's (see :func:`automl.scoring.answer_gap`)."""
        return self.scorer.tolerance

    def quick(self, rows: Sequence[tuple[Any, ...]]) -> Floats | None:
        """Answers for rows of JSON values in the order of ``columns``.

        None as a whole when some value is one that is not settled at a glance (of another type, a text with
        outer blanks, an odd date …): the caller then goes the long way through :func:`automl.schema.check`,
        which finds the meaning, or words the fault. What is settled means exactly what that way would find.
        """
        if len(rows) == 1:
            features = self.reader.row(rows[0])
            return None if features is None else self.scorer.one(features)
        if len(rows) >= COLUMN_WISE_FROM:
            columns = self.reader.columns_of(rows)
            return None if columns is None else self.answers(columns)
        matrix = self.reader.matrix(rows)
        return None if matrix is None else self.scorer.many(matrix)

    def columns_of(self, rows: Sequence[tuple[Any, ...]]) -> Columns | None:
        """What :meth:`quick` reads of many rows, for :meth:`answers`; None where it answers None."""
        return self.reader.columns_of(rows)

    def answers(self, columns: Columns) -> Floats:
        """Answers for rows that were read, or for a part of them."""
        return self.scorer.answers(ReadRows(self.reader, columns))

    def settled(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Whether :meth:`quick` would answer these rows."""
        return self.reader.matrix(rows) is not None

    def table(self, table: pa.Table) -> Floats:
        """Answers for a table that :func:`automl.schema.check` typed; its features are never all in memory."""
        answers = [
            self.answers(self.reader.typed(table.slice(start, _ROWS_AT_ONCE)))
            for start in range(0, max(table.num_rows, 1), _ROWS_AT_ONCE)
        ]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def matrix(self, table: pa.Table) -> Floats:
        """The features (n, d) that the preprocessing makes of a typed table, before any step of the model."""
        return self.reader.table(table)

    def reading(self, schema: Schema, task: Task) -> Compiled:
        """The same for rows of this schema, of which the task's id is no feature. Raises Unknown where a column is no
        longer what the model was trained on."""
        reader = reader_of(self.reader.blocks, schema, task)
        return replace(self, columns=reader.columns, reader=reader)
