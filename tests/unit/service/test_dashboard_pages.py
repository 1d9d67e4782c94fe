"""Pages: each answers, carries its headers, and shows whatever was named by an attacker as text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from dashboard_house import SCRIPT, Site, site
from small_house import NOW, make_project

from registry.records import Project
from service.api.context import Context
from service.dashboard import kept_glances
from service.dashboard.glance import Glance, glance

PAGES = (
    "/projects",
    "/projects/fruit",
    "/projects/fruit/runs",
    "/projects/fruit/runs/1",
    "/projects/fruit/models",
    "/projects/fruit/models/1",
    "/projects/fruit/models/2",
    "/projects/fruit/models/1/card",
    "/projects/fruit/models/2/card",
    "/projects/fruit/models/compare?v=1&v=2",
    "/projects/fruit/data",
    "/projects/fruit/data/1",
    "/projects/fruit/quarantine",
    "/projects/fruit/schema",
    "/projects/fruit/schema/histograms",
    "/projects/fruit/predict",
    "/projects/fruit/labeling",
    "/projects/fruit/labeling/next",
    "/projects/fruit/monitoring",
    "/projects/fruit/settings",
    "/projects/fruit/maturity",
    "/keys",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as made:
        yield made


class Reader(HTMLParser):
    """What a browser would run or load of a page, and the longest text it shows in one piece."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.images = 0
        self.handlers: list[str] = []
        self.loaded: list[str] = []
        self.longest = 0
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        given = dict(attrs)
        self.images += tag == "img"
        if tag == "script":
            self.scripts.append(given.get("src") or "inline")
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.loaded += [
            given[name] or ""
            for name in ("src", "href")
            if name in given and tag in ("script", "link", "img")
        ]

    def handle_data(self, data: str) -> None:
        self.longest = max(self.longest, len(data))


@pytest.mark.parametrize("path", PAGES)
def test_hostile_names_are_text_on_every_page(house: Site, path: str) -> None:
    answer = house.get(path)
    assert answer.status_code == 200, answer.text
    read = Reader(answer.text)
    assert all(src.startswith("/static/") for src in read.scripts)
    assert read.images == 0
    assert read.handlers == []
    assert all(one.startswith("/static/") for one in read.loaded)
    assert SCRIPT not in answer.text
    assert read.longest < (5_000 if path.endswith("/settings") else 1300), "a policy is shown whole, as JSON"


def test_hostile_names_are_there_to_be_read(house: Site) -> None:
    page = house.get("/projects/fruit/runs/1").text
    assert "&lt;/script&gt;&lt;script&gt;alert(&#39;hostile&#39;)" in page
    assert "\\u003c/script\\u003e" in page, "the chart's numbers carry the engine's name as JSON"


@pytest.mark.parametrize("path", [*PAGES, "/projects/nobody", "/projects/fruit/runs/99"])
def test_every_page_forbids_what_does_not_come_from_here(house: Site, path: str) -> None:
    headers = house.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_browsers_are_led_to_the_dashboard_and_programs_are_told_where_everything_is(house: Site) -> None:
    led = house.get("/")
    assert (led.status_code, led.headers["location"]) == (303, "/projects")
    told = house.http.get("/", headers={"accept": "application/json"}).json()
    assert told["api"] == "/v1/projects"


def test_errors_are_pages_for_browsers_and_problems_for_programs(house: Site) -> None:
    page = house.get("/projects/nobody")
    assert page.status_code == 404
    assert "GET /v1/projects lists the projects" in page.text
    document = house.http.get("/projects/nobody", headers={"accept": "application/json"})
    assert document.headers["content-type"] == "application/problem+json"
    assert house.get("/projects/fruit/models/compare?v=1").status_code == 422


def test_every_page_names_its_twin_and_the_twin_is_there(house: Site) -> None:
    for path in PAGES:
        if path == "/projects/fruit/schema/histograms":
            continue  # a part of a page, and what the API does not do
        found = re.search(r'This page as JSON: <a href="([^"]+)"', house.get(path).text)
        assert found is not None, path
        assert house.http.get(html.unescape(found[1])).headers["content-type"] == "application/json", path


