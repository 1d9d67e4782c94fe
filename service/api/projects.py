"""Projects: the long-lived owners of one prediction problem each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Response
from pydantic import ValidationError

from automl.errors import SchemaError
from automl.targets import declared_target
from automl.task import Label, Task, TaskKind
from registry.records import Project
from service.api.context import Ctx, ProjectInPath, require
from service.api.schemas import NewProject, ProjectChange
from service.forecasts.standing_orders import forecasting_policy
from service.policy import Policy
from service.problems import Problem

router = APIRouter()

_OF_SERIES = ("horizon", "series_column", "covariates")


@router.post("", status_code=201, dependencies=[Depends(require("admin"))])
def create(body: NewProject, context: Ctx, response: Response) -> dict[str, Any]:
    """A new project. Its schema is inferred from the first upload."""
    try:
        body.distinct()
        body.complete()
    except ValueError as error:
        remedy = "Give each part that the task has, and each column one part."
        raise Problem(422, "invalid_request", str(error), remedy=remedy) from None
    task = _declared(
        Task(
            kind=TaskKind(body.task),
            target=body.target,
            metric=body.metric or "auto",
            time_column=body.time_column,
            id_column=body.id_column,
            entity_column=body.entity_column,
            sensitive=tuple(body.sensitive),
            horizon=body.horizon,
            series_column=body.series_column,
            covariates=tuple(body.covariates),
        ),
        body.classes,
        body.labels_later,
    )
    policy = forecasting_policy(body.policy, task) if task.is_forecasting else body.policy
    project = context.registry.projects.create(
        body.name,
        task=task.to_json(),
        policy=policy.model_dump(mode="json"),
        at=context.clock(),
    )
    response.headers["Location"] = f"/v1/projects/{project.name}"
    return show(project)


@router.get("", dependencies=[Depends(require("data"))])
def list_projects(context: Ctx) -> dict[str, Any]:
    return {"projects": [show(project) for project in context.registry.projects.list()]}


@router.get("/{project}", dependencies=[Depends(require("data"))])
def get(project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    facts = context.registry.datasets.facts(project.id)
    data = {"rows": facts.rows, "labelled": facts.truths, "predictions": facts.predictions}
    return {**show(project), "data": data}


@router.patch("/{project}", dependencies=[Depends(require("admin"))])
def change(project: ProjectInPath, body: ProjectChange, context: Ctx) -> dict[str, Any]:
    """Change parts of the policy; parts that aren't named stay as they are."""
    policy = merged(project, body.policy)
    updated = context.registry.projects.update(
        project.name, policy=policy.model_dump(mode="json"), expected_revision=project.revision
    )
    context.scheduler.nudge()
    return show(updated)


@router.delete("/{project}", status_code=204, dependencies=[Depends(require("admin"))])
def delete(project: ProjectInPath, context: Ctx) -> None:
    """Forget the project, its rows and its models. Its ledgers stay in the database."""
    context.registry.projects.delete(project.name, at=context.clock())
    context.registry.datasets.drop(project)
    context.registry.outliers.drop(project.id)
    context.serving.nudge()


def _declared(task: Task, classes: Sequence[Label] | None, labels_later: bool) -> Task:
    """The task with what its owner says of labels before any comes: the classes, each as labels will have it, or of
    numbers that they come later. Raises a problem."""
    if classes is None and not labels_later:
        return task
    named = replace(task, classes=tuple(classes or ()), declared=True)
    try:
        return replace(named, classes=declared_target(named).classes)
    except SchemaError as error:
        raise Problem(422, error.code, f"{error}.", field="classes", remedy=error.remedy) from None


def show(project: Project) -> dict[str, Any]:
    task = dict(project.task)
    return {
        "name": project.name,
        "task": task["kind"],
        "target": task["target"],
        "metric": task["metric"],
        "classes": task["classes"],
        "time_column": task["time_column"],
        "id_column": task["id_column"],
        "entity_column": task["entity_column"],
        "sensitive": task["sensitive"],
        **{part: task[part] for part in _OF_SERIES if task.get(part)},
        "champion": project.champion,
        "previous": project.previous,
        "epoch": project.epoch,
        "schema_version": project.schema_version,
        "policy": dict(project.policy),
        "created_at": project.created_at,
    }


def merged(project: Project, change: Mapping[str, Any]) -> Policy:
    """The project's policy with some parts changed. Raises a 422 problem that names what is wrong."""
    try:
        policy = Policy.model_validate(_merge(project.policy, change))
    except ValidationError as error:
        raise _invalid_policy(error) from None
    _only_known_columns(project, policy)
    return policy


def _only_known_columns(project: Project, policy: Policy) -> None:
    """Raises a 422 problem where the policy audits a column that the schema doesn't have."""
    rule = policy.gates.trust.fairness
    if rule is None or project.schema is None:
        return
    known = [column["name"] for column in project.schema["columns"]]
    for place, name in enumerate(rule.columns):
        if name not in known:
            raise Problem(
                422,
                "unknown_column",
                f"The schema of {project.name!r} has no column {name!r} whose groups could be audited.",
                field=f"policy.gates.trust.fairness.columns.{place}",
                remedy=f"Name one of {', '.join(known[:12])}.",
            )


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Objects are merged, everything else replaced; the shares of engines are replaced as a whole."""
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and name != "engines":
            merged[name] = _merge(before, value)
        else:
            merged[name] = value
    return merged


def _invalid_policy(error: ValidationError) -> Problem:
    errors = [
        {"field": "policy." + ".".join(map(str, one["loc"])), "detail": one["msg"], "code": one["type"]}
        for one in error.errors()[:20]
    ]
    return Problem(
        422,
        "invalid_policy",
        f"{errors[0]['field']}: {errors[0]['detail']}",
        field=errors[0]["field"],
        remedy="See the policy in docs/policy.md.",
        errors=errors,
    )
