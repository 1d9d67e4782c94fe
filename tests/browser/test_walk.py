"""A walk through the whole dashboard, on a real server with real children: from no project to a changed policy."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect
from watched import Watched

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))  # the server and the problems of the flow tests
from live_server import Server
from problems_at_hand import csv, tumours

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>alert('hostile')</script>"
VALUES = (
    HOSTILE,
    "<img src=x onerror=alert(1)>",
    "\u202e\u05e9\u05dc\u05d5\u05dd evil",
    "x" * 10_000,
    "plain",
)
ORDERS: dict[str, Any] = {
    "triggers": {"schedule": None, "new_labels": {"count": 150}},
    "cooldown": "PT0S",
    "min_fresh_labels": 50,
    "search": {"budget_seconds": 10},
    "gates": {"max_latency_ms": 5000},
    "refit": False,
    "labelling": {"check_rows": 0},  # a doubted label that is confirmed is no label more
}
COUNTED = """
    const Made = window.EventSource;
    window.sources = 0;
    window.EventSource = class extends Made { constructor(...given) { super(...given); window.sources += 1; } };
"""
PATIENCE = 150_000
"""Milliseconds that a search may take on a machine that is busy with others; nothing waits without end."""
DROP = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name, { type: "text/csv" }));
    const target = document.querySelector("[data-upload]");
    for (const kind of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("walk") / "home")
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture(scope="module")
def walk(browser: Browser, server: Server) -> Iterator[Watched]:
    made = Watched(browser, server.url, viewport={"width": 1440, "height": 900})
    made.context.add_init_script(
        "document.addEventListener('securitypolicyviolation', e => console.error('forbidden: ' + e.blockedURI))"
    )
    made.context.add_init_script(COUNTED)
    yield made
    made.close()


def table() -> pd.DataFrame:
    """Tumours, with a column whose name and values are attacks."""
    found = tumours()
    found[f"{HOSTILE} kind"] = [VALUES[place % len(VALUES)] for place in range(len(found))]
    return found


def drop(page: Page, name: str, frame: pd.DataFrame) -> None:
    page.evaluate(DROP, [name, csv(frame).decode()])
    page.wait_for_url(re.compile(r"/data/\d+$"), timeout=60_000)


def settled(server: Server, project: str) -> list[dict[str, Any]]:
    """The project's runs, once there is a champion and none of them is under way."""

    def done() -> Any:
        runs = server.get(f"/v1/projects/{project}/runs")["runs"]
        idle = all(run["status"] not in ("queued", "running") for run in runs)
        return runs if runs and idle and champion(server, project) else None

    found: list[dict[str, Any]] = server.wait_for(done, within=PATIENCE / 1000)
    return found


def champion(server: Server, project: str) -> int | None:
    found: int | None = server.get(f"/v1/projects/{project}")["champion"]
    return found


def test_from_no_project_to_a_changed_policy(walk: Watched, server: Server) -> None:
    page = walk.open("/projects")
    page.get_by_label("Name").fill("tumours")
    page.get_by_label("Column to predict").fill("diagnosis")
    page.get_by_role("button", name="Make the project").click()
    page.wait_for_url("**/projects/tumours/data")
    server.http.patch("/v1/projects/tumours", json={"policy": ORDERS}).raise_for_status()

    labelled = table().iloc[:420].astype(object)
    labelled.iloc[7, labelled.columns.get_loc("mean radius")] = "wide"
    drop(page, "tumours.csv", labelled)
    expect(page.locator("h1")).to_contain_text("Batch 1")
    _watches_a_run(page, server)

    walk.open("/projects/tumours/data")
    drop(page, "new.csv", table().iloc[420:].drop(columns="diagnosis"))
    _begins_to_forecast(server)
    _mends_the_refused_row(page, server)
    _labels_ten_rows(page, server)
    _asks_for_a_prediction(page)
    settled(server, "tumours")
    _promotes_and_rolls_back(page, server)
    _changes_the_policy_after_a_dry_run(page, server)
    _forecasts(page, server)
    assert walk.faults == []


