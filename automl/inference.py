"""The schema of a project, from its first upload."""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl import decimal_commas
from automl.checking import refuse_duplicates
from automl.coercion import ISO_TIME, NUMBER, coerce, plain
from automl.columns import Column, ColumnKind, Schema, short
from automl.errors import SchemaError
from automl.metrics import default_metric
from automl.targets import READABLE_SHARE, declared_target, target_spec
from automl.task import Task, TaskKind

KEPT_CATEGORIES = 1_000
KEPT_CATEGORY_CHARACTERS = 200_000
MAX_NAME_BYTES = 255

_TEXT_DISTINCT = 50
_TEXT_LENGTH = 20
_PANDAS_INDEX = re.compile(r"^__index_level_\d+__$")
_CODE = r"^0\d{4,}$"


def infer(table: pa.Table, task: Task) -> tuple[Schema, Task]:
    """The schema of a first table, and the task with its classes and metric made definite. Where the task's classes
    are declared, the table need not have the target.

    Raises SchemaError when no schema can be made: ``empty``, ``duplicate_columns``, ``empty_column_name``,
    ``reserved_column``, ``column_name_too_long``,
    ``control_in_column_name``, ``missing_target``, ``missing_column``, ``no_features``,
    ``decimal_commas``, ``no_labels``, ``one_class``, ``too_many_classes``, ``constant_target``, ``unparsable_labels``,
    ``unordered_time_column``, ``unsupported_type``.
    """
    kept = [at for at, name in enumerate(table.column_names) if not _PANDAS_INDEX.match(name)]
    table = table.select(kept)
    _check_names(table, task)
    if table.num_rows == 0:
        raise SchemaError(
            "the table has a header but no rows",
            code="empty",
            remedy="send at least one row below the header",
        )
    columns = tuple(_column(table, name, task) for name in table.column_names if name != task.target)
    target = declared_target(task) if task.declared else target_spec(table.column(task.target), task)
    schema = Schema(columns=columns, target=target)
    if not schema.feature_names(task):
        raise SchemaError(
            "no column is left to learn from beside the target, id, entity and sensitive columns",
            code="no_features",
            remedy="send at least one more column",
        )
    _check_time(schema, task)
    metric = default_metric(task.kind, len(target.classes)) if task.metric == "auto" else task.metric
    return schema, replace(task, classes=target.classes, metric=metric)


def _check_names(table: pa.Table, task: Task) -> None:
    names = table.column_names
    if not names:
        raise SchemaError("the table has no columns", code="empty", remedy="send a header and rows")
    refuse_duplicates(names)
    if task.target not in names and not task.declared:
        raise _missing_target(names, task)
    for name in names:
        if problem := _name_problem(name):
            code, message, remedy = problem
            raise SchemaError(message, code=code, column=name, remedy=remedy)
    parts = (task.time_column, task.id_column, task.entity_column, task.series_column)
    for name in (*parts, *task.covariates, *task.sensitive):
        if name is not None and name not in names:
            raise SchemaError(
                f"the task names column {name!r}, which the table lacks",
                code="missing_column",
                column=name,
                remedy=f"send it, or change the task; the columns are {_listed(names)}",
            )


def _missing_target(names: list[str], task: Task) -> SchemaError:
    remedy = (
        f"send the target column with the first upload{_or_declare(task)}; the columns are {_listed(names)}"
    )
    if len(names) == 1 and (found := re.search(r"[;\t|,:~^]", names[0])):
        remedy = f"the header was read as one column: is the delimiter {found.group()!r}? Use one of , ; | or tab; {remedy}"
    elif near := difflib.get_close_matches(task.target, names, n=1):
        remedy = f"is it {near[0]!r}? Then make the project anew with that target; else {remedy}"
    return SchemaError(
        f"the target column {task.target!r} is not in the table",
        code="missing_target",
        column=task.target,
        remedy=remedy,
    )


def _or_declare(task: Task) -> str:
    word = '"labels_later": true' if task.kind is TaskKind.REGRESSION else 'its "classes"'
    return (
        ""
        if task.kind is TaskKind.FORECASTING
        else f", or make the project with {word} where labels come later"
    )


def _name_problem(name: str) -> tuple[str, str, str] | None:
    if not name.strip():
        return (
            "empty_column_name",
            "a column has no name",
            "name every column (in pandas: to_csv(index=False))",
        )
    if name.startswith("_"):
        return "reserved_column", f"column {short(name)} begins with an underscore", "rename the column"
    if len(name.encode()) > MAX_NAME_BYTES:
        return "column_name_too_long", f"column {short(name)} has too long a name", "shorten it to 255 bytes"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return (
            "control_in_column_name",
            f"column {short(name)} holds a control character",
            "rename the column",
        )
    return None


