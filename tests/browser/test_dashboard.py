"""The dashboard as a browser sees it: hostile names, small screens, both themes, the keyboard, and pages that live."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from live_site import LiveSite, live_site
from playwright.sync_api import Browser, expect
from small_house import NOW
from watched import Watched

pytestmark = pytest.mark.slow

PAGES = (
    "/projects",
    "/projects/fruit",
    "/projects/fruit/runs",
    "/projects/fruit/runs/1",
    "/projects/fruit/models",
    "/projects/fruit/models/2",
    "/projects/fruit/models/2/card",
    "/projects/fruit/maturity",
    "/projects/fruit/models/compare?v=1&v=2",
    "/projects/fruit/data",
    "/projects/fruit/data/1",
    "/projects/fruit/quarantine",
    "/projects/fruit/schema",
    "/projects/fruit/predict",
    "/projects/plain/labeling",
    "/projects/fruit/monitoring",
    "/projects/fruit/settings",
    "/keys",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    with live_site(tmp_path_factory.mktemp("live")) as made:
        yield made


@pytest.fixture
def watched(browser: Browser, site: LiveSite) -> Iterator[Watched]:
    made = Watched(browser, site.url, viewport={"width": 1440, "height": 900})
    yield made
    made.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_complains_runs_a_name_or_asks_another_server(
    browser: Browser, site: LiveSite, scheme: Any
) -> None:
    watched = Watched(browser, site.url, color_scheme=scheme)
    for path in PAGES:
        page = watched.open(path)
        assert page.locator("img").count() == 0
        assert watched.faults == [], path
    watched.close()


def test_no_page_is_wider_than_a_phone(browser: Browser, site: LiveSite) -> None:
    watched = Watched(browser, site.url, viewport={"width": 390, "height": 844})
    for path in PAGES:
        page = watched.open(path)
        spare = page.evaluate("document.documentElement.clientWidth - document.documentElement.scrollWidth")
        assert spare >= 0, path
    watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, site: LiveSite, scheme: Any) -> None:
    watched = Watched(browser, site.url, color_scheme=scheme, bypass_csp=True)
    for path in PAGES:
        watched.open(path)
        assert watched.serious() == [], path
    watched.close()


def test_charts_are_drawn_and_say_the_numbers_under_the_pointer(watched: Watched) -> None:
    page = watched.open("/projects/fruit")
    chart = page.locator("x-chart").first
    expect(chart.locator("canvas")).to_have_count(1)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chart.locator(".told")).to_contain_text("live 0.8")
    before = chart.locator("canvas").screenshot()
    page.keyboard.press("t")
    page.wait_for_timeout(200)
    assert chart.locator("canvas").screenshot() != before, "the theme is the chart's too"


def test_the_chosen_theme_stays(watched: Watched) -> None:
    page = watched.open("/projects")
    page.get_by_role("button", name="Light or dark").click()
    chosen = page.locator("html").get_attribute("data-theme")
    assert chosen == "dark"
    page = watched.open("/projects/fruit")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_what_happens_comes_to_the_page_and_what_was_typed_stays(watched: Watched, site: LiveSite) -> None:
    page = watched.open("/projects/fruit")
    page.locator("summary", has_text="Start a run").click()
    page.get_by_label("Why?").fill("half a sentence")
    page.evaluate("document.body.dataset.same = 'yes'")
    site.registry.ledger.decide(
        1, outcome="refused", trigger="cooldown", reason="news of the day", evidence={}, at=NOW
    )
    expect(page.locator("body")).to_contain_text("news of the day", timeout=8_000)
    assert page.get_by_label("Why?").input_value() == "half a sentence"
    assert page.locator("body").get_attribute("data-same") == "yes", "the page was not loaded anew"
    assert watched.faults == []


def test_a_model_is_promoted_and_rolled_back_with_the_keyboard_alone(
    watched: Watched, site: LiveSite
) -> None:
    page = watched.open("/projects/fruit/models/2")
    page.locator("summary", has_text="Promote v2").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("because it is shorter")
    page.keyboard.press("Enter")
    expect(page.locator("main > .said")).to_contain_text("v2 is champion now")
    assert site.registry.projects.get("fruit").champion == 2
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url("**/models")
    page.locator("summary", has_text="Roll back to v1").click()
    page.locator("details[open] input[name=reason]").fill("no, it was not")
    page.locator("details[open] button").click()
    page.wait_for_url("**/projects/fruit")
    assert site.registry.projects.get("fruit").champion == 1


def test_a_file_is_uploaded_and_a_row_labelled_by_one_key(watched: Watched, site: LiveSite) -> None:
    page = watched.open("/projects/plain/data")
    rows = b"size,colour\n" + b"".join(b"%d.5,red\n" % number for number in range(8))
    page.set_input_files("input[type=file]", {"name": "rows.csv", "mimeType": "text/csv", "buffer": rows})
    page.wait_for_url(re.compile(r"/data/\d+$"))
    expect(page.locator("h1")).to_contain_text("Batch")
    page = watched.open("/projects/plain/labeling")
    row = page.locator("input[name=row]")
    expect(row).to_be_attached(timeout=20_000)
    first = row.get_attribute("value")
    assert first is not None
    guess = page.locator("[data-guess]")
    assert guess.get_attribute("open") is None
    page.keyboard.press("u")
    expect(guess.locator("p")).to_be_visible()
    page.keyboard.press("1")
    expect(row).not_to_have_attribute("value", first)
    assert guess.get_attribute("open") is None, "the next guess waits to be asked for"
    project = site.registry.projects.get("plain")
    assert site.registry.datasets.truths(project.id, [first]) == {first: "no"}


def test_a_file_that_is_refused_says_why_in_place(watched: Watched) -> None:
    page = watched.open("/projects/plain/data")
    page.set_input_files(
        "input[type=file]", {"name": "rows.csv", "mimeType": "text/csv", "buffer": b"<b>x</b>\n1\n"}
    )
    expect(page.locator("[data-refusal] .said")).to_be_visible()
    assert page.url.endswith("/data")
