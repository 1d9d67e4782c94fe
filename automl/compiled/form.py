"""The compiled form of a fitted pipeline: from rows to answers with neither pandas nor validation in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.columns import Column, Schema
from automl.compiled.models import compile_steps
from automl.compiled.own_form import own_steps
from automl.compiled.reading import Reader, reader
from automl.compiled.scorer import Scorer
from automl.compiled.unknown import Unknown
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
        matrix = self.reader.matrix(rows)
        return None if matrix is None else self.scorer.many(matrix)

    def settled(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Whether :meth:`quick` would answer these rows."""
        return self.reader.matrix(rows) is not None

    def table(self, table: pa.Table) -> Floats:
        """Answers for a table that :func:`automl.schema.check` typed; its features are never all in memory."""
        answers = [
            self.scorer.many(self.reader.table(table.slice(start, _ROWS_AT_ONCE)))
            for start in range(0, max(table.num_rows, 1), _ROWS_AT_ONCE)
        ]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def matrix(self, table: pa.Table) -> Floats:
        """The features (n, d) that the preprocessing makes of a typed table, before any step of the model."""
        return self.reader.table(table)


def compile_pipeline(pipeline: Pipeline, schema: Schema, task: Task) -> Compiled | NotCompiled:
    """The compiled form of a pipeline as the engines make them, or why it has none.

    Where only the preprocessing is known here, that is compiled and the later steps answer for themselves. ``task``
    names the id column, which no model reads. The answers are the pipeline's own up to what
    :mod:`automl.compiled.parity` tolerates; whether they are is to be shown there before the form is used.
    """
    steps = list(pipeline.steps)
    try:
        if [name for name, _ in steps[:2]] != ["columns", "encode"] or len(steps) < 3:
            raise Unknown(f"the pipeline begins with {', '.join(name for name, _ in steps[:2])}")
        reading = reader(steps[0][1], steps[1][1], schema, task)
        scorer, own = _scorer([step for _, step in steps[2:]], reading.width, task)
    except Unknown as unknown:
        return NotCompiled(reason=str(unknown))
    except Exception as error:  # a model of another version may lack anything; the pipeline still serves
        return NotCompiled(reason=f"{type(error).__name__}: {error}")
    told = scorer.description if own is None else f"compiled up to its own {scorer.description}"
    return Compiled(
        columns=reading.columns,
        description=f"{told}, {reading.width} features",
        reader=reading,
        scorer=scorer,
        own=own,
    )


def _scorer(steps: Sequence[Any], width: int, task: Task) -> tuple[Scorer, str | None]:
    """The steps behind the preprocessing, compiled; else as they are, and why."""
    try:
        return compile_steps(steps, width), None
    except Unknown as unknown:
        try:
            return own_steps(steps, classes=task.is_classification), str(unknown)
        except Unknown:
            raise unknown from None
