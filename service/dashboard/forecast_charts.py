"""What the charts of forecasts draw: what came, what was forecast of it, and what is to come with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from automl.forecasting.steps import Step
from registry.forecasts import ForecastRecord
from registry.records import Project
from registry.store import Registry
from service.forecasts.actuals import Actuals, actuals

_BEFORE = 24
"""So many steps before a forecast are drawn."""
History = Mapping[str, Sequence[tuple[float, float]]]
"""By series: place on the chart (seconds since 1970, or the number that stands for a time) and value."""


def drawn(forecasts: Sequence[Mapping[str, Any]], came: Sequence[tuple[float, float]] = ()) -> dict[str, Any]:
    """One series' forecasts (newest first) as one chart: of several for one moment the newest that stands before it."""
    values: dict[float, dict[str, Any]] = {}
    steps = [step for one in forecasts for step in one["steps"]]
    for one in reversed(forecasts):
        for step in one["steps"]:
            told = values.setdefault(_place(step["time"]), {})
            told.update({name: step[name] for name in ("value", "lower", "upper")})
            if step["actual"] is not None:
                told["actual"] = step["actual"]
    for at, value in came:
        values.setdefault(at, {})["actual"] = value
    x = sorted(values)
    names = ("value", "lower", "upper", "actual")
    in_time = not any(isinstance(step["time"], int | float) for step in steps)
    return {
        "kind": "forecast",
        "x": x,
        "in_time": in_time,
        **{name: [values[at].get(name) for at in x] for name in names},
    }


def history(registry: Registry, project: Project, forecasts: Sequence[ForecastRecord]) -> History:
    """The values of the forecasts' series before them and since. Reads a table: for a page that stands already."""
    version = registry.datasets.facts(project.id).version
    if not forecasts or not version:
        return {}
    model = registry.models.get(project.id, forecasts[0].model_version)
    step = Step.from_json(model.details["step"])
    known = actuals(registry, project, version, step, min(one.origin for one in forecasts) - _BEFORE)
    return {
        series: [(_place(step.time(place)), value) for place, value in sorted(_of(known, series))]
        for series in {one.series for one in forecasts}
    }


def _place(time: object) -> float:
    return float(time) if isinstance(time, int | float) else datetime.fromisoformat(str(time)).timestamp()


def _of(known: Actuals, series: str) -> list[tuple[int, float]]:
    return [(place, value) for (name, place), value in known.items() if name == series]
