"""Which projects forecast series, and which parts of the service have nothing to do for them."""

from __future__ import annotations

from automl.task import TaskKind
from registry.records import Project
from service.problems import Problem

NOT_WATCHED = {
    "drift": "it compares feature columns of predicted rows, and forecasts have none",
    "estimated_decay": "it estimates from a classifier's or regression's answers; forecasts are scored as their truth comes",
    "prediction_drift": "it compares the answers to many rows; forecasts move with their series",
    "probation": "it compares two models on the same live rows; forecasts of both would have to be stored for a horizon",
    "outliers": "it measures rows by their columns; whether a value is odd for its moment, its interval tells",
    "replay": "it plays rows past a policy one by one; the run's rolling origins say what a model would have forecast",
    "labelling": "the truth of a forecast comes with time, and no person has to give it",
}
"""By the part of the service: why it skips forecasting projects."""


def is_forecasting(project: Project) -> bool:
    return bool(project.task["kind"] == TaskKind.FORECASTING.value)


def served_version(project: Project, loaded: int | None) -> int | None:
    """The version that answers: the one loaded in this process, or of a forecasting project the champion, which is
    fitted anew whenever it is asked."""
    return project.champion if is_forecasting(project) else loaded


def refuse(project: Project, part: str) -> None:
    """Raises a problem where the project forecasts, for which ``part`` of the service has no use."""
    if is_forecasting(project):
        raise Problem(
            409,
            "forecasting_project",
            f"The project {project.name!r} forecasts series, so there is no {part}: {NOT_WATCHED[part]}.",
            remedy=f"See GET /v1/projects/{project.name}/forecasts and /performance.",
        )
