"""A project whose classes are named beforehand takes rows before any label; all others say what they need."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from httpx import Response
from intake_home import IntakeHome, csv_rows

from automl.task import Task
from service.api import projects
from service.facts import gather
from service.policy import Policy
from service.trigger_facts import Facts
from service.triggers import Refusal, Trigger, due

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[IntakeHome]:
    made = IntakeHome(tmp_path)
    made.app.include_router(projects.router, prefix="/v1/projects")
    yield made
    made.registry.close()


def create(home: IntakeHome, **body: Any) -> Response:
    answer = home.http.post(
        "/v1/projects", json={"name": "p", "task": "classification", "target": "y", **body}
    )
    return cast(Response, answer)


def unlabelled(count: int) -> list[dict[str, Any]]:
    return [{"a": at / 2, "b": "red" if at % 3 else "blue"} for at in range(count)]


def test_rows_come_first_and_labels_later_by_id(home: IntakeHome) -> None:
    made = create(home, classes=["yes", "no"]).json()
    assert (made["classes"], made["metric"]) == (["no", "yes"], "auto")
    told = home.rows(unlabelled(30)).json()
    assert (told["rows"], told["labelled"], told["unlabelled"]) == (30, 0, 30)
    project = home.registry.projects.get("p")
    assert Task.from_json(project.task).metric == "roc_auc"
    ids = home.ids()
    answer = home.feedback([{"id": ids[0], "label": "yes"}, {"id": ids[1], "label": "no"}])
    assert answer.json()["accepted"] == 2
    assert home.registry.datasets.truth_counts(project.id) == {"yes": 1, "no": 1}
    wrong = home.feedback([{"id": ids[2], "label": "perhaps"}]).json()
    assert wrong["code"] == "unknown_label"


def test_labels_that_do_come_are_held_to_the_named_classes(home: IntakeHome) -> None:
    create(home, classes=["yes", "no", "perhaps"])
    told = home.upload(csv_rows(40) + "1,red,never\n").json()
    assert (told["rows"], told["labelled"], told["quarantined"]) == (40, 40, 1)
    assert told["quarantine_reasons"] == {"unknown_label": 1}
    assert Task.from_json(home.registry.projects.get("p").task).classes == ("no", "perhaps", "yes")


@pytest.mark.parametrize(
    ("classes", "held"), [([0, 1], [0, 1]), (["0", "1"], [0, 1]), ([True, False], [False, True])]
)
def test_classes_are_numbers_booleans_or_text_as_labels_would_be(
    home: IntakeHome, classes: list[Any], held: list[Any]
) -> None:
    found = create(home, classes=classes).json()["classes"]
    assert [(type(one), one) for one in found] == [(type(one), one) for one in held]


@pytest.mark.parametrize(
    ("classes", "code"),
    [
        (["yes"], "one_class"),
        (["yes", " yes"], "one_class"),
        ([], "one_class"),
        (["yes", " "], "empty_class"),
        ([str(number) for number in range(101)], "too_many_classes"),
    ],
)
def test_classes_that_can_not_be_are_refused_with_what_to_do(
    home: IntakeHome, classes: list[str], code: str
) -> None:
    answer = create(home, classes=classes)
    document = answer.json()
    assert (answer.status_code, document["code"], document["field"]) == (422, code, "classes")
    assert document["remedy"]


def test_a_regression_has_no_classes(home: IntakeHome) -> None:
    answer = create(home, task="regression", classes=["yes", "no"])
    assert answer.status_code == 422
    assert "predicts a number" in answer.text


def test_a_regression_says_that_labels_come_later(home: IntakeHome) -> None:
    assert create(home, task="regression", labels_later=True).status_code == 201
    told = home.rows(unlabelled(30)).json()
    assert (told["rows"], told["unlabelled"]) == (30, 30)
    assert home.feedback([{"id": home.ids()[0], "label": 2.5}]).json()["accepted"] == 1
    assert home.feedback([{"id": home.ids()[1], "label": "much"}]).json()["code"] == "unparsable_label"
    project = home.registry.projects.get("p")
    assert Task.from_json(project.task).metric == "rmse"
    assert gather(home.registry, project, Policy(), NOW).without_label == ()


def test_labels_later_is_for_numbers_or_named_classes(home: IntakeHome) -> None:
    answer = create(home, labels_later=True)
    assert answer.status_code == 422
    assert "classes" in answer.text
    home.http.post("/v1/projects", json={"name": "n", "task": "regression", "target": "y"})
    refused = home.rows(unlabelled(30), project="n").json()
    assert "labels_later" in refused["remedy"]


def test_without_named_classes_a_first_upload_without_labels_says_what_would_help(home: IntakeHome) -> None:
    create(home)
    document = home.rows(unlabelled(30)).json()
    assert document["code"] == "missing_target"
    assert '"classes"' in document["remedy"]
    document = home.rows([{**row, "y": None} for row in unlabelled(30)]).json()
    assert document["code"] == "no_labels"
    assert '"classes"' in document["remedy"]


def test_the_first_run_waits_for_a_label_of_every_named_class() -> None:
    waiting = Facts(champion=None, truths=200, truths_at_last_run=None, without_label=("perhaps",))
    answer = due(Policy(), waiting, NOW)
    assert isinstance(answer, Refusal)
    assert (answer.guard, "'perhaps'" in answer.reason) == ("missing_classes", True)
    enough = Facts(champion=None, truths=200, truths_at_last_run=None)
    assert isinstance(due(Policy(), enough, NOW), Trigger)


def test_classes_without_a_label_are_facts_until_there_is_a_champion(home: IntakeHome) -> None:
    create(home, classes=["yes", "no", "perhaps"])
    home.rows(unlabelled(30))
    project = home.registry.projects.get("p")
    assert gather(home.registry, project, Policy(), NOW).without_label == ("no", "perhaps", "yes")
    home.feedback([{"id": home.ids()[0], "label": "yes"}])
    assert gather(home.registry, project, Policy(), NOW).without_label == ("no", "perhaps")
