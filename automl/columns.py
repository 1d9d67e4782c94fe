"""The words of a schema: what each column is, what the target is, and how both are written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from automl.task import Label, Task, TaskKind

TargetType = Literal["text", "integer", "boolean", "number"]

TRUE_WORDS = frozenset({"true", "yes"})
FALSE_WORDS = frozenset({"false", "no"})


class ColumnKind(StrEnum):
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"


_ARROW_TYPES: Mapping[ColumnKind, pa.DataType] = {
    ColumnKind.NUMERIC: pa.float64(),
    ColumnKind.CATEGORICAL: pa.string(),
    ColumnKind.BOOLEAN: pa.bool_(),
    ColumnKind.DATETIME: pa.timestamp("us", tz="UTC"),
    ColumnKind.TEXT: pa.string(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a project's rows.

    A missing value is always accepted; ``optional`` says that the whole column may be absent.
    ``categories`` are the most frequent values of the first upload; ``categories_complete`` is False when
    there were more than are kept, and then nothing can be called unseen.
    """

    name: str
    kind: ColumnKind
    optional: bool = False
    integer: bool = False
    categories: tuple[str, ...] = ()
    categories_complete: bool = True

    @property
    def arrow_type(self) -> pa.DataType:
        return _ARROW_TYPES[self.kind]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind.value,
            "optional": self.optional,
            "integer": self.integer,
            "categories": list(self.categories),
            "categories_complete": self.categories_complete,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Column:
        """The inverse of :meth:`to_json`. Raises KeyError or ValueError when a part is missing or unknown."""
        return cls(
            name=data["name"],
            kind=ColumnKind(data["kind"]),
            optional=bool(data.get("optional", False)),
            integer=bool(data.get("integer", False)),
            categories=tuple(str(value) for value in data.get("categories") or ()),
            categories_complete=bool(data.get("categories_complete", True)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """How labels are read and written. ``classes`` is empty for numbers (regression, forecasting).

    >>> spec = TargetSpec(kind=TaskKind.CLASSIFICATION, type="boolean", classes=(False, True))
    >>> spec.parse("True"), spec.text(False)
    (True, 'false')
    """

    kind: TaskKind
    type: TargetType
    classes: tuple[Label, ...] = ()

    def parse(self, value: object) -> Label:
        """The label that a caller's text, number or boolean stands for.

        Raises ValueError when it is not a known class, or not a finite number.
        """
        label = self._read(value)
        if self.classes and label not in self.classes:
            raise ValueError(f"{short(value)} is none of the {len(self.classes)} known classes")
        return label

    def text(self, label: Label) -> str:
        """The one canonical spelling of a label, as the labels table keeps it."""
        if isinstance(label, bool):
            return "true" if label else "false"
        if self.type == "number":
            return repr(float(label))
        return str(label)

    def _read(self, value: object) -> Label:
        if self.type == "text":
            return scalar_text(value).strip()
        if self.type == "boolean":
            return _read_boolean(value)
        return _read_whole(value) if self.type == "integer" else _read_number(value)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "type": self.type, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TargetSpec:
        return cls(kind=TaskKind(data["kind"]), type=data["type"], classes=tuple(data.get("classes") or ()))


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The contract of a project's rows: columns in the order of the first upload, the target apart.

    >>> schema = Schema(
    ...     columns=(Column(name="age", kind=ColumnKind.NUMERIC),),
    ...     target=TargetSpec(kind=TaskKind.REGRESSION, type="number"),
    ... )
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    columns: tuple[Column, ...]
    target: TargetSpec

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def feature_names(self, task: Task) -> tuple[str, ...]:
        """The columns a model may learn from, in schema order."""
        return tuple(column.name for column in self.columns if column.name not in task.not_features)

    def arrow_schema(self) -> pa.Schema:
        """The typed columns, without the registry's own (those begin with an underscore)."""
        return pa.schema([pa.field(column.name, column.arrow_type) for column in self.columns])

    def to_json(self) -> dict[str, Any]:
        return {"columns": [column.to_json() for column in self.columns], "target": self.target.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """The inverse of :meth:`to_json`. Raises KeyError or ValueError when a part is missing or unknown."""
        return cls(
            columns=tuple(Column.from_json(column) for column in data["columns"]),
            target=TargetSpec.from_json(data["target"]),
        )


def scalar_text(value: object) -> str:
    """A scalar as a category's text: whole numbers without a point, booleans in lower case.

    >>> scalar_text(3.0), scalar_text(True), scalar_text(0.5), scalar_text("a")
    ('3', 'true', '0.5', 'a')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _read_boolean(value: object) -> bool:
    word = scalar_text(value).strip().lower()
    if word in TRUE_WORDS or word == "1":
        return True
    if word in FALSE_WORDS or word == "0":
        return False
    raise ValueError(f"{short(value)} is not true or false")


def _read_whole(value: object) -> int:
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a whole number")
    if isinstance(value, int):
        return value
    text = str(value).strip()
    try:
        return int(text)  # not through float: whole numbers above 2**53 stay exact
    except ValueError:
        number = _read_number(text)
    if not number.is_integer():
        raise ValueError(f"{short(value)} is not a whole number")
    return int(number)


def _read_number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number")
    try:
        number = float(str(value).strip().replace("_", "x"))  # Python's digit grouping is no number here
    except ValueError:
        raise ValueError(f"{short(value)} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{short(value)} is not a finite number")
    return number


def short(value: object, limit: int = 60) -> str:
    """A value as it may stand in a message: quoted, and cut when it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
