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
    ("data", "GET", "/v1/overview"),
    ("data", "GET", "/v1/projects/fruit/health"),
    ("admin", "GET", "/v1/keys"),
    ("admin", "POST", "/v1/keys"),
    ("admin", "DELETE", "/v1/keys/00000000"),
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


def test_a_key_is_made_over_http_shown_once_and_ended(house: tuple[TestClient, dict[str, str]]) -> None:
    http, secrets = house
    admin = {"Authorization": f"Bearer {secrets['admin']}"}
    made = http.post("/v1/keys", headers=admin, json={"scopes": ["predict"], "label": "the shop"})
    assert made.status_code == 201
    secret, key = made.json()["secret"], made.json()["key"]
    assert secret.startswith(f"inc_{key}_")
    theirs = {"Authorization": f"Bearer {secret}"}
    assert http.get("/v1/projects/fruit/champion", headers=theirs).status_code == 200
    assert http.get("/v1/keys", headers=theirs).json()["code"] == "scope_missing"
    listed = http.get("/v1/keys", headers=admin)
    assert secret not in listed.text
    assert listed.json()["keys"][0]["label"] == "the shop", "the newest first"
    assert http.get(made.headers["location"], headers=admin).json()["revoked_at"] is None
    ended = http.delete(f"/v1/keys/{key}", headers=admin).json()
    assert ended["revoked_at"] is not None
    assert http.delete(f"/v1/keys/{key}", headers=admin).json() == ended, "a second time changes nothing"
    assert http.get("/v1/projects/fruit/champion", headers=theirs).json()["code"] == "key_invalid"


def test_a_key_that_is_asked_for_wrongly_is_refused_with_the_field(
    house: tuple[TestClient, dict[str, str]],
) -> None:
    http, secrets = house
    admin = {"Authorization": f"Bearer {secrets['admin']}"}
    for body in ({}, {"scopes": []}, {"scopes": ["root"]}, {"scopes": ["data"], "label": "x" * 101}):
        refused = http.post("/v1/keys", headers=admin, json=body)
        assert refused.status_code == 422
        assert "scopes" in refused.text or "label" in refused.text
    assert http.delete("/v1/keys/nothing", headers=admin).json()["code"] == "key_not_found"
