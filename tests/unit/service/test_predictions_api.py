from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from small_house import await_ready, make_champion, make_model, make_project, open_registry

from service.app import create_app
from service.settings import Settings

ROW = {"size": 1.5, "colour": "red"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The whole application on a home that holds one champion (fruit) and one project without (bare)."""
    folder = tmp_path_factory.mktemp("service")
    registry = open_registry(folder)
    make_model(registry, make_project(registry), compiled={"passed": True})
    make_champion(registry, registry.projects.get("fruit"), 1)
    make_project(registry, name="bare")
    registry.close()
    settings = Settings(
        home=folder / "home", scheduler=False, max_predict_bytes=100_000, max_predict_rows=100
    )
    with TestClient(create_app(settings)) as client:
        await_ready(client)
        yield client


def predict(http: TestClient, rows: list[dict[str, Any]]) -> Any:
    return http.post("/v1/projects/fruit/predict", json={"rows": rows})


def test_an_answer_has_version_ids_values_and_probabilities(http: TestClient) -> None:
    answer = predict(http, [ROW, {"size": -2, "colour": "blue"}])
    assert answer.status_code == 200
    said = answer.json()
    assert said["model_version"] == 1
    assert [one["value"] for one in said["predictions"]] == ["yes", "no"]
    assert all(sum(one["probabilities"].values()) == pytest.approx(1) for one in said["predictions"])
    assert len({one["id"] for one in said["predictions"]}) == 2


@pytest.mark.parametrize(
    "row",
    [
        {"size": None, "colour": None},
        {"size": "1.5", "colour": "red"},
        {"size": 1, "colour": "a colour nobody has seen"},
        {"colour": "red", "size": 10**30, "extra": "ignored"},
        {"size": 1.5, "colour": "\N{PINEAPPLE} \u202eright to left"},
    ],
)
def test_odd_but_readable_rows_are_answered(http: TestClient, row: dict[str, Any]) -> None:
    assert predict(http, [row]).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 422, "invalid_json", "body"),
        (b"{rows}", 422, "invalid_json", "body"),
        (b"\xff\xfe", 422, "invalid_json", "body"),
        (b"[]", 422, "invalid_rows", "rows"),
        (b"{}", 422, "invalid_rows", "rows"),
        (b'{"rows": []}', 422, "invalid_rows", "rows"),
        (b'{"rows": [1]}', 422, "invalid_rows", "rows[0]"),
        (b'{"rows": {"size": 1}}', 422, "invalid_rows", "rows"),
        (b'{"rows": [{"size": 1}]}', 422, "missing_column", "rows[0].colour"),
        (b'{"rows": [{"size": "tall", "colour": "red"}]}', 422, "unparsable_number", "rows[0].size"),
        (b'{"rows": [{"size": [1], "colour": "red"}]}', 422, "nested_value", "rows[].size"),
        (b'{"rows": [{"size": 1e999, "colour": "red"}]}', 422, "invalid_rows", "rows[0][...]"),
        (b'{"rows": [{"size": "inf", "colour": "red"}]}', 422, "infinite_number", "rows[0].size"),
        (b'{"rows": [' + b",".join([b"{}"] * 101) + b"]}", 413, "too_many_rows", "rows"),
        (b" " * 100_001, 413, "body_too_large", None),
    ],
)
def test_bad_bodies_are_refused_by_name_with_a_remedy(
    http: TestClient, body: bytes, status: int, code: str, field: str | None
) -> None:
    answer = http.post("/v1/projects/fruit/predict", content=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["remedy"]
    assert "Traceback" not in answer.text


def test_a_fault_in_one_of_many_rows_names_that_row(http: TestClient) -> None:
    problem = predict(http, [ROW, ROW, {"size": "x", "colour": "red"}]).json()
    assert problem["errors"] == [
        {"field": "rows[2].size", "code": "unparsable_number", "detail": problem["errors"][0]["detail"]}
    ]


def test_unknown_projects_and_projects_without_champion_say_what_to_do(http: TestClient) -> None:
    unknown = http.post("/v1/projects/nobody/predict", json={"rows": [ROW]})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "project_not_found")
    bare = http.post("/v1/projects/bare/predict", json={"rows": [ROW]})
    assert (bare.status_code, bare.json()["code"]) == (409, "no_champion")
    assert "/v1/projects/bare/runs" in bare.json()["remedy"]


def test_many_calls_at_once_are_answered_each_with_its_own_rows(http: TestClient) -> None:
    def ask(number: int) -> tuple[int, Any]:
        size = -3.0 if number % 2 else 3.0
        row = {"size": "tall" if number % 7 == 0 else size, "colour": "red"}
        answer = predict(http, [row])
        return number, answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(80)))
    for number, answer in answers:
        if number % 7 == 0:
            assert answer.status_code == 422
        else:
            assert answer.json()["predictions"][0]["value"] == ("no" if number % 2 else "yes")


def test_the_api_page_and_all_it_loads_come_from_here(http: TestClient) -> None:
    page = http.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for path in loaded:
        assert path.startswith("/static/")
        assert http.get(path).status_code == 200


def test_metrics_count_rows_and_never_name_one(http: TestClient) -> None:
    predict(http, [{**ROW, "colour": "unmistakable"}])
    text = http.get("/metrics").text
    assert 'incumbent_predictions_total{model="1",project="fruit"}' in text
    assert "incumbent_prediction_duration_seconds_bucket" in text
    assert "unmistakable" not in text
