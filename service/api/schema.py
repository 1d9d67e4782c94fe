"""The schema of a project: read, and edited within what the stored rows allow."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from automl.schema import ColumnKind, Schema
from automl.task import Task
from registry.errors import Conflict
from registry.records import Project
from service.api.context import Ctx, ProjectInPath
from service.api.schemas import Body
from service.problems import Problem
from service.schema_edit import edited

router = APIRouter()


@router.get("/{project}/schema")
def schema(project: ProjectInPath) -> dict[str, Any]:
    """The columns and the target that every upload and prediction is held to."""
    return _schema(project)


class ColumnChange(Body):
    """A column and what changes of it; parts that are left out stay."""

    name: str
    kind: ColumnKind | None = None
    optional: bool | None = None
    categories: list[str] | None = Field(default=None, max_length=1000)
    integer: bool | None = Field(default=None, description="told by the data; ignored")
    categories_complete: bool | None = Field(default=None, description="told by the data; ignored")


class TargetChange(Body):
    """All classes, the new ones with the known ones."""

    classes: list[bool | int | float | str] | None = Field(default=None, max_length=1000)
    kind: str | None = Field(default=None, description="can't change; ignored")
    type: str | None = Field(default=None, description="can't change; ignored")


class SchemaChange(Body):
    """What GET gives, edited; columns that are left out stay as they are."""

    columns: list[ColumnChange] = Field(default=[], max_length=10_000)
    target: TargetChange = TargetChange()
    schema_version: int | None = Field(
        default=None, description="when given, the change is made only to this version"
    )


@router.put("/{project}/schema")
def edit_schema(body: SchemaChange, project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    """Make columns optional, add classes or categories, correct a kind while no rows are stored."""
    if project.schema is None:
        raise _no_schema(project)
    if body.schema_version is not None and body.schema_version != project.schema_version:
        raise Problem(
            409,
            "schema_changed",
            f"The schema is at version {project.schema_version}, not {body.schema_version}.",
            field="schema_version",
            remedy="Read the schema again and repeat the change.",
        )
    facts = context.registry.datasets.facts(project.id)
    new, task = edited(
        Schema.from_json(project.schema),
        Task.from_json(project.task),
        columns=[column.model_dump() for column in body.columns],
        classes=_classes(body.target.classes, project),
        rows_stored=facts.rows > 0,
    )
    if new.to_json() == dict(project.schema):
        return _schema(project)
    try:
        updated = context.registry.projects.update(
            project.name, schema=new.to_json(), task=task.to_json(), expected_revision=project.revision
        )
    except Conflict as conflict:
        raise Problem(
            409, conflict.code, str(conflict), remedy="Read the schema again and repeat the change."
        ) from None
    if context.scheduler is not None:
        context.scheduler.nudge()
    return _schema(updated)


def _schema(project: Project) -> dict[str, Any]:
    if project.schema is None:
        raise _no_schema(project)
    return {"schema_version": project.schema_version, **project.schema}


def _no_schema(project: Project) -> Problem:
    return Problem(
        404,
        "no_schema",
        f"The project {project.name!r} has no schema yet.",
        remedy="Upload labelled rows first; the schema is inferred from them.",
    )


def _classes(given: list[Any] | None, project: Project) -> list[Any] | None:
    """The classes asked for; None when they are those there are, so that GET's answer can be sent back."""
    known = project.schema["target"]["classes"] if project.schema is not None else []
    return None if given is None or given == known else given
