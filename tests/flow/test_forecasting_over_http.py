"""Many series in one project: forecast with intervals, scored as the months pass, searched anew when they break."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_server import Server
from problems_at_hand import csv
from typer.testing import CliRunner

from service.cli import app

pytestmark = pytest.mark.slow

PATH = "/v1/projects/shops"
POLICY = {
    "triggers": {"schedule": None, "new_labels": None},
    "cooldown": "PT0S",
    "search": {"budget_seconds": 6, "engines": {"portfolio": 1}},
}
PROJECT = {
    "name": "shops",
    "task": "forecasting",
    "target": "sales",
    "time_column": "month",
    "series_column": "shop",
    "horizon": 6,
    "policy": POLICY,
}


def sales(months: int = 120, *, broken_from: int | None = None) -> pd.DataFrame:
    """Three shops with a yearly rhythm; from some month on they sell four times as much, in another rhythm."""
    random = np.random.default_rng(4)
    at = np.arange(months)
    parts = []
    for number, shop in enumerate(("east", "north", "south")):
        values = 100 * (number + 1) + 0.4 * at + 12 * np.sin(2 * np.pi * (at + number) / 12)
        values = values + random.normal(0, 2, months)
        if broken_from is not None:
            values = np.where(at < broken_from, values, 4 * values + 80 * np.cos(2 * np.pi * at / 3))
        parts.append(
            pd.DataFrame(
                {
                    "month": pd.date_range("2015-01-01", periods=months, freq="MS").strftime("%Y-%m-%d"),
                    "shop": shop,
                    "sales": values.round(3),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def upload(server: Server, frame: pd.DataFrame) -> None:
    server.post(f"{PATH}/data", 201, files={"file": ("sales.csv", csv(frame), "text/csv")})


def between(frame: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    return frame[(frame["month"] >= first) & (frame["month"] <= last)]


def test_series_are_forecast_scored_and_searched_anew_when_their_forecasts_fail(server: Server) -> None:
    frame = sales(broken_from=102)
    server.post("/v1/projects", 201, json=PROJECT)
    upload(server, between(frame, "2015-01-01", "2022-12-01"))
    run = server.ended_run("shops", 1)
    assert run["verdict"]["outcome"] == "promoted", run["verdict"]["reason"]
    assert run["verdict"]["metric"] == "mase"
    assert run["verdict"]["challenger_score"] < run["verdict"]["baseline_score"]
    assert run["snapshot"]["series"] == 3
    assert {trial["engine"] for trial in server.get(f"{PATH}/runs/1")["trials"]} == {"portfolio"}

    for page in (
        "/",
        "/projects/shops",
        "/projects/shops/models",
        "/projects/shops/models/1",
        "/projects/shops/runs/1",
    ):
        assert server.http.get(page).status_code == 200, page
    assert server.get(f"{PATH}/champion")["served"] == 1

    refused = server.post(f"{PATH}/predict", 409, json={"rows": [{"month": "2023-01-01", "shop": "east"}]})
    assert refused["code"] == "forecasting_project"
    assert "/forecast" in refused["remedy"]
    assert server.http.get(f"{PATH}/labeling").status_code == 409

    made = server.post(f"{PATH}/forecast", 201)
    assert [one["series"] for one in made["forecasts"]] == ["east", "north", "south"]
    for one in made["forecasts"]:
        assert [step["time"][:10] for step in one["steps"]][::5] == ["2023-01-01", "2023-06-01"]
        assert all(step["lower"] < step["value"] < step["upper"] for step in one["steps"])
        assert one["open"]
    single = server.post(f"{PATH}/forecast", 201, json={"series": ["north"], "horizon": 2})
    assert [len(one["steps"]) for one in single["forecasts"]] == [2]
    asked = ["forecast", "shops", "--series", "north", "--horizon", "2", "--url", server.url]
    by_command = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert by_command["forecasts"][0]["steps"] == single["forecasts"][0]["steps"]
    assert "2023-02-01" in CliRunner().invoke(app, asked).stdout
    wrong = server.post(f"{PATH}/forecast", 422, json={"series": ["west"]})
    assert "'west'" in wrong["detail"]
    assert server.post(f"{PATH}/forecast", 422, json={"horizon": 7})["code"] == "horizon_too_long"

    upload(server, between(frame, "2023-01-01", "2023-06-01"))
    found = server.wait_for(lambda: closed(server, made["forecasts"]))
    assert all(one["mase"] < 1.0 for one in found)
    live = server.wait_for(lambda: server.get(f"{PATH}/performance")["champion"]["realised"])
    assert live["score"] < 1.5 * live["reference"]
    assert len(server.get(f"{PATH}/runs")["runs"]) == 1  # good forecasts start nothing

    after = server.post(f"{PATH}/forecast", 201)
    upload(server, between(frame, "2023-07-01", "2024-06-01"))
    server.wait_for(lambda: closed(server, after["forecasts"]))
    again = server.ended_run("shops", 2)
    assert again["trigger"]["kind"] == "decay", again
    assert again["status"] == "completed", again
    assert again["verdict"]["champion_score"] is not None
    shown = server.get(f"{PATH}/performance")
    assert shown["rows"] >= 36
    assert 0 <= shown["covered"] <= 1
    assert set(server.get(f"{PATH}/monitoring")["not_watched"]) >= {"probation", "drift", "labelling"}


def closed(server: Server, made: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The forecasts as they are stored, once everything that they were about has come."""
    found = [server.get(f"{PATH}/forecasts/{one['id']}") for one in made]
    return None if any(one["open"] for one in found) else found


def test_covariates_known_ahead_are_asked_for_and_used(server: Server) -> None:
    random = np.random.default_rng(7)
    offer = (random.random(106) < 0.3).astype(int)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=106, freq="D").strftime("%Y-%m-%d"),
            "offer": offer,
            "sales": (
                100 + 10 * np.sin(2 * np.pi * np.arange(106) / 7) + 40 * offer + random.normal(0, 1, 106)
            ).round(3),
        }
    )
    project = {**PROJECT, "series_column": None, "time_column": "day", "covariates": ["offer"], "horizon": 3}
    server.post("/v1/projects", 201, json=project)
    upload(server, frame[:100])
    run = server.ended_run("shops", 1)
    assert run["verdict"]["outcome"] == "promoted", run["verdict"]["reason"]
    lacking = server.post(f"{PATH}/forecast", 422)
    assert (lacking["code"], lacking["field"]) == ("cannot_forecast", "covariates")
    assert "'offer'" in lacking["detail"]
    assert "2024-04-10" in lacking["detail"]
    known = frame[100:103][["day", "offer"]].to_dict("records")
    answers = []
    for offered in (0, 1):
        rows = [{**row, "offer": offered} for row in known]
        answers.append(server.post(f"{PATH}/forecast", 201, json={"covariates": rows})["forecasts"][0])
    gain = [
        later["value"] - first["value"]
        for first, later in zip(*(one["steps"] for one in answers), strict=True)
    ]
    assert min(gain) > 15  # an offer is worth 40
    wrong = server.post(f"{PATH}/forecast", 422, json={"covariates": [{"day": "someday", "offer": 1}]})
    assert wrong["field"] == "covariates[0].day"
    ahead = frame[100:103].assign(sales="")
    upload(server, ahead)
    told = server.post(f"{PATH}/forecast", 201)["forecasts"][0]
    assert told["series"] is None
    assert [step["time"][:10] for step in told["steps"]] == list(frame["day"][100:103])
