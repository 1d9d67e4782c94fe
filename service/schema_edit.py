"""Editing a project's schema: what may change, and what would break the rows that are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from automl.schema import Column, ColumnKind, Schema, TargetSpec
from automl.task import Label, Task
from service.problems import Problem

MOST_CLASSES = 100


def edited(
    schema: Schema,
    task: Task,
    *,
    columns: Sequence[Mapping[str, Any]],
    classes: Sequence[Label] | None,
    rows_stored: bool,
) -> tuple[Schema, Task]:
    """The schema and task with the changes made.

    ``columns`` name what changes of each column (``kind``, ``optional``, ``categories``); columns that are
    not named stay. ``classes``, when given, are all classes: new ones may be added, none removed. A kind may
    change before rows are stored, later only between kinds that are stored alike. Raises a problem otherwise.
    """
    changed = dict(schema.by_name)
    for at, change in enumerate(columns):
        name = change["name"]
        if name not in changed:
            raise Problem(
                422,
                "unknown_column",
                f"The schema has no column {name!r}.",
                field=f"columns[{at}].name",
                remedy="Only columns of the first upload can be edited; GET …/schema lists them.",
            )
        changed[name] = _column(changed[name], change, task, at, rows_stored)
    target = schema.target if classes is None else _target(schema.target, classes)
    new = replace(schema, columns=tuple(changed[column.name] for column in schema.columns), target=target)
    return new, replace(task, classes=target.classes)


def _column(column: Column, change: Mapping[str, Any], task: Task, at: int, rows_stored: bool) -> Column:
    new = column
    if change.get("optional") is not None:
        new = replace(new, optional=change["optional"])
        if new.optional and column.name == task.id_column:
            raise _wrong(at, "optional", f"{column.name!r} is the id column; every row needs it.")
    kind = change.get("kind")
    if kind is not None and ColumnKind(kind) is not column.kind:
        new = _of_kind(new, ColumnKind(kind), task, at, rows_stored)
    categories = change.get("categories")
    if categories is not None and tuple(categories) != column.categories:
        if new.kind is not ColumnKind.CATEGORICAL:
            raise _wrong(at, "categories", f"{column.name!r} is {new.kind.value}, it has no categories.")
        new = replace(new, categories=tuple(dict.fromkeys(categories)), categories_complete=True)
    return new


def _of_kind(column: Column, kind: ColumnKind, task: Task, at: int, rows_stored: bool) -> Column:
    # Nothing is known of the values a new kind will have, so nothing can be called unseen.
    new = replace(column, kind=kind, integer=False, categories=(), categories_complete=False)
    if column.name == task.time_column and kind not in (ColumnKind.DATETIME, ColumnKind.NUMERIC):
        raise _wrong(at, "kind", f"{column.name!r} is the time column; it must be datetime or numeric.")
    if rows_stored and new.arrow_type != column.arrow_type:
        raise Problem(
            409,
            "rows_stored",
            f"Rows are stored already with {column.name!r} as {column.kind.value}; "
            f"{kind.value} is stored differently.",
            field=f"columns[{at}].kind",
            remedy="Make a new project for the new kind and upload the rows to it.",
        )
    return new


def _target(target: TargetSpec, classes: Sequence[Label]) -> TargetSpec:
    if not target.classes:
        raise _bad_classes("A target of numbers has no classes.", "Leave 'classes' out.")
    missing = [label for label in target.classes if not any(_same(label, one) for one in classes)]
    if missing:
        raise _bad_classes(
            f"The class {missing[0]!r} is missing; stored labels may have it.",
            "Name all known classes and the new ones.",
        )
    wanted = {"text": str, "integer": int, "boolean": bool}.get(target.type, float)
    for label in classes:
        if type(label) is not wanted or (isinstance(label, str) and not label.strip()):
            raise _bad_classes(f"The class {label!r} is not {target.type}.", "Use the type of the others.")
    distinct = sorted({label.strip() if isinstance(label, str) else label for label in classes})
    if len(distinct) > MOST_CLASSES:
        raise _bad_classes(
            f"{len(distinct)} classes are more than {MOST_CLASSES}.", "Group rare classes into one."
        )
    return replace(target, classes=tuple(distinct))


def _same(one: Label, other: Label) -> bool:
    return type(one) is type(other) and one == other


def _bad_classes(detail: str, remedy: str) -> Problem:
    return Problem(422, "invalid_classes", detail, field="target.classes", remedy=remedy)


def _wrong(at: int, part: str, detail: str) -> Problem:
    return Problem(
        422, "invalid_schema", detail, field=f"columns[{at}].{part}", remedy="See docs/data.md for schemas."
    )
