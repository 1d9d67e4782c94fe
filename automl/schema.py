"""The door to a project's schema: its types, its inference, and the check of every later table."""

from __future__ import annotations

from automl.checking import Checked, Fault, check
from automl.columns import Column, ColumnKind, Schema, TargetSpec, TargetType
from automl.frames import frame
from automl.inference import infer
from automl.rows import table_from_rows

__all__ = [
    "Checked",
    "Column",
    "ColumnKind",
    "Fault",
    "Schema",
    "TargetSpec",
    "TargetType",
    "check",
    "frame",
    "infer",
    "table_from_rows",
]
