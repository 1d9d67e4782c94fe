"""``incumbent forecast``: what comes next in each series, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.commands.console import out, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect
from service.commands.rows import read_rows

SHOWN = 60
"""Lines of the table."""


def forecast(
    project: ProjectName,
    horizon: Annotated[int | None, typer.Option(help="Steps ahead; the project's where left out.")] = None,
    series: Annotated[
        list[str] | None, typer.Option(help="A series; may be repeated. All where left out.")
    ] = None,
    covariates: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="CSV, JSON Lines or Parquet: time, series and what is known ahead."
        ),
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Show the stored ones instead of asking.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask the champion for the next steps of each series, with intervals."""
    known = list(read_rows(covariates)) if covariates else []
    with connect(url, key) as server:
        if stored:
            answer: Mapping[str, Any] = {"forecasts": server.forecasts(project)}
        else:
            answer = server.forecast(project, horizon=horizon, series=series, covariates=known)
    if as_json:
        show_json(answer)
        return
    found = answer["forecasts"]
    columns = ("id", "series", "time", "value", "lower", "upper", "actual")
    lines = [
        (one["id"], one["series"], step["time"], *(step[name] for name in columns[3:]))
        for one in found
        for step in one["steps"]
    ]
    title = f"model version {answer['model_version']}" if "model_version" in answer else None
    show_table(columns, lines[:SHOWN], empty="No forecast is stored.", title=title)
    if len(lines) > SHOWN:
        out().print(f"… and {len(lines) - SHOWN} more lines; --json shows all", style="dim")
