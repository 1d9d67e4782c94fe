"""Who may see and do what in the dashboard, and that nobody else's form is taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_house import Site, site
from small_house import NOW

WHY = {"reason": "a colleague asked"}


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, require_keys=True) as made:
        yield made


def log_in(house: Site, *scopes: str) -> str:
    """Logs the browser in with a new key of these scopes; its prefix."""
    key, secret = house.registry.keys.create(scopes, label="test", at=NOW)
    page = house.get("/login").text
    token = page.split('name="csrf" value="')[1].split('"')[0]
    answer = house.post("/login", token=token, key=secret, next="/projects/fruit")
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects/fruit")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert secret not in cookie
    return key.prefix


@pytest.mark.parametrize(
    "path",
    [
        "/projects",
        "/projects/fruit/runs",
        "/projects/fruit/runs/1/cancel",
        "/projects/fruit/rollback",
        "/projects/fruit/models/2/promote",
    ],
)
def test_no_form_is_taken_without_this_dashboards_token(open_house: Site, path: str) -> None:
    form = {**WHY, "name": "x", "target": "y", "task": "regression"}
    for answer in (
        open_house.post(path, **form),
        open_house.post(path, token="0" * 64, **form),
        open_house.post(path, token=open_house.token(), headers={"sec-fetch-site": "cross-site"}, **form),
        open_house.post(path, token=open_house.token(), headers={"sec-fetch-site": "same-site"}, **form),
    ):
        assert answer.status_code == 403, answer.text
        assert "was not sent from this dashboard" in answer.text
    assert open_house.registry.projects.get("fruit").champion == 1
    assert len(open_house.registry.projects.list()) == 1


def test_a_promotion_and_a_roll_back_by_form_are_in_the_ledger_with_their_reason(open_house: Site) -> None:
    token = open_house.token()
    answer = open_house.post("/projects/fruit/models/2/promote", token=token, **WHY)
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects/fruit/models/2")
    assert "v2 is champion now" in open_house.get("/projects/fruit/models/2").text
    assert "v2 is champion now" not in open_house.get("/projects/fruit/models/2").text, "it is said once"
    open_house.post("/projects/fruit/rollback", token=token, **WHY)
    back, made = open_house.registry.ledger.promotions(1, limit=2)
    assert (back.kind.value, back.to_version, back.reason) == ("rollback", 1, WHY["reason"])
    assert (made.kind.value, made.to_version) == ("manual", 2)


def test_a_run_is_started_watched_and_cancelled_by_form(open_house: Site) -> None:
    token = open_house.token()
    started = open_house.post("/projects/fruit/runs", token=token, **WHY)
    assert (started.status_code, started.headers["location"]) == (303, "/projects/fruit/runs/2")
    page = open_house.get("/projects/fruit/runs/2").text
    assert "waits for its turn" in page
    again = open_house.post("/projects/fruit/runs", token=token, **WHY)
    assert again.status_code == 409
    assert "Wait for it, or cancel it" in again.text
    open_house.post("/projects/fruit/runs/2/cancel", token=token)
    assert "cancelled" in open_house.get("/projects/fruit/runs/2").text


def test_without_a_session_pages_lead_to_the_log_in_and_nothing_is_done(locked: Site) -> None:
    led = locked.get("/projects/fruit/runs")
    assert (led.status_code, led.headers["location"]) == (303, "/login?next=/projects/fruit/runs")
    assert locked.post("/projects/fruit/rollback", **WHY).status_code == 401
    assert locked.http.get("/changes").status_code == 401


def test_a_key_logs_in_until_it_is_revoked_or_its_holder_leaves(locked: Site) -> None:
    prefix = log_in(locked, "admin")
    assert locked.get("/projects/fruit").status_code == 200
    locked.registry.keys.revoke(prefix, NOW)
    assert locked.get("/projects/fruit").status_code == 303
    log_in(locked, "admin")
    locked.post("/logout", token=locked.token())
    assert locked.get("/projects/fruit").status_code == 303


def test_a_wrong_key_is_refused_and_a_forged_cookie_is_none(locked: Site) -> None:
    page = locked.get("/login").text
    token = page.split('name="csrf" value="')[1].split('"')[0]
    wrong = locked.post("/login", token=token, key="inc_00000000_nonsense")
    assert wrong.status_code == 401
    assert "unknown or revoked" in wrong.text
    assert locked.post("/login", key="inc_00000000_nonsense").status_code == 403
    locked.http.cookies.set("incumbent_session", "eyJrZXkiOiJ4In0.aaaa.bbbb")
    assert locked.get("/projects").status_code == 303


def test_a_key_that_may_only_look_changes_nothing(locked: Site) -> None:
    log_in(locked, "data")
    page = locked.get("/projects/fruit/models/2").text
    assert "Promote v2" not in page
    answer = locked.post("/projects/fruit/models/2/promote", token=locked.token(), **WHY)
    assert answer.status_code == 403
    assert "scope &#39;admin&#39;" in answer.text
    assert locked.registry.projects.get("fruit").champion == 1


def test_a_key_for_predictions_alone_sees_nothing(locked: Site) -> None:
    log_in(locked, "predict")
    assert locked.get("/projects/fruit").status_code == 403


@pytest.mark.parametrize(
    "after", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_logging_in_leads_nowhere_else(locked: Site, after: str) -> None:
    _, secret = locked.registry.keys.create(["admin"], label="test", at=NOW)
    token = locked.get("/login").text.split('name="csrf" value="')[1].split('"')[0]
    answer = locked.post("/login", token=token, key=secret, next=after)
    assert answer.headers["location"] == "/projects"


def test_the_token_of_one_session_is_not_taken_from_another(locked: Site) -> None:
    log_in(locked, "admin")
    foreign = locked.token()
    locked.http.cookies.clear()
    log_in(locked, "admin")
    assert locked.post("/projects/fruit/rollback", token=foreign, **WHY).status_code == 403


def test_the_session_opens_no_door_of_the_api(locked: Site) -> None:
    log_in(locked, "admin")
    assert locked.http.get("/v1/projects").status_code == 401
