"""The command line against a real server, with a real search of a few seconds."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.client import Incumbent, RunState
from service.demo import child

pytestmark = pytest.mark.slow

POLICY = {
    "triggers": {"schedule": None, "new_labels": None},
    "cooldown": "PT0S",
    "search": {"budget_seconds": 10, "engines": {"flaml": 1}},
    "refit": False,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with child.server(tmp_path_factory.mktemp("home"), 0) as (url, _):
        yield url


@pytest.fixture
def incumbent(server: str) -> object:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(
            app, list(arguments), env={"INCUMBENT_URL": server, "INCUMBENT_KEY": None, "COLUMNS": "200"}
        )

    return call


def customers(path: Path, count: int) -> Path:
    """Customers who leave when they pay much and stay short, mostly; with holes."""
    random = np.random.default_rng(7)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["customer", "plan", "months", "bill", "left"])
        for number in range(count):
            months, bill = int(random.integers(1, 60)), round(float(random.normal(60, 20)), 2)
            left = bill - months + random.normal(0, 15) > 35
            out.writerow(
                [f"c{number}", random.choice(["basic", "plus", ""]), months, bill, "yes" if left else "no"]
            )
    return path


def first_run(url: str, project: str) -> RunState:
    """How the run ended that the first upload started."""
    with Incumbent(url) as client:
        while not client.runs(project):
            time.sleep(0.1)
        *_, ended = client.watch(project, 1)
    return ended


def test_from_a_new_project_to_a_rollback(server: str, incumbent: object, tmp_path: Path) -> None:
    assert callable(incumbent)

    def done(*arguments: str) -> Result:
        result: Result = incumbent(*arguments)
        assert result.exit_code == 0, result.output
        return result

    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    created = done(
        "project", "create", "churn", "--target", "left", "--id-column", "customer", "--policy", f"@{policy}"
    )
    assert "churn" in created.stdout
    assert "churn" in done("project", "list").stdout

    refused = incumbent("predict", "churn", "--row", '{"months": 3, "bill": 80, "plan": "plus"}')
    assert refused.exit_code == 4
    assert "no_champion" in refused.stderr
    assert "→" in refused.stderr

    file = customers(tmp_path / "customers.csv", 800)
    receipt = json.loads(done("upload", "churn", str(file), "--json").stdout)
    assert receipt["rows"] == receipt["labelled"] == 800

    run = first_run(server, "churn")
    assert run["verdict"] is not None, run
    assert run["verdict"]["outcome"] == "promoted", run
    assert "promoted" in done("runs", "churn").stdout

    again = incumbent("retrain", "churn", "--engine", "flaml", "--budget", "10", "--watch")
    assert again.exit_code == 0, again.output
    assert "flaml" in again.stdout
    assert "gate" in again.stdout

    answered = json.loads(done("predict", "churn", str(customers(tmp_path / "more.csv", 3)), "--json").stdout)
    assert answered["model_version"] >= 1
    assert len(answered["predictions"]) == 3
    new = json.loads(
        done(
            "predict",
            "churn",
            "--row",
            '{"customer": "new", "months": 3, "bill": 90, "plan": null}',
            "--json",
        ).stdout
    )
    assert new["predictions"][0]["id"] == "new"
    because = done("predict", "churn", "--row", '{"months": 3, "bill": 90, "plan": null}', "--explain").stdout
    assert "because" in because
    assert "bill = 90" in because
    otherwise = done(
        "predict", "churn", "--row", '{"months": 3, "bill": 90, "plan": null}', "--counterfactual", "--json"
    ).stdout
    assert "counterfactual" in json.loads(otherwise)["predictions"][0]["explanation"]
    told = json.loads(done("feedback", "churn", "--label", "new=yes", "--label", "ghost=no", "--json").stdout)
    assert told["accepted"] == 1
    assert told["unknown"] == ["ghost"]

    models = json.loads(done("models", "churn", "--json").stdout)["models"]
    champion = next(model["version"] for model in models if "champion" in model["aliases"])
    other = next((model["version"] for model in models if model["version"] != champion), None)
    assert f"{champion}" in done("models", "churn").stdout
    if other is not None:
        done("promote", "churn", str(other), "--reason", "a test")
        done("rollback", "churn")
    assert "promotion" in done("promotions", "churn").stdout
    assert "first_champion" in done("decisions", "churn").stdout
    assert "PT1S" in done("project", "set", "churn", "--policy", '{"cooldown": "PT1S"}', "--json").stdout
    assert done("doctor").exit_code == 0
    done("project", "delete", "churn", "--yes")
    gone = incumbent("project", "show", "churn")
    assert gone.exit_code == 4
    assert "not_found" in gone.stderr


def test_a_file_that_is_no_table_is_refused_with_field_or_remedy(incumbent: object, tmp_path: Path) -> None:
    assert callable(incumbent)
    incumbent("project", "create", "bad", "--target", "y")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    result = incumbent("upload", "bad", str(empty))
    assert result.exit_code == 4
    assert "→" in result.stderr


def test_an_upload_that_starts_no_run_says_why_to_who_watches(incumbent: object, tmp_path: Path) -> None:
    assert incumbent("project", "create", "few", "--target", "left").exit_code == 0  # type: ignore[operator]
    watched = incumbent("upload", "few", str(customers(tmp_path / "few.csv", 60)), "--watch")  # type: ignore[operator]
    assert watched.exit_code == 6, watched.output
    assert "labelled" in watched.output
    assert "60 of the 100 labelled rows" in watched.output