def _watches_a_run(page: Page, server: Server) -> None:
    """Of the runs that the upload starts the full search is watched; should it be over before the browser is there, one
    that a person starts."""
    page.goto("/projects/tumours/runs")
    page.locator("main a[href='/projects/tumours/runs/1']").first.click(timeout=60_000)
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible(timeout=PATIENCE)
    server.wait_for(lambda: len(server.get("/v1/projects/tumours/runs")["runs"]) > 1, within=PATIENCE / 1000)
    page.goto("/projects/tumours/runs/2")
    if page.get_by_role("heading", name="Verdict").count():
        page.goto("/projects/tumours/runs")
        page.locator("summary", has_text="Start a run").click()
        page.locator("details[open] input[name=reason]").fill("to watch it")
        page.locator("details[open] button").click()
        page.wait_for_url(re.compile(r"/runs/\d+$"))
    page.evaluate("document.body.dataset.same = 'yes'")
    left = page.locator("time[data-left]")
    expect(left).to_have_text(re.compile(r"\d+ s left"), timeout=60_000)
    first = int((left.text_content() or "").split()[0])
    page.wait_for_function(
        "first => { const at = document.querySelector('time[data-left]');"
        " return !at || !/left/.test(at.textContent) || parseInt(at.textContent) < first; }",
        arg=first,
        timeout=60_000,
    )
    expect(page.locator("main")).to_contain_text(re.compile(r"[1-9]\d* trials?"), timeout=PATIENCE)
    expect(page.locator("x-chart canvas")).to_have_count(1)
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible(timeout=PATIENCE)
    assert page.locator("body").get_attribute("data-same") == "yes", (
        "all that came without loading the page anew"
    )
    assert page.evaluate("window.sources") == 1, (
        "a browser keeps six connections to a server, whatever they are for"
    )


def _mends_the_refused_row(page: Page, server: Server) -> None:
    page.goto("/projects/tumours/quarantine")
    expect(page.locator("main")).to_contain_text("'wide' is not a number")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download all").click()
    assert HOSTILE in Path(coming.value.path()).read_text(), "in a file to download it is the text it was"
    before = len(server.get("/v1/projects/tumours/data")["batches"])
    page.locator("form.mend input[name=value]").fill("14.5")
    page.locator("form.mend button").click()
    expect(page.locator("main > .said")).to_contain_text("is stored")
    assert len(server.get("/v1/projects/tumours/data")["batches"]) == before + 1


def _begins_to_forecast(server: Server) -> None:
    """A project of three series, whose model is searched while the walk goes on."""
    days = pd.date_range("2025-01-01", periods=120, freq="D").strftime("%Y-%m-%d")
    lines = [
        f"{day},{name},{10 + place % 7 + place / 20 + shift}"
        for name, shift in (("a", 0), ("b", 5), ("c", 9))
        for place, day in enumerate(days)
    ]
    asked = {
        "name": "sales",
        "task": "forecasting",
        "target": "sold",
        "time_column": "day",
        "series_column": "shop",
        "horizon": 7,
        "policy": {"search": {"budget_seconds": 6}},
    }
    server.post("/v1/projects", 201, json=asked)
    server.post(
        "/v1/projects/sales/data", 201, files={"file": ("sales.csv", "day,shop,sold\n" + "\n".join(lines))}
    )


def _forecasts(page: Page, server: Server) -> None:
    settled(server, "sales")
    page.goto("/projects/sales/forecasts")
    page.get_by_role("button", name="Forecast now").click()
    expect(page.locator("main > .said")).to_contain_text("3 forecasts made")
    expect(page.locator("#charts x-chart canvas")).to_have_count(3)
    # The values before a forecast come once the page stands.
    expect(page.locator("#charts x-chart").first).to_have_attribute(
        "data-chart", re.compile(r'"actual": \[[\d.]+')
    )


