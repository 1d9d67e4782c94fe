"""Forecasts: asked for, stored, and shown beside what came."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from automl.columns import scalar_text
from service.api.context import Context, Ctx, ProjectInPath, require
from service.api.schemas import Body
from service.forecasts.asking import Forecasting
from service.forecasts.view import shown
from service.problems import Problem

router = APIRouter()


class Asked(Body):
    """``POST …/forecast``; all of it may be left out."""

    horizon: int | None = Field(default=None, ge=1, description="steps ahead, at most the project's")
    series: list[str | int | float] | None = Field(default=None, min_length=1, max_length=10_000)
    covariates: list[dict[str, Any]] = Field(
        default=[],
        max_length=200_000,
        description="rows without value: time, series and what is known of them",
    )


@router.post("/{project}/forecast", status_code=201, dependencies=[Depends(require("predict"))])
def forecast(project: ProjectInPath, context: Ctx, body: Asked | None = None) -> dict[str, Any]:
    """Forecasts of the champion for the steps after the last value of each series, with prediction intervals.

    They are stored before they are answered, and scored when their actual values are uploaded.
    """
    asked = body or Asked()
    made = _forecasting(context).forecast(
        project,
        horizon=asked.horizon,
        series=None if asked.series is None else [scalar_text(name) for name in asked.series],
        covariates=asked.covariates,
    )
    return {"model_version": made[0].model_version, "forecasts": [shown(one) for one in made]}


@router.get("/{project}/forecasts", dependencies=[Depends(require("data"))])
def list_forecasts(
    project: ProjectInPath,
    context: Ctx,
    series: str | None = None,
    open: bool | None = None,
    limit: int = Query(default=50, ge=1, le=1000),
    before: int | None = None,
) -> dict[str, Any]:
    """Stored forecasts, newest first, each with the actual values that came."""
    found = context.registry.forecasts.list(project.id, series=series, open=open, limit=limit, before=before)
    return {"forecasts": [shown(one) for one in found]}


@router.get("/{project}/forecasts/{forecast}", dependencies=[Depends(require("data"))])
def get(project: ProjectInPath, forecast: int, context: Ctx) -> dict[str, Any]:
    return shown(context.registry.forecasts.get(project.id, forecast))


def _forecasting(context: Context) -> Forecasting:
    if context.forecasting is None:
        raise Problem(503, "no_forecasts", "This server makes no forecasts.", remedy="Ask another one.")
    return context.forecasting
