"""A forecast asked for: made in a child process, stored, then told."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from automl.schema import Schema, check, table_from_rows
from automl.task import Task
from registry.forecasts import ForecastRecord, NewForecast
from registry.records import Project
from registry.store import Registry
from service.children import End, Limits, run_child
from service.clock import Clock
from service.policy import Policy
from service.problems import Problem
from service.sealed import seal
from service.settings import Settings
from service.stages.names import AHEAD, CHAMPION_FILE

DEADLINE_SECONDS = 300.0
AT_ONCE = 2
"""Calls that may work; as many more wait."""


class Forecasting:
    """Makes forecasts of a project's champion from the newest rows. Methods block: call them from a thread."""

    def __init__(self, registry: Registry, settings: Settings, *, clock: Clock) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._places = threading.BoundedSemaphore(2 * AT_ONCE)
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._stopping = threading.Event()
        self._sweep()

    def forecast(
        self,
        project: Project,
        *,
        horizon: int | None,
        series: Sequence[str] | None,
        covariates: Sequence[Mapping[str, Any]],
    ) -> tuple[ForecastRecord, ...]:
        """Stored forecasts of the series named (all where none are), from the end of each. Raises a problem."""
        task = Task.from_json(project.task)
        steps = _steps(task, horizon)
        if project.champion is None:
            raise Problem(
                409,
                "no_champion",
                f"The project {project.name!r} has no champion yet.",
                remedy=f"Upload series and wait for the first run: GET /v1/projects/{project.name}/runs.",
            )
        if not self._places.acquire(blocking=False):
            raise Problem(
                503,
                "overloaded",
                f"{2 * AT_ONCE} forecasts are being made or wait, and no more are taken at once.",
                remedy="Send the call again in a few seconds.",
                headers={"Retry-After": "5"},
            )
        try:
            with self._turns:
                return self._made(project, task, steps, series, covariates)
        finally:
            self._places.release()

    def stop(self) -> None:
        """End what is being made."""
        self._stopping.set()

    def _sweep(self) -> None:
        """Remove what killed processes left; others of this home may be at work on younger folders."""
        for folder in (self._settings.home.resolve() / "forecasts").glob("*"):
            if time.time() - folder.stat().st_mtime > 2 * DEADLINE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _made(
        self,
        project: Project,
        task: Task,
        steps: int,
        series: Sequence[str] | None,
        covariates: Sequence[Mapping[str, Any]],
    ) -> tuple[ForecastRecord, ...]:
        assert project.champion is not None
        coverage = Policy.stored(project.policy).forecast.coverage
        folder = self._settings.home.resolve() / "forecasts" / secrets.token_hex(8)
        folder.mkdir(parents=True)
        try:
            key = self._lay_out(folder, project, task, steps, series, covariates, coverage)
            told = self._told(folder, key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if "fault" in told:
            fault = told["fault"]
            raise Problem(
                422, "cannot_forecast", f"{fault['detail']}.", field=fault["field"], remedy=fault["remedy"]
            )
        news = [
            NewForecast(
                series=one["series"],
                model_version=project.champion,
                origin=one["origin"],
                scale=one["scale"],
                coverage=coverage,
                steps=one["steps"],
            )
            for one in told["forecasts"]
        ]
        return self._registry.forecasts.add(project.id, news, at=self._clock())

    def _lay_out(
        self,
        folder: Path,
        project: Project,
        task: Task,
        steps: int,
        series: Sequence[str] | None,
        covariates: Sequence[Mapping[str, Any]],
        coverage: float,
    ) -> bytes:
        """What the child reads; the key that its files are sealed with."""
        assert project.champion is not None
        version = self._registry.datasets.latest(project.id)
        assert version is not None
        key = secrets.token_bytes(32)
        model = self._registry.models.get(project.id, project.champion)
        seal(folder / CHAMPION_FILE, self._registry.blobs.open(model.blob.digest), key)
        if covariates:
            schema = Schema.from_json(project.schema or {})
            pq.write_table(known_ahead(covariates, task, schema), folder / AHEAD)
        spec = {
            "project_id": project.id,
            "task": dict(project.task),
            "schema": dict(project.schema or {}),
            "dataset_version": version.number,
            "horizon": steps,
            "series": None if series is None else list(series),
            "coverage": coverage,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        return key

    def _told(self, folder: Path, key: bytes) -> dict[str, Any]:
        ended = run_child(
            "forecast",
            folder,
            {
                "key": key.hex(),
                "database_url": self._registry.database_url,
                "home": str(self._settings.home.resolve()),
            },
            Limits(deadline_seconds=DEADLINE_SECONDS, memory_bytes=self._settings.child_memory_bytes),
            on_event=lambda event: None,
            cancelled=self._stopping.is_set,
        )
        if ended.end is End.OK:
            found: dict[str, Any] = json.loads((folder / "forecasts.json").read_text())
            return found
        raise Problem(
            503,
            "forecast_failed",
            f"The forecast was not made: {ended.reason}.",
            remedy="Ask for fewer series in a call, or try again.",
        )


def known_ahead(rows: Sequence[Mapping[str, Any]], task: Task, schema: Schema) -> Any:
    """Rows without value that tell covariates, typed as the project's own. Raises a problem at the first fault."""
    checked = check(table_from_rows([{**row, task.target: None} for row in rows]), schema, task.without_ids)
    if checked.faults:
        fault = checked.faults[0]
        raise Problem(
            422,
            "invalid_covariates",
            f"covariates[{fault.row}].{fault.column}: {fault.message}.",
            field=f"covariates[{fault.row}].{fault.column}",
            remedy="Send the columns that the project's rows have, the target left out.",
        )
    return checked.table


def _steps(task: Task, asked: int | None) -> int:
    if not task.is_forecasting or task.horizon is None:
        raise Problem(
            409,
            "not_forecasting",
            "This project predicts rows, it does not forecast series.",
            remedy="POST …/predict, or make a project with task forecasting.",
        )
    steps = task.horizon if asked is None else asked
    if steps > task.horizon:
        raise Problem(
            422,
            "horizon_too_long",
            f"{steps} steps are asked for; the project was made for a horizon of {task.horizon}.",
            field="horizon",
            remedy=f"Ask for at most {task.horizon} steps, or make a project with a longer horizon.",
        )
    return steps
