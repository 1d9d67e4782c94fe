"""Does a compiled form answer as its pipeline does?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.columns import Column, Schema
from automl.compiled.form import Compiled
from automl.frames import frame
from automl.scoring import answer_gap, predictions
from automl.task import Task

Floats = npt.NDArray[np.float64]

ROWS_ALONE = 200
"""So many rows are also read as JSON values, each alone and all together."""
OWN_ROWS_ALONE = 20
"""The same where the pipeline's own steps answer, which may take long for each row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far two forms of a model were apart on ``rows`` rows.

    ``gap`` is :func:`automl.scoring.answer_gap`, ``bitwise`` whether a typed table's answers are the same to the last
    bit, ``same_class`` the share of rows with the same likeliest class (1 for numbers), ``unsettled`` how many of
    the rows read as JSON values went the long way.
    """

    rows: int
    gap: float
    bitwise: bool
    same_class: float
    unsettled: int
    tolerance: float

    @property
    def equal(self) -> bool:
        return self.gap <= self.tolerance and self.same_class == 1.0

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "gap": self.gap if np.isfinite(self.gap) else None,
            "bitwise": self.bitwise,
            "same_class": self.same_class,
            "unsettled": self.unsettled,
            "tolerance": self.tolerance,
        }


def parity(
    compiled: Compiled,
    pipeline: Pipeline,
    table: pa.Table,
    schema: Schema,
    task: Task,
    *,
    expected: Floats | None = None,
) -> Parity:
    """Compare them on a typed table, whole and, for some rows of it, as a call's JSON values.

    ``expected`` are the pipeline's answers where they are known already.
    """
    if expected is None:
        expected = predictions(pipeline, frame(table, schema), task)
    whole = compiled.table(table)
    alone = ROWS_ALONE if compiled.own is None else OWN_ROWS_ALONE
    some = json_rows(compiled.columns, table.slice(0, alone))
    pairs = [(whole, expected)]
    single = [compiled.quick([row]) for row in some]
    pairs += [(one, expected[at : at + 1]) for at, one in enumerate(single) if one is not None]
    settled = [at for at, one in enumerate(single) if one is not None]
    together = compiled.quick([some[at] for at in settled]) if settled else None
    if together is not None:
        pairs.append((together, expected[settled]))
    return Parity(
        rows=table.num_rows,
        gap=max(answer_gap(given, wanted) for given, wanted in pairs),
        bitwise=bool(np.array_equal(whole, expected)),
        same_class=min(_same_class(given, wanted) for given, wanted in pairs),
        unsettled=len(some) - len(settled),
        tolerance=compiled.tolerance,
    )


def json_rows(columns: Sequence[Column], table: pa.Table) -> list[tuple[Any, ...]]:
    """Typed rows as a call would send them, in the order of ``columns``."""
    present = frozenset(table.column_names)
    values = [
        [_json(value) for value in table.column(column.name).to_pylist()]
        if column.name in present
        else [None] * table.num_rows
        for column in columns
    ]
    return list(zip(*values, strict=True))


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _same_class(given: Floats, expected: Floats) -> float:
    if given.shape != expected.shape or not len(given):
        return float(given.shape == expected.shape)
    return float(np.mean(given.argmax(axis=1) == expected.argmax(axis=1))) if given.ndim == 2 else 1.0
