"""How far a project has come, by what happened in it and by nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboard_house import Site, site
from small_house import NOW, make_champion, make_model, make_project, open_registry
from typer.testing import CliRunner

from registry.records import RunStatus
from registry.store import Registry
from service.cli import app
from service.maturity.checks import CHECKS
from service.maturity.evidence import Evidence, gathered
from service.maturity.models import GOOGLE, MICROSOFT, MODELS
from service.maturity.report import told

NOTHING = Evidence(**{one.name: {} if one.name == "started" else 0 for one in fields(Evidence)})
ALL = Evidence(**{one.name: {"schedule": 9} if one.name == "started" else 9 for one in fields(Evidence)})


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("maturity")) as made:
        yield made


def reached(seen: Evidence) -> tuple[Any, Any]:
    models = told("p", seen)["models"]
    return models["google"]["reached"], models["microsoft"]["reached"]


def test_the_models_have_all_their_levels_and_name_their_sources() -> None:
    assert [level.number for level in MODELS["google"].levels] == [0, 1, 2]
    assert [level.number for level in MODELS["microsoft"].levels] == [0, 1, 2, 3, 4]
    assert (MODELS["google"].source, MODELS["microsoft"].source) == (GOOGLE, MICROSOFT)
    asked = {check for model in MODELS.values() for level in model.levels for _, check in level.asks}
    assert asked == set(CHECKS)


def test_nothing_reaches_nothing_and_everything_the_highest_with_what_nobody_here_can_see_told() -> None:
    assert reached(NOTHING) == (None, 0)
    assert reached(ALL) == (2, 4)
    google = told("p", ALL)["models"]["google"]
    assert google["next"] is None
    assert len(google["unseen"]) == 2


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ({"served": 0}, (None, 0)),
        ({"predictions": 0}, (None, 0)),
        ({"trials": 0}, (1, 1)),
        ({"started": {"manual": 5, "first_champion": 1, "first_search": 1, "retry": 1}}, (0, 3)),
        ({"promoted": 0}, (0, 2)),
        ({"drift_reports": 0}, (1, 3)),
        ({"live_windows": 0, "estimates": 0}, (1, 3)),
        ({"feedback": 0}, (1, 3)),
        ({"channels": 0}, (2, 3)),
        ({"keys": 0}, (2, 2)),
        ({"probations": 0}, (1, 3)),
        ({"with_environment": 0}, (0, 1)),
        ({"trained_on": 1}, (0, 3)),
        ({"batches": 1}, (0, 2)),
    ],
)
def test_a_level_falls_with_the_first_thing_that_did_not_happen(
    lacking: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    assert reached(replace(ALL, **lacking)) == expected


def test_what_the_next_level_lacks_is_told_with_evidence_and_remedy() -> None:
    model = told("p", replace(ALL, started={"manual": 5}))["models"]["google"]
    (missing,) = model["next"]["missing"]
    assert missing["check"] == "started_by_itself"
    assert missing["evidence"] == "completed runs by what started them: manual 5"
    assert "a setting alone is no evidence" in missing["remedy"]


def test_a_schedule_that_never_started_a_run_counts_for_nothing_and_one_that_did_counts(
    registry: Registry,
) -> None:
    project = make_project(registry, policy={"triggers": {"schedule": "0 3 * * *"}})
    make_champion(registry, project, make_model(registry, project).version)
    before = gathered(registry, project)
    assert (before.by_itself, before.models, before.by_people, before.golden) == (0, 1, 1, 1)
    run = registry.runs.enqueue(
        project.id,
        trigger={"kind": "schedule", "fired": ["schedule"], "evidence": {}},
        reason="due",
        plan={},
        dataset_version=1,
        seed=1,
        at=NOW,
    )
    claimed = registry.runs.claim("test", lease_seconds=60, at=NOW)
    assert claimed is not None
    verdict = {"outcome": "rejected", "gates": [{"name": "improvement", "passed": False}]}
    registry.runs.conclude(
        run.id, claimed.fence, status=RunStatus.COMPLETED, verdict=verdict, at=NOW + timedelta(seconds=1)
    )
    after = gathered(registry, project)
    assert (after.by_itself, after.runs, after.judged, after.kept_out) == (1, 1, 1, 1)


def test_the_page_the_api_and_the_command_tell_the_same(house: Site) -> None:
    found = house.http.get("/v1/projects/fruit/maturity").json()
    page = house.get("/projects/fruit/maturity").text
    assert GOOGLE in page
    for model in found["models"].values():
        for one in (model["next"] or {}).get("missing", []):
            assert one["requirement"].replace("'", "&#39;") in page
    home = ["--home", str(house.registry.home)]
    done = CliRunner().invoke(app, ["doctor", "--maturity", "--project", "fruit", "--json", *home])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"projects": [found]})
    shown = CliRunner().invoke(app, ["doctor", "--maturity", *home], env={"COLUMNS": "200"}).stdout
    assert "fruit by Google: " in shown
    assert "lacks:" in shown
    unknown = CliRunner().invoke(app, ["doctor", "--maturity", "--project", "none", *home])
    assert unknown.exit_code == 1
