"""The check of a table against a schema (being written)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import Schema
from automl.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    row: int
    column: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    table: pa.Table
    positions: npt.NDArray[np.intp]
    labels: pa.Array
    faults: tuple[Fault, ...] = ()
    unseen: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def check(table: pa.Table, schema: Schema, task: Task) -> Checked:
    raise NotImplementedError
