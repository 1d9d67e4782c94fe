"""The page of alert channels in a browser: made and tried without a reload, read on a phone, and no name is code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alert_receiver import receiver
from dashboard_house import HOSTILE
from live_site import LiveSite, live_site
from playwright.sync_api import Browser, expect
from watched import AXE, Watched

from registry.alert_deliveries import Told
from service.alerts.room import AlertRoom
from service.alerts.storage_watch import StorageWatch
from service.metrics import Metrics
from service.settings import Settings

pytestmark = pytest.mark.slow

PAGES = ("/alerts", "/projects/fruit/settings/alerts")


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INCUMBENT_ALERT_HOSTS", "127.0.0.1")
        with live_site(tmp_path_factory.mktemp("alerts")) as made:
            yield made


@pytest.fixture(scope="module")
def room(site: LiveSite, tmp_path_factory: pytest.TempPathFactory) -> AlertRoom:
    """Who tells the site's channels, when the test says so."""
    settings = Settings(home=site.registry.home, alert_hosts=("127.0.0.1",))
    storage = StorageWatch(
        site.registry,
        tmp_path_factory.mktemp("disk"),
        node="here",
        clock=_now,
        least_free=0,
        log_bytes=lambda: 0,
        most_log_bytes=1,
    )
    return AlertRoom(site.registry, settings, clock=_now, metrics=Metrics(), storage=storage)


def make(watched: Watched, page: str, name: str, address: str, kind: str = "webhook") -> Any:
    shown = watched.open(page)
    shown.get_by_label("Name").fill(name)
    shown.get_by_label("By").select_option(kind)
    shown.get_by_label("Address, or recipients").fill(address)
    shown.get_by_role("button", name="Make it").click()
    return shown


def test_a_channel_is_made_and_tried_and_the_page_shows_what_came_of_it_by_itself(
    browser: Browser, site: LiveSite, room: AlertRoom
) -> None:
    watched = Watched(browser, site.url)
    with receiver() as team:
        page = make(watched, "/projects/plain/settings/alerts", "plain-ops", team.url)
        expect(page.locator("pre code")).to_contain_text("whsec_")
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("A test is on its way to plain-ops")).to_be_visible()
        expect(page.get_by_text("not tried yet")).to_be_visible()
        page.evaluate("window.stayed = true")
        room.look()
        room.settle()
        expect(page.get_by_text("answered 204")).to_be_visible()
        assert page.evaluate("window.stayed") is True
        assert len(team.got) == 1
    page.locator("summary", has_text="Remove").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("Nobody is told anything")).to_be_visible()
    assert watched.faults == []
    watched.close()


def test_the_settings_lead_to_the_page(browser: Browser, site: LiveSite) -> None:
    watched = Watched(browser, site.url)
    page = watched.open("/projects/plain/settings")
    page.get_by_role("link", name="alerts", exact=True).click()
    expect(page.get_by_role("heading", name="Alerts", exact=True)).to_be_visible()
    page.get_by_role("link", name="All channels").click()
    expect(page).to_have_url(f"{site.url}/alerts")
    watched.close()


@pytest.fixture(scope="module")
def told(site: LiveSite, browser: Browser) -> None:
    """Two channels, of which one was told hostile things and one is paused."""
    watched = Watched(browser, site.url)
    make(watched, PAGES[1], "hostile-" + "x" * 80, "http://127.0.0.1:9/" + "y" * 300).wait_for_load_state()
    make(watched, PAGES[1], "chat", "http://127.0.0.1:9/token", "slack").wait_for_load_state()
    watched.close()
    deliveries, long = site.registry.alert_deliveries, site.registry.alert_channels.list()[-1]
    for number in range(3):
        deliveries.put(long.id, Told(event_id=str(number), kind="run.failed", event={}), at=_now())
        held = deliveries.claim("test", lease_seconds=9, at=_now())
        assert held is not None
        again = _now() + timedelta(hours=1) if number else None
        deliveries.failed(held, note=f"answered 500: {HOSTILE}", again_at=again, at=_now())


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_everyone_everywhere(browser: Browser, site: LiveSite, scheme: Any) -> None:
    for width in (390, 1440):
        size = {"width": width, "height": 900}
        watched = Watched(browser, site.url, color_scheme=scheme, bypass_csp=True, viewport=size)
        for path in PAGES:
            page = watched.open(path)
            page.locator("summary", has_text="Kinds of event").click()
            assert page.locator("img").count() == 0
            spare = page.evaluate(
                "document.documentElement.clientWidth - document.documentElement.scrollWidth"
            )
            assert spare >= 0, (path, width)
            page.evaluate(AXE)
            found = page.evaluate("axe.run().then(result => result.violations)")
            bad = [(one["id"], one["nodes"][0]["html"][:160]) for one in found if one["impact"] != "minor"]
            assert bad == [], (path, width)
            assert watched.faults == []
        watched.close()
