"""Energy over HTTP, in the dashboard, from the command line and as metrics: what is known, and how it is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dashboard_house import HOSTILE, IMAGE, SCRIPT, Site, site
from pydantic import ValidationError
from scripted_server import Script, scripted
from small_house import NOW
from typer.testing import CliRunner

from registry.energy import EnergySource, NewReading
from service.cli import app
from service.client import AsyncIncumbent, Incumbent
from service.energy.rule import energy_rule
from service.energy.serving import WATTS_PER_CORE
from service.settings import Settings

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def used(
    house: Site,
    wh: float | None,
    *,
    source: EnergySource = EnergySource.ESTIMATED,
    replay: bool = False,
    at: datetime = NOW,
    **details: object,
) -> None:
    new = NewReading(
        part="search-flaml",
        source=source,
        wh=wh,
        gco2e=None if wh is None else wh * 0.4,
        seconds=9.0,
        details={"grid": "country DEU", "method": HOSTILE, "g_per_kwh": 400.0, **details},
    )
    number = {"replay": 1} if replay else {"run": 1}
    house.registry.energy.add(1, new, **number, at=at)


def test_a_runs_energy_is_told_with_its_gain(house: Site) -> None:
    assert house.http.get("/v1/projects/fruit/runs/1").json()["energy"] is None
    used(house, 2.0)
    told = house.http.get("/v1/projects/fruit/runs/1").json()["energy"]
    assert (told["wh"], told["gco2e"], told["source"], told["grid"]) == (2.0, 0.8, "estimated", "country DEU")
    assert (told["gain"], told["gain_per_wh"]) == (-0.01, -0.005)
    (listed,) = house.http.get("/v1/projects/fruit/runs").json()["runs"]
    assert listed["energy"] == told


def test_the_summary_tells_totals_the_day_and_a_thousand_predictions(house: Site) -> None:
    empty = house.http.get("/v1/projects/fruit/energy").json()
    assert (empty["totals"], empty["runs"], empty["g_per_kwh"]) == ([], [], None)
    assert empty["serving"]["wh_per_1000_predictions"] is None, "none was asked"
    used(house, 2.0)
    used(house, 1.0, source=EnergySource.MEASURED)
    used(house, None, source=EnergySource.UNKNOWN, why=HOSTILE)
    used(house, 7.0, replay=True)
    used(house, 5.0, at=LATER - timedelta(hours=25))
    rows = [{"size": 0.5, "colour": "red"}] * 4
    answered = house.http.post("/v1/projects/fruit/predict", json={"rows": rows})
    assert answered.status_code == 200, answered.text
    told = house.http.get("/v1/projects/fruit/energy").json()
    assert [(one["kind"], one["source"], one["wh"]) for one in told["totals"]] == [
        ("search", "estimated", 7.0),
        ("search", "measured", 1.0),
        ("search", "unknown", 0.0),
        ("replay", "estimated", 7.0),
    ]
    assert told["last_24_hours"] == {"search_wh": 3.0, "daily_energy_wh": None}
    assert [(one["run"], one["source"]) for one in told["runs"]] == [(1, "estimated")]
    serving = told["serving"]
    assert (serving["source"], serving["predictions"], serving["watts_per_core"]) == (
        "estimated",
        4,
        WATTS_PER_CORE,
    )
    assert serving["wh_per_1000_predictions"] == pytest.approx(serving["wh"] / 4 * 1000)
    assert serving["gco2e_per_1000_predictions"] == pytest.approx(serving["wh_per_1000_predictions"] * 0.4)


def test_metrics_tell_joules_by_source(house: Site) -> None:
    used(house, 2.0)
    used(house, 1.0, source=EnergySource.MEASURED)
    used(house, 7.0, replay=True)
    text = house.http.get("/metrics").text
    assert 'incumbent_search_energy_joules{project="fruit",source="estimated"} 7200.0' in text
    assert 'incumbent_search_energy_joules{project="fruit",source="measured"} 3600.0' in text
    assert 'incumbent_replay_energy_joules{project="fruit",source="estimated"} 25200.0' in text
    assert "incumbent_serving_energy_joules " in text


def test_the_pages_tell_it_and_no_text_of_it_is_markup(house: Site) -> None:
    used(house, 2.0)
    used(house, None, source=EnergySource.UNKNOWN, why=HOSTILE)
    run, monitoring = (house.get(f"/projects/fruit/{page}").text for page in ("runs/1", "monitoring"))
    assert "2 Wh" in run
    assert "of its searches, estimated" in run
    assert "Searches of the last 24 hours" in monitoring
    assert "country DEU" in monitoring
    for page in (run, monitoring):
        assert SCRIPT not in page
        assert IMAGE not in page


def test_a_used_up_day_is_a_refusal_with_its_reason(house: Site) -> None:
    quiet = {"schedule": None, "drift": None, "decay": None, "new_labels": {"count": 1}}
    policy = {"daily_energy_wh": 3.0, "min_fresh_labels": 1, "min_fresh_share": 0, "cooldown": "PT0S"}
    body = {"policy": {**policy, "triggers": quiet}}
    assert house.http.patch("/v1/projects/fruit", json=body).status_code == 200
    row = {"size": 0.5, "colour": "red", "ripe": "yes"}
    assert house.http.post("/v1/projects/fruit/data", json={"rows": [row]}).status_code == 201
    used(house, 3.5)
    house.http.app.state.context.scheduler.tick()  # type: ignore[attr-defined]
    last = house.http.get("/v1/projects/fruit/decisions").json()["decisions"][0]
    assert (last["outcome"], last["trigger"]) == ("refused", "daily_energy")
    assert last["reason"] == "3.5 of 3 Wh are used in 24 hours by searches"
    told = house.http.get("/v1/projects/fruit/energy").json()
    assert told["last_24_hours"]["daily_energy_wh"] == 3.0


@pytest.mark.parametrize("country", ["de", "DE", "GERMANY", "D3U"])
def test_a_country_that_is_no_code_is_refused(country: str) -> None:
    with pytest.raises(ValidationError, match="country"):
        Settings(country=country)


def test_children_are_told_of_the_grid_or_that_nothing_is_metered(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, country="DEU", grid_g_per_kwh=50, watts_per_core=4)
    assert energy_rule(settings) == {"country": "DEU", "g_per_kwh": 50.0, "watts_per_core": 4.0}
    assert energy_rule(Settings(home=tmp_path, energy=False)) is None


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def test_the_command_and_both_clients_say_the_same(house: Site, script: Script) -> None:
    used(house, 2.0)
    told = house.http.get("/v1/projects/fruit/energy").json()
    script.answers(*[(200, {}, told)] * 4)
    env = {"INCUMBENT_URL": script.url, "INCUMBENT_KEY": None, "COLUMNS": "200"}
    done = CliRunner().invoke(app, ["energy", "fruit"], env=env)
    assert done.exit_code == 0, done.output
    for word in ("estimated", "gain per Wh", "country DEU", "-0.005"):
        assert word in done.stdout
    assert json.loads(CliRunner().invoke(app, ["energy", "fruit", "--json"], env=env).stdout) == told
    with Incumbent(script.url) as server:
        assert server.energy("fruit") == told

    async def ask() -> None:
        async with AsyncIncumbent(script.url) as server:
            assert await server.energy("fruit") == told

    asyncio.run(ask())
