from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

from automl.errors import AutoMLError, SchemaError, SplitError
from registry.errors import (
    Conflict,
    Damaged,
    DuplicateRows,
    NotFound,
    RegistryError,
    StaleEpoch,
    StaleFence,
    Tampered,
    Unavailable,
)
from service.problems import MEDIA_TYPE, Problem, install_problems, problem_of


class _Label(BaseModel):
    id: str


class _Body(BaseModel):
    labels: list[_Label]


def _client(error: Exception | None = None) -> TestClient:
    app = FastAPI()
    install_problems(app)

    @app.get("/fails")
    def fails() -> None:
        assert error is not None
        raise error

    @app.post("/takes")
    def takes(body: _Body) -> None: ...

    return TestClient(app, raise_server_exceptions=False)


def _document(error: Exception) -> tuple[int, dict[str, Any]]:
    answer = _client(error).get("/fails")
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.status_code, answer.json()


def test_a_problem_document_has_the_members_of_rfc_9457_and_ours() -> None:
    problem = Problem(409, "run_active", "A run is active.", field="run", remedy="Wait for it.", run=7)
    assert _document(problem) == (
        409,
        {
            "type": "urn:incumbent:problem:run_active",
            "title": "Conflict",
            "status": 409,
            "detail": "A run is active.",
            "instance": "/fails",
            "code": "run_active",
            "field": "run",
            "remedy": "Wait for it.",
            "run": 7,
        },
    )


def test_members_that_say_nothing_are_left_out() -> None:
    assert set(Problem(404, "gone", "It is gone.").document()) == {
        "type",
        "title",
        "status",
        "detail",
        "code",
    }


def test_extra_members_never_hide_the_standard_ones() -> None:
    assert Problem(404, "gone", "x", type="evil", instance="evil").document("/here")["instance"] == "/here"


def test_headers_of_a_problem_are_sent() -> None:
    answer = _client(Problem(503, "busy", "Busy.", headers={"Retry-After": "3"})).get("/fails")
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("there is no project named 'x'"), 404, "not_found"),
        (Conflict("taken", code="project_exists"), 409, "project_exists"),
        (DuplicateRows(("a", "b")), 409, "duplicate_rows"),
        (StaleEpoch("old"), 409, "champion_changed"),
        (StaleFence("old"), 409, "lease_lost"),
        (Unavailable("locked"), 503, "database_unavailable"),
        (Tampered("/secret/path"), 500, "store_damaged"),
        (Damaged("/secret/path"), 500, "store_damaged"),
        (SchemaError("no", code="missing_column", column="a", remedy="send it"), 422, "missing_column"),
        (SplitError("too few"), 422, "too_few_labels"),
        (RegistryError("inside"), 500, "unexpected"),
        (AutoMLError("inside"), 500, "unexpected"),
        (ValueError("inside"), 500, "unexpected"),
        (HTTPException(418), 418, "i'm_a_teapot"),
    ],
)
def test_every_known_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    got, document = _document(error)
    assert (got, document["code"]) == (status, code)
    assert document["detail"]


def test_a_schema_error_names_its_column_and_remedy() -> None:
    _, document = _document(SchemaError("no 'a'", code="missing_column", column="a", remedy="send it"))
    assert (document["field"], document["remedy"]) == ("a", "send it")


def test_an_unexpected_error_shows_nothing_of_the_inside_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = _client(ValueError("secret /home/path")).get("/fails")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["incident"] in caplog.text
    assert "secret" in caplog.text


def test_a_body_that_is_not_json_is_a_400() -> None:
    answer = _client().post("/takes", content=b"{oops", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")


def test_a_wrong_body_names_the_field_by_its_path() -> None:
    answer = _client().post("/takes", json={"labels": [{"id": "a"}, {}]})
    assert answer.status_code == 422
    assert answer.json()["field"] == "labels[1].id"
    assert answer.json()["errors"][0]["code"] == "missing"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/takes", 405)])
def test_unknown_paths_and_methods_are_problems_too(method: str, path: str, status: int) -> None:
    answer = _client().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["remedy"]


def test_a_problem_stands_for_itself() -> None:
    problem = Problem(400, "x", "y")
    assert problem_of(problem) is problem