def test_the_overview_is_told_as_json_with_every_state_reason_and_need(house: Site) -> None:
    told = house.http.get("/v1/overview").json()
    (fruit,) = told["projects"]
    assert (fruit["name"], fruit["champion"]) == ("fruit", 1)
    assert fruit["reason"] in html.unescape(house.get("/projects").text)
    alone = house.http.get("/v1/projects/fruit/health").json()
    assert {name: alone[name] for name in fruit} == fruit
    assert alone["because"], "it does not retrain now, and says why"
    assert "v=1&v=2" in house.http.get("/v1/projects/fruit/models/compare?v=1").json()["remedy"]
    both = house.http.get("/v1/projects/fruit/models/compare?v=1&v=2").json()
    assert [both["a"]["version"], both["b"]["version"]] == [1, 2]


def test_a_project_where_nothing_happened_is_not_looked_at_again(
    house: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def counting(context: Context, project: Project) -> Glance:
        looked.append(project.name)
        return glance(context, project)

    monkeypatch.setattr(kept_glances, "glance", counting)
    other = make_project(house.registry, name="quiet")
    house.get("/projects")
    looked.clear()
    house.get("/projects")
    assert looked == []
    house.registry.ledger.decide(
        other.id, outcome="refused", trigger="cooldown", reason="it rests", evidence={}, at=NOW
    )
    told = {one["name"]: one for one in house.http.get("/v1/overview").json()["projects"]}
    assert told["quiet"]["last_decision"]["reason"] == "it rests"
    assert looked == ["quiet"]
    house.registry.projects.delete("quiet", at=NOW)
    assert "/projects/quiet" not in house.get("/projects").text


def test_files_are_kept_for_ever_under_their_content(house: Site) -> None:
    found = re.findall(r'(?:src|href)="(/static/[^"]+)"', house.get("/projects").text)
    assert len(found) > 8
    for path in found:
        answer = house.http.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert "cache-control" not in house.http.get("/static/dashboard/style.css").headers


def test_the_worst_is_told_first_and_says_what_is_wrong(house: Site) -> None:
    page = house.get("/projects").text
    assert "Watch" in page
    assert "The rows have moved in 100% of the columns" in page


def test_the_run_card_draws_the_difference_beside_the_minimum_effect(house: Site) -> None:
    page = house.get("/projects/fruit/runs/1").text
    assert 'class="interval unsure"' in page
    assert "beyond the 0.002 asked for" in page
    assert "−0.0100" in page


def test_the_run_page_says_how_many_trials_got_a_second_look(house: Site) -> None:
    assert "(after a second look at 12 trials on other folds)" in house.get("/projects/fruit/runs/1").text


def test_an_empty_home_says_how_to_begin(tmp_path: pytest.TempPathFactory) -> None:
    from fastapi.testclient import TestClient

    from service.app import create_app
    from service.settings import Settings

    with TestClient(create_app(Settings(home=tmp_path / "empty", scheduler=False))) as http:  # type: ignore[operator]
        page = http.get("/projects", headers={"accept": "text/html"}).text
        assert "No project yet" in page
        assert "/data -F file=@customers.csv" in page
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
        assert found is not None
        form = {"name": "churn", "target": "churned", "task": "classification", "csrf": found[1]}
        made = http.post("/projects", data=form, headers={"accept": "text/html"}, follow_redirects=False)
        assert (made.status_code, made.headers["location"]) == (303, "/projects/churn/data")
        page = http.get("/projects", headers={"accept": "text/html"}).text
        assert "Upload rows that hold churned" in page
        assert "The project is made." in page


def test_the_curves_of_robustness_stand_on_the_run_and_on_its_model(house: Site) -> None:
    for path in ("/projects/fruit/runs/1", "/projects/fruit/models/2"):
        page = house.get(path).text
        assert "<b>Noise</b>" in page
        assert 'class="challenger" points="0.0,' in page
        assert "What a column&#39;s failing costs" in page or "What a column's failing costs" in page
        assert "9 of 200 values seem to be in another unit, 1500 among them where 1 to 2 is usual" in page
    assert "Robustness" not in house.get("/projects/fruit/models/1").text


def test_what_was_found_of_a_model_is_told_as_json_or_said_to_be_missing(house: Site) -> None:
    told = house.http.get("/v1/projects/fruit/models/2/trust").json()
    assert told["version"] == 2
    assert told["robustness"]["rows"] == 200
    missing = house.http.get("/v1/projects/fruit/models/1/trust")
    assert missing.status_code == 404
    assert missing.json()["code"] == "not_examined"
    assert "gates.trust" in missing.json()["remedy"]
