"""Rows and answers between the labelling queue and people: what they are shown, and what their words mean."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from automl.schema import Schema
from registry.records import Project
from registry.store import Registry
from service.labelling import Handed
from service.labelling_formats import Given, Sheet
from service.labelling_report import guesses_of
from service.problems import MOST_ERRORS, Problem


def sheets(registry: Registry, project: Project, handed: Handed) -> list[Sheet]:
    """The rows on somebody's desk, in their order, with the model's guess."""
    ids = [leased.item.row_id for leased in handed.rows]
    if not ids:
        return []
    rows = _rows(registry, project, ids)
    guesses = {} if handed.model is None else guesses_of(registry, project, handed.model, ids)
    return [
        Sheet(
            row_id=leased.item.row_id,
            row=rows.get(leased.item.row_id, {}),
            why=leased.item.why,
            guess=guesses.get(leased.item.row_id),
        )
        for leased in handed.rows
    ]


def answered(registry: Registry, project: Project, limit: int) -> list[Sheet]:
    """The rows that people answered last, at most ``limit``, with all their answers."""
    by_row: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for one in registry.labeling.answers(project.id):
        by_row[one.row_id].append((one.annotator, one.label))
    ids = list(by_row)[-limit:]
    rows = _rows(registry, project, ids)
    return [Sheet(row_id=row, row=rows.get(row, {}), answers=by_row[row]) for row in ids]


def _rows(registry: Registry, project: Project, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The caller's columns of rows, by row id."""
    if not ids:
        return {}
    table = registry.datasets.rows(project.id, ids)
    names = [name for name in schema_of(project).names if name in table.column_names]
    found = zip(table["_row_id"].to_pylist(), table.select(names).to_pylist(), strict=True)
    return {row_id: {name: _plain(value) for name, value in row.items()} for row_id, row in found}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parsed(project: Project, given: Sequence[Given]) -> list[str | None]:
    """The labels in their canonical text. Raises a problem that names each one at fault."""
    target = schema_of(project).target
    labels: list[str | None] = []
    errors: list[dict[str, str]] = []
    for one in given:
        try:
            labels.append(None if one.label is None else target.text(target.parse(one.label)))
        except (ValueError, OverflowError) as error:
            code = "unknown_label" if target.classes else "unparsable_label"
            errors.append({"field": one.place, "code": code, "detail": str(error)})
            if len(errors) == MOST_ERRORS:
                break
    if errors:
        first = errors[0]
        shown = ", ".join(repr(label) for label in target.classes[:20])
        raise Problem(
            422,
            first["code"],
            f"{first['field']}: {first['detail']}. Nothing was stored.",
            field=first["field"],
            remedy=f"The classes are {shown}." if shown else "The target is a number: send a finite one.",
            errors=errors,
        )
    return labels


def schema_of(project: Project) -> Schema:
    """The project's schema. Raises a 409 problem before the first upload."""
    if project.schema is None:
        raise Problem(
            409,
            "no_data",
            f"The project {project.name!r} has no data yet.",
            remedy=f"POST labelled rows to /v1/projects/{project.name}/data first.",
        )
    return Schema.from_json(project.schema)