def _labels_ten_rows(page: Page, server: Server) -> None:
    before = server.get("/v1/projects/tumours/monitoring")["labelled"]
    page.goto("/projects/tumours")
    page.locator("body").press("g")
    page.locator("body").press("l")
    page.wait_for_url("**/labeling")
    row = page.locator("input[name=row]")
    expect(row).to_be_attached(timeout=60_000)
    for place in range(10):
        asked = row.get_attribute("value")
        assert asked is not None
        page.keyboard.press("1" if place % 3 else "2")
        expect(row).not_to_have_attribute("value", asked, timeout=60_000)
    server.wait_for(
        lambda: server.get("/v1/projects/tumours/monitoring")["labelled"] == before + 10, within=30
    )


def _asks_for_a_prediction(page: Page) -> None:
    page.goto("/projects/tumours/predict")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .fall li.sum")).to_be_visible(timeout=PATIENCE)


def _promotes_and_rolls_back(page: Page, server: Server) -> None:
    reigning = champion(server, "tumours")
    other = next(
        model["version"]
        for model in server.get("/v1/projects/tumours/models")["models"]
        if model["version"] != reigning
    )
    page.goto(f"/projects/tumours/models/{other}")
    page.locator("summary", has_text=f"Promote v{other}").click()
    page.locator("details[open] input[name=reason]").fill("to see it")
    page.locator("details[open] button").click()
    expect(page.locator("main > .said")).to_contain_text(f"v{other} is champion now")
    assert champion(server, "tumours") == other
    page.goto("/projects/tumours/models")
    page.locator("summary", has_text=f"Roll back to v{reigning}").click()
    page.locator("details[open] input[name=reason]").fill("seen")
    page.locator("details[open] button").click()
    expect(page.locator("main > .said")).to_contain_text(f"Rolled back to v{reigning}")
    assert champion(server, "tumours") == reigning


def _changes_the_policy_after_a_dry_run(page: Page, server: Server) -> None:
    page.goto("/projects/tumours/settings")
    count = page.locator("input[name='triggers.new_labels.count']")
    count.fill("90")
    page.get_by_role("button", name="Dry run").click()
    page.wait_for_url(re.compile(r"/replays/\d+$"), timeout=60_000)
    expect(page.locator("main")).to_contain_text("With this policy there would have been", timeout=PATIENCE)
    expect(page.locator("x-chart canvas")).to_have_count(1)
    assert server.get("/v1/projects/tumours")["policy"]["triggers"]["new_labels"]["count"] == 150
    page.goto("/projects/tumours/settings")
    count.fill("90")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("main > .said")).to_contain_text("Saved")
    assert server.get("/v1/projects/tumours")["policy"]["triggers"]["new_labels"]["count"] == 90


PAGES = (
    "/projects",
    "/keys",
    "/projects/sales",
    "/projects/sales/forecasts",
    "/projects/sales/monitoring",
    *(
        f"/projects/tumours{part}"
        for part in (
            "",
            "/runs",
            "/runs/1",
            "/runs/2",
            "/models",
            "/models/1",
            "/models/compare?v=1&v=2",
            "/data",
            "/data/1",
            "/quarantine",
            "/schema",
            "/predict",
            "/labeling",
            "/monitoring",
            "/settings",
            "/replays/1",
        )
    ),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_it_complains_asks_others_or_shuts_anybody_out(
    browser: Browser, server: Server, walk: Watched, scheme: Any
) -> None:
    watched = Watched(browser, server.url, color_scheme=scheme, viewport={"width": 1440, "height": 900})
    for path in PAGES:
        page = watched.open(path)
        assert page.locator("main h1").count() == 1, path
        assert page.locator("img").count() == 0, path
        assert watched.serious() == [], path
        assert watched.faults == [], path
    watched.close()