def _listed(names: list[str], most: int = 12) -> str:
    shown = ", ".join(short(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _check_time(schema: Schema, task: Task) -> None:
    if task.time_column is None:
        return
    kind = schema.by_name[task.time_column].kind
    if kind not in (ColumnKind.DATETIME, ColumnKind.NUMERIC):
        raise SchemaError(
            f"time column {task.time_column!r} has no order in time: it was read as {kind.value}",
            code="unordered_time_column",
            column=task.time_column,
            remedy="write times as ISO 8601 (2013-01-31T17:05:00Z), or as a number that grows",
        )


def _column(table: pa.Table, name: str, task: Task) -> Column:
    values = plain(table.column(name))
    if name in (task.id_column, task.entity_column):
        kind = ColumnKind.CATEGORICAL
        return Column(name=name, kind=kind, categories_complete=False)
    kind = _kind(values, name)
    if kind is ColumnKind.NUMERIC:
        return Column(name=name, kind=kind, integer=_all_whole(values, name))
    if kind is ColumnKind.CATEGORICAL:
        categories, complete = _categories(values)
        return Column(name=name, kind=kind, categories=categories, categories_complete=complete)
    return Column(name=name, kind=kind)


def _kind(values: pa.Array, name: str) -> ColumnKind:
    kind = values.type
    if pa.types.is_string(kind):
        return _kind_of_text(values, name)
    if pa.types.is_boolean(kind):
        return ColumnKind.BOOLEAN
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return ColumnKind.DATETIME
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if numeric or pa.types.is_null(kind):
        return ColumnKind.NUMERIC
    raise SchemaError(
        f"column {name!r} is of type {kind}, which is none of number, text, boolean and time",
        code="unsupported_type",
        column=name,
        remedy="flatten or convert it before the upload",
    )


def _kind_of_text(values: pa.Array, name: str) -> ColumnKind:
    words = pc.value_counts(values.drop_null())
    texts, counts = words.field(0), words.field(1).to_numpy()
    if len(texts) == 0:
        return ColumnKind.NUMERIC
    if len(texts) == 2 and set(pc.utf8_lower(texts).to_pylist()) in ({"true", "false"}, {"yes", "no"}):
        return ColumnKind.BOOLEAN
    total = counts.sum()
    if _count(texts, counts, NUMBER) >= READABLE_SHARE * total and not _is_code(texts):
        return ColumnKind.NUMERIC
    if _count(texts, counts, ISO_TIME) >= READABLE_SHARE * total:
        return ColumnKind.DATETIME
    decimal_commas.refuse(values, name, share=READABLE_SHARE)
    return ColumnKind.TEXT if _is_prose(texts, counts) else ColumnKind.CATEGORICAL


def _count(texts: pa.Array, counts: Any, pattern: str) -> int:
    matches = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return int(counts[matches.astype(np.bool_)].sum())


def _is_code(texts: pa.Array) -> bool:
    """Digits of one width with leading zeros (postcodes): their zeros mean something."""
    lengths = pc.min_max(pc.utf8_length(texts)).as_py()
    return lengths["min"] == lengths["max"] and bool(pc.any(pc.match_substring_regex(texts, _CODE)).as_py())


def _is_prose(texts: pa.Array, counts: Any) -> bool:
    """Many distinct, long values of several words (or beyond ASCII, where words need no blanks)."""
    if len(texts) <= _TEXT_DISTINCT:
        return False
    mean_length = float(np.average(pc.utf8_length(texts).to_numpy(), weights=counts))
    single_words = _count(texts, counts, r"^[!-~]+$") / counts.sum()
    return mean_length > _TEXT_LENGTH and single_words < 0.5


def _all_whole(values: pa.Array, name: str) -> bool:
    numbers = coerce(values, Column(name=name, kind=ColumnKind.NUMERIC)).values
    if numbers.null_count == len(numbers):
        return False
    return bool(pc.all(pc.equal(numbers, pc.round(numbers))).as_py())


def _categories(values: pa.Array) -> tuple[tuple[str, ...], bool]:
    words = pc.value_counts(coerce(values, Column(name="", kind=ColumnKind.CATEGORICAL)).values.drop_null())
    counted = zip(words.field(0).to_pylist(), words.field(1).to_pylist(), strict=True)
    frequent = sorted(counted, key=lambda pair: (-pair[1], pair[0]))
    kept: list[str] = []
    characters = 0
    for word, _ in frequent[:KEPT_CATEGORIES]:
        characters += len(word)
        if characters > KEPT_CATEGORY_CHARACTERS:
            break
        kept.append(word)
    return tuple(kept), len(kept) == len(frequent)
