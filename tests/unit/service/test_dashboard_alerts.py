"""The page of alert channels: made, tried, paused and removed by form; nothing secret is shown twice, no name is code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_receiver import Receiver, receiver
from dashboard_house import HOSTILE, SCRIPT, Site, site
from small_house import NOW

from registry.alert_deliveries import Told
from service.api.context import Context

PAGES = ("/alerts", "/projects/fruit/settings/alerts")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, alert_hosts="127.0.0.0/8") as made:
        yield made


@pytest.fixture
def team() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def post(house: Site, path: str, **form: str) -> Any:
    return house.post(path, token=house.token(), **form)


@pytest.mark.parametrize("page", PAGES)
def test_a_channel_is_made_tried_and_removed_by_form(house: Site, team: Receiver, page: str) -> None:
    made = post(
        house, page, name="ops", kind="webhook", address=f"{team.url}?token=t0ken", events="run.failed"
    )
    assert made.status_code == 200, made.text
    assert re.search(r"<code>whsec_[^<]+</code>", made.text)
    shown = house.get(page).text
    assert "whsec_" not in shown
    assert "t0ken" not in shown
    assert f"{team.url}?…" in shown
    tried = post(house, f"{page}/ops/test")
    assert (tried.status_code, tried.headers["location"]) == (303, page)
    context: Context = house.http.app.state.context  # type: ignore[attr-defined]
    assert context.alerts is not None
    assert 'hx-trigger="every 3s"' in house.get(page).text, (
        "the page looks again while something is on its way"
    )
    context.alerts.look()
    context.alerts.settle()
    assert len(team.got) == 1
    after = house.get(page).text
    assert "delivered" in after
    assert "answered 204" in after
    assert "every 3s" not in after
    post(house, f"{page}/ops/pause")
    assert "paused" in house.get(page).text
    post(house, f"{page}/ops/resume")
    assert re.search(r"<code>whsec_[^<]+</code>", post(house, f"{page}/ops/secret").text)
    post(house, f"{page}/ops/remove")
    assert "Nobody is told anything" in house.get(page).text


def test_the_page_of_all_can_make_a_channel_of_one_project(house: Site, team: Receiver) -> None:
    made = post(
        house, "/alerts", name="ops", kind="slack", address=team.url, project="fruit", events="run.failed"
    )
    assert made.status_code == 200
    assert "ops" in house.get(PAGES[1]).text
    assert team.url not in house.get(PAGES[1]).text, "the path of a Slack address is its token"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"address": "http://10.0.0.1/"}, "INCUMBENT_ALERT_HOSTS"),
        ({"address": "nonsense"}, "no address of http or https"),
        ({"name": "two words"}, "letters, digits"),
        ({"kind": "email", "address": "anna@example.org"}, "INCUMBENT_SMTP_HOST"),
        ({"kind": "pigeon"}, "Choose webhook, slack or email"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(house: Site, change: dict[str, str], said: str) -> None:
    form = {
        "name": "ops",
        "kind": "webhook",
        "address": "http://127.0.0.1:9/",
        "events": "run.failed",
        **change,
    }
    answer = post(house, "/alerts", **form)
    assert answer.status_code in (409, 422)
    assert said in answer.text


def test_a_form_of_another_site_does_nothing(house: Site, team: Receiver) -> None:
    form = {"name": "ops", "kind": "webhook", "address": team.url, "events": "run.failed"}
    assert house.post("/alerts", **form).status_code == 403
    assert house.post("/alerts", token="0" * 64, **form).status_code == 403
    assert "Nobody is told anything" in house.get("/alerts").text


def test_what_a_receiver_says_and_what_it_is_told_of_are_text(house: Site, team: Receiver) -> None:
    post(house, "/alerts", name="ops", kind="webhook", address=team.url, events="run.failed")
    channel = house.registry.alert_channels.get("ops")
    told = Told(event_id="x", kind="run.failed", event={"reason": HOSTILE})
    house.registry.alert_deliveries.put(channel.id, told, at=NOW)
    held = house.registry.alert_deliveries.claim("test", lease_seconds=9, at=NOW)
    assert held is not None
    house.registry.alert_deliveries.failed(held, note=f"answered 500: {HOSTILE}", again_at=None, at=NOW)
    page = house.get("/alerts").text
    assert SCRIPT not in page
    assert "<img" not in page
    assert "&lt;/script&gt;" in page


@pytest.mark.parametrize("page", PAGES)
def test_the_page_forbids_what_does_not_come_from_here_and_names_its_twin(house: Site, page: str) -> None:
    answer = house.get(page)
    assert "unsafe" not in answer.headers["content-security-policy"]
    found = re.search(r'This page as JSON: <a href="([^"]+)"', answer.text)
    assert found is not None
    assert house.http.get(found[1]).json() == {"channels": []}
    assert 'href="/projects/fruit/settings/alerts"' in house.get("/projects/fruit/settings").text
