from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from small_house import NOW, make_project, open_registry

from service.app import create_app
from service.settings import Settings


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("keyed")
    registry = open_registry(folder)
    make_project(registry)
    secrets = {
        scope: registry.keys.create({scope}, label=scope, at=NOW)[1] for scope in ("predict", "data", "admin")
    }
    registry.close()
    settings = Settings(home=folder / "home", scheduler=False, require_keys=True)
    with TestClient(create_app(settings)) as client:
        yield client, secrets


CALLS = [
    ("predict", "POST", "/v1/projects/fruit/predict"),
    ("predict", "GET", "/v1/projects/fruit/champion"),
    ("data", "GET", "/v1/projects"),
    ("data", "GET", "/v1/projects/fruit"),
    ("data", "POST", "/v1/projects/fruit/data"),
    ("data", "GET", "/v1/projects/fruit/data"),
    ("data", "GET", "/v1/projects/fruit/schema"),
    ("data", "GET", "/v1/projects/fruit/quarantine"),
    ("data", "POST", "/v1/projects/fruit/feedback"),
    ("data", "GET", "/v1/projects/fruit/runs"),
    ("data", "GET", "/v1/projects/fruit/models"),
    ("data", "GET", "/v1/projects/fruit/decisions"),
    ("data", "GET", "/v1/projects/fruit/performance"),
    ("admin", "POST", "/v1/projects"),
    ("admin", "PATCH", "/v1/projects/fruit"),
    ("admin", "DELETE", "/v1/projects/nobody"),
    ("admin", "POST", "/v1/projects/fruit/runs"),
    ("admin", "POST", "/v1/projects/fruit/rollback"),
    ("admin", "POST", "/v1/projects/fruit/models/9/promote"),
]


@pytest.mark.parametrize(("scope", "method", "path"), CALLS)
def test_each_call_wants_its_scope_and_nothing_less(
    house: tuple[TestClient, dict[str, str]], scope: str, method: str, path: str
) -> None:
    http, secrets = house
    for given, secret in secrets.items():
        answer = http.request(method, path, headers={"Authorization": f"Bearer {secret}"})
        allowed = given in (scope, "admin")
        assert (answer.status_code in (401, 403)) is not allowed, (given, answer.text)
    without = http.request(method, path)
    assert (without.status_code, without.json()["code"]) == (401, "key_missing")
    wrong = http.request(method, path, headers={"X-API-Key": "inc_nobody_knows"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "key_invalid")


def test_every_endpoint_under_projects_asks_for_a_key(house: tuple[TestClient, dict[str, str]]) -> None:
    http, _ = house
    paths = http.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        if not path.startswith("/v1/"):
            continue
        for method in methods:
            concrete = path.replace("{project}", "fruit")
            for part in ("{run}", "{version}", "{batch}"):
                concrete = concrete.replace(part, "1")
            assert http.request(method, concrete).status_code == 401, (method, path)


def test_health_needs_no_key(house: tuple[TestClient, dict[str, str]]) -> None:
    http, _ = house
    assert http.get("/healthz").status_code == 200
