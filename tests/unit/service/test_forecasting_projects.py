"""Forecasting projects at the border: what they need, what they are spared, what they are told instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

SHOPS = {
    "name": "shops",
    "task": "forecasting",
    "target": "sales",
    "time_column": "month",
    "series_column": "shop",
    "horizon": 6,
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(home=tmp_path / "home", scheduler=False))) as one:
        yield one


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"horizon": None}, "needs horizon"),
        ({"time_column": None}, "needs time_column"),
        ({"entity_column": "shop", "series_column": None}, "series_column instead"),
        ({"covariates": ["sales"]}, "'sales' can't be a covariate"),
        ({"task": "regression"}, "horizon is a part of forecasting projects"),
        ({"series_column": "sales"}, "series_column and target are both 'sales'"),
        ({"metric": "rmse"}, "not a metric of forecasting"),
        ({"horizon": 0}, "horizon"),
    ],
)
def test_project_that_lacks_a_part_or_has_one_too_many_is_refused(
    client: TestClient, change: dict[str, Any], said: str
) -> None:
    answer = client.post("/v1/projects", json={**SHOPS, **change})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert answer.json()["remedy"]


def test_policy_has_defaults_for_series_and_keeps_what_was_said(client: TestClient) -> None:
    made = client.post("/v1/projects", json={**SHOPS, "policy": {"min_fresh_labels": 40}}).json()
    policy = made["policy"]
    assert (made["horizon"], made["series_column"]) == (6, "shop")
    assert policy["min_fresh_labels"] == 40
    assert policy["triggers"]["new_labels"] == {"count": None, "share": 0.1}
    assert (policy["probation"], policy["triggers"]["drift"], policy["search"]["first_seconds"]) == (
        None,
    ) * 3
    other = client.post("/v1/projects", json={**SHOPS, "name": "others"}).json()
    assert other["policy"]["min_fresh_labels"] == 14


def test_what_has_no_meaning_for_series_says_so_and_what_to_do(client: TestClient) -> None:
    client.post("/v1/projects", json=SHOPS)
    refusals = {
        "predict": client.post("/v1/projects/shops/predict", json={"rows": [{"month": "2026-01-01"}]}),
        "invocations": client.post(
            "/v1/projects/shops/invocations", json={"inputs": [{"month": "2026-01-01"}]}
        ),
        "labeling": client.get("/v1/projects/shops/labeling"),
        "replays": client.post("/v1/projects/shops/replays", json={}),
    }
    for name, answer in refusals.items():
        assert (answer.status_code, answer.json()["code"]) == (409, "forecasting_project"), name
        assert "/forecast" in answer.json()["remedy"]
    assert "probation" in client.get("/v1/projects/shops/monitoring").json()["not_watched"]


def test_forecast_without_champion_or_of_rows_is_refused_with_the_remedy(client: TestClient) -> None:
    client.post("/v1/projects", json=SHOPS)
    early = client.post("/v1/projects/shops/forecast")
    assert (early.status_code, early.json()["code"]) == (409, "no_champion")
    far = client.post("/v1/projects/shops/forecast", json={"horizon": 7})
    assert (far.status_code, far.json()["field"]) == (422, "horizon")
    client.post("/v1/projects", json={"name": "rows", "task": "regression", "target": "y"})
    other = client.post("/v1/projects/rows/forecast")
    assert (other.status_code, other.json()["code"]) == (409, "not_forecasting")
    assert client.get("/v1/projects/shops/forecasts").json() == {"forecasts": []}
    assert client.get("/v1/projects/shops/forecasts/1").status_code == 404
