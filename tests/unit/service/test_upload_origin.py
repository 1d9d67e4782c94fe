"""An upload may name who gave its labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from intake_home import IntakeHome, csv_rows
from labelling_home import LabellingHome

ROWS = [{"a": at / 2, "b": "red", "y": "yes" if at % 2 else "no"} for at in range(40)]
DATA = "/v1/projects/p/data"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[IntakeHome]:
    made = IntakeHome(tmp_path)
    made.project()
    yield made
    made.registry.close()


def send(home: IntakeHome, origin: str, *, first: bool = True, key: str | None = None) -> Any:
    """The file in a form, with the name before or after it."""
    file = ("file", ("rows.csv", csv_rows(40)))
    part = ("origin", (None, origin))
    headers = {"Idempotency-Key": key} if key else {}
    return home.http.post(DATA, files=[part, file] if first else [file, part], headers=headers)


@pytest.mark.parametrize("first", [True, False])
def test_a_form_names_the_origin_of_its_labels_before_or_after_the_file(
    home: IntakeHome, first: bool
) -> None:
    answer = send(home, "crm", first=first)
    assert answer.status_code == 201, answer.text
    assert answer.json()["origin"] == "given:crm"
    stored = home.stored()
    assert set(stored["_label_origin"].to_pylist()) == {"given:crm"}
    assert set(stored["_label_source"].to_pylist()) == {"given"}
    assert home.http.get(f"{DATA}/1").json()["origin"] == "given:crm"


@pytest.mark.parametrize("name", ["crm", "given:crm"])
def test_a_json_body_names_it_beside_its_rows(home: IntakeHome, name: str) -> None:
    assert home.http.post(DATA, json={"rows": ROWS, "origin": name}).status_code == 201
    assert set(home.stored()["_label_origin"].to_pylist()) == {"given:crm"}


def test_without_a_name_there_is_none(home: IntakeHome) -> None:
    assert "origin" not in home.http.post(DATA, json={"rows": ROWS}).json()
    assert set(home.stored()["_label_origin"].to_pylist()) == {None}


@pytest.mark.parametrize("name", ["", " crm", "a\nb", "x" * 101, "given:"])
def test_what_is_no_name_is_refused_and_nothing_is_stored(home: IntakeHome, name: str) -> None:
    for answer in (send(home, name), home.http.post(DATA, json={"rows": ROWS, "origin": name})):
        assert (answer.status_code, answer.json()["field"]) == (422, "origin"), answer.text
        home.assert_untouched()


@pytest.mark.parametrize("name", [7, ["crm"], {"a": "crm"}])
def test_what_is_no_text_is_refused(home: IntakeHome, name: Any) -> None:
    answer = home.http.post(DATA, json={"rows": ROWS, "origin": name})
    assert (answer.status_code, answer.json()["field"]) == (422, "origin"), answer.text


def test_a_very_long_name_does_not_fill_the_memory_and_is_refused(home: IntakeHome) -> None:
    answer = send(home, "x" * 60_000)
    assert (answer.status_code, answer.json()["field"]) == (422, "origin"), answer.text


def test_under_one_key_another_origin_is_another_upload(home: IntakeHome) -> None:
    assert send(home, "crm", key="k").status_code == 201
    assert send(home, "crm", key="k").headers["Idempotency-Replayed"] == "true"
    assert send(home, "erp", key="k").json()["code"] == "idempotency_mismatch"


def test_the_openapi_document_knows_it(home: IntakeHome) -> None:
    body = home.app.openapi()["paths"]["/v1/projects/{project}/data"]["post"]["requestBody"]["content"]
    for media_type in ("multipart/form-data", "application/json"):
        assert body[media_type]["schema"]["properties"]["origin"]["type"] == "string"


def test_it_is_a_source_of_its_own_that_can_be_revoked(tmp_path: Path) -> None:
    home = LabellingHome(tmp_path)
    upload = {"rows": [{"size": 0.5, "colour": "red", "ripe": "yes"}] * 5, "origin": "crm"}
    from service.api import data

    home.http.app.include_router(data.router, prefix="/v1/projects")  # type: ignore[attr-defined]
    assert home.http.post("/v1/projects/fruit/data", json=upload).status_code == 201
    listed = home.http.get("/v1/projects/fruit/label-sources?audit=false").json()["sources"]
    [crm] = [one for one in listed if one["name"] == "given:crm"]
    assert (crm["source"], crm["labels"], crm["holding"]) == ("given", 5, 5)
    told = home.http.post(
        "/v1/projects/fruit/labels/revoke", json={"origin": "given:crm", "reason": "a wrong export"}
    )
    assert told.json()["revoked"] == 5
    home.registry.close()
