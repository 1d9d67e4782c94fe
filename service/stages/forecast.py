"""A forecast on request, in its own process: the champion's recipes are fitted to the series as they are now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from automl.errors import SeriesError
from automl.forecasting.histories import carried_on
from automl.forecasting.model import Forecast, ForecastModel
from automl.forecasting.panel import Panel, Series
from automl.schema import Schema
from automl.task import Task
from service.desk import Desk
from service.sealed import unseal
from service.stages.forecast_judge import foreign_of, model_in
from service.stages.names import AHEAD, CHAMPION_FILE
from service.stages.series import panel_of, rows_of

_SECONDS = 240.0


def run(desk: Desk, detail: str) -> None:
    """Leaves ``forecasts.json``: ``forecasts``, or ``fault`` with what the caller has to do."""
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    model = model_in(unseal(desk.folder / CHAMPION_FILE, desk.key))
    desk.ready()
    table = rows_of(desk, desk.spec["dataset_version"], labelled=not task.covariates)
    if (desk.folder / AHEAD).exists():
        table = pa.concat_tables([table, pq.read_table(desk.folder / AHEAD)], promote_options="default")
    try:
        panel = panel_of(table, task, schema, step=model.step, season=model.season)
        panel = _chosen(panel, desk.spec["series"])
        panel = _known_ahead(panel, desk.spec["horizon"], task.horizon or model.horizon)
    except SeriesError as error:
        fault = {"detail": str(error), "field": error.column, "remedy": error.remedy}
        (desk.folder / "forecasts.json").write_text(json.dumps({"fault": fault}))
        return
    found = model.forecast(panel, coverage=desk.spec["coverage"], foreign=foreign_of(_SECONDS))
    told = [_told(one, model, desk.spec["horizon"]) for one in found]
    (desk.folder / "forecasts.json").write_text(json.dumps({"forecasts": told}))


def _chosen(panel: Panel, names: Sequence[str] | None) -> Panel:
    """The series asked for, in that order; all where none are named."""
    if names is None:
        return panel
    known = {one.name: one for one in panel.series}
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(repr(name) for name in list(known)[:10])
        raise SeriesError(
            f"there is no series {unknown[0]!r}",
            column="series",
            remedy=f"Name some of {some}, or leave it out.",
        )
    return replace(panel, series=tuple(known[name] for name in dict.fromkeys(names)))


def _known_ahead(panel: Panel, asked: int, horizon: int) -> Panel:
    """With covariates for every step that is asked for; those of later steps are carried on."""
    return replace(panel, series=tuple(_one_ahead(panel, one, asked, horizon) for one in panel.series))


def _one_ahead(panel: Panel, series: Series, asked: int, horizon: int) -> Series:
    if not panel.covariates:
        return series
    n = len(series)
    ahead = np.full((asked, len(panel.covariates)), np.nan)
    given = series.covariates[n : n + asked]
    ahead[: len(given)] = given
    lacking = np.argwhere(np.isnan(ahead))
    if len(lacking):
        step, column = lacking[0]
        of = f" of series {series.name!r}" if series.name else ""
        raise SeriesError(
            f"the covariate {panel.covariates[column]!r} is not known for {panel.step.time(series.end + int(step))}{of}",
            column="covariates",
            remedy="Send a row in covariates for each step and series, or upload rows without a value for them.",
        )
    return replace(series, covariates=carried_on(series.covariates, n + horizon))


def _told(one: Forecast, model: ForecastModel, asked: int) -> dict[str, Any]:
    return {
        "series": one.series,
        "origin": one.origin,
        "scale": one.scale,
        "steps": [
            {
                "step": at + 1,
                "time": model.step.time(one.origin + at),
                "value": float(one.values[at]),
                "lower": float(one.lower[at]),
                "upper": float(one.upper[at]),
                "expected_error": float(one.expected[at]),
            }
            for at in range(asked)
        ],
    }
