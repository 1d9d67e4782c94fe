"""What the first labels of a project say about its target."""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from automl import decimal_commas
from automl.coercion import coerce, plain
from automl.columns import Column, ColumnKind, TargetSpec
from automl.errors import SchemaError
from automl.task import Label, Task, TaskKind

MAX_CLASSES = 100
READABLE_SHARE = 0.98
"""Where so many of a column's values can be read as numbers or times, the rest are faults of their rows."""


def declared_target(task: Task) -> TargetSpec:
    """The target of a task of which its owner said beforehand what labels there will be: its classes, or numbers.
    Raises SchemaError (``one_class``, ``too_many_classes``, ``empty_class``)."""
    if not task.is_classification:
        return TargetSpec(kind=task.kind, type="number")
    for label in task.classes:
        if isinstance(label, str) and not label.strip():
            raise SchemaError(
                "a class has an empty name",
                code="empty_class",
                column=task.target,
                remedy="give each class a name; a row without a label is left empty instead",
            )
    spec = _class_spec(list(task.classes))
    if len(spec.classes) > MAX_CLASSES:
        raise _too_many(len(spec.classes), task)
    if len(spec.classes) < 2:
        raise SchemaError(
            f"{len(spec.classes)} class is too few: a class needs another",
            code="one_class",
            column=task.target,
            remedy='name at least two classes, as they stand in the labels: ["yes", "no"]',
        )
    return spec


def target_spec(raw: pa.ChunkedArray, task: Task) -> TargetSpec:
    """What the labels of a first table say. Raises SchemaError."""
    labels = plain(raw)
    if pa.types.is_floating(labels.type):
        labels = pa.array(labels.to_numpy(zero_copy_only=False), from_pandas=True)
    labels = labels.drop_null() if not pa.types.is_null(labels.type) else labels.slice(0, 0)
    if len(labels) == 0:
        raise SchemaError(
            f"no row has a value in the target column {task.target!r}",
            code="no_labels",
            column=task.target,
            remedy="the first upload needs labelled rows; later ones may come without"
            + (
                ', and all of them where the project is made with its "classes"'
                if task.is_classification
                else ', and all of them where the project is made with "labels_later": true'
            ),
        )
    return _class_target(labels, task) if task.is_classification else _number_target(labels, task)


def _number_target(labels: pa.Array, task: Task) -> TargetSpec:
    numbers = coerce(labels, Column(name=task.target, kind=ColumnKind.NUMERIC)).values.drop_null()
    if len(numbers) < READABLE_SHARE * len(labels):
        if pa.types.is_string(labels.type):
            decimal_commas.refuse(labels, task.target, share=READABLE_SHARE)
        raise SchemaError(
            f"{len(labels) - len(numbers)} of {len(labels)} labels in {task.target!r} are not finite numbers",
            code="unparsable_labels",
            column=task.target,
            remedy='correct them, or make the task "classification"',
        )
    if len(pc.unique(numbers)) == 1:
        raise SchemaError(
            f"all labels in {task.target!r} are {numbers[0].as_py()!r}: there is nothing to learn",
            code="constant_target",
            column=task.target,
            remedy="send rows with different labels",
        )
    return TargetSpec(kind=task.kind, type="number")


def _class_target(labels: pa.Array, task: Task) -> TargetSpec:
    distinct = pc.unique(labels)
    if len(distinct) > 3 * MAX_CLASSES:  # some may still be one: "1" and "1.0"
        raise _too_many(len(distinct), task)
    spec = _class_spec([value.as_py() for value in distinct])
    if len(spec.classes) > MAX_CLASSES:
        raise _too_many(len(spec.classes), task)
    if len(spec.classes) == 1:
        raise SchemaError(
            f"all labels in {task.target!r} are {spec.text(spec.classes[0])!r}: a class needs another",
            code="one_class",
            column=task.target,
            remedy="send rows of at least two classes",
        )
    return spec


def _too_many(count: int, task: Task) -> SchemaError:
    return SchemaError(
        f"{count} different labels in {task.target!r} are more than the {MAX_CLASSES} classes allowed",
        code="too_many_classes",
        column=task.target,
        remedy='for a number to be predicted, make the task "regression"',
    )


_WHOLE = re.compile(r"^[+-]?\d+(\.0*)?$")
_BOOLEANS = frozenset({"true", "false"})


def _class_spec(distinct: list[object]) -> TargetSpec:
    """Whole numbers stay numbers, true and false booleans, all else is text."""
    kind = TaskKind.CLASSIFICATION
    chosen = TargetSpec(kind=kind, type="text")
    if all(isinstance(v, bool) or (isinstance(v, str) and v.lower() in _BOOLEANS) for v in distinct):
        chosen = TargetSpec(kind=kind, type="boolean")
    elif all(_is_whole(value) for value in distinct):
        chosen = TargetSpec(kind=kind, type="integer")
    classes: set[Label] = {chosen.parse(value) for value in distinct}
    return replace(chosen, classes=tuple(sorted(classes)))


def _is_whole(value: object) -> bool:
    if isinstance(value, str):
        padded = len(value) > 1 and value[0] == "0" and value.isdigit()
        return bool(_WHOLE.match(value)) and not padded
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
