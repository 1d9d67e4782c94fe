"""A version's card, made from the registry alone: whoever reads one of its forms by its own rules finds it in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from dashboard_house import HOSTILE, LONG, SCRIPT, SNAPSHOT, VERDICT, Site, site
from huggingface_hub import ModelCard
from markdown import markdown as rendered
from small_house import NOW, make_model, make_project, open_registry

from registry.records import Model, NewModel, Project, RunStatus
from registry.store import Registry
from service.api.cards import preferred
from service.card.bom import bom
from service.card.facts import card_facts
from service.card.front_matter import front_matter
from service.card.markdown import markdown, text
from service.card.sections import limits, sections
from service.environment import differences, environment

DOCUMENTED = {
    "$comment": "huggingface.co/docs/hub/model-cards and their modelcard.md specification",
    "type": "object",
    "required": ["license", "tags", "metrics"],
    "properties": {
        "license": {"type": "string", "pattern": "^[a-z0-9.-]+$"},
        "library_name": {"type": "string"},
        "pipeline_tag": {"enum": ["tabular-classification", "tabular-regression", "time-series-forecasting"]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "metrics": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "model-index": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "results"],
                "properties": {
                    "results": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["task", "dataset", "metrics"],
                            "properties": {
                                "task": {"type": "object", "required": ["type"]},
                                "dataset": {"type": "object", "required": ["type", "name"]},
                                "metrics": {
                                    "type": "array",
                                    "minItems": 1,
                                    "items": {"type": "object", "required": ["type", "value"]},
                                },
                            },
                        },
                    }
                },
            },
        },
    },
}
GATES = [
    {"name": "improvement", "passed": True, "reason": "better by 0.01", "evidence": {}},
    {"name": "latency", "passed": None, "reason": "no limit", "evidence": {}},
]


def judged(registry: Registry, project: Project, **details: Any) -> Model:
    """A model that a run judged, with everything that a run leaves."""
    plain = make_model(registry, project)
    run = registry.runs.enqueue(
        project.id,
        trigger={"kind": "manual", "fired": [], "evidence": {}},
        reason="asked for",
        plan={"budget_seconds": 20.0, "engines": {"portfolio": 1.0}},
        dataset_version=1,
        seed=7,
        at=NOW,
    )
    claimed = registry.runs.claim("test", lease_seconds=60, at=NOW)
    assert claimed is not None
    registry.runs.describe(
        run.id, claimed.fence, snapshot={**SNAPSHOT, "suspected_leaks": []}, engines={}, at=NOW
    )
    new = NewModel(
        blob=plain.blob,
        engine="blend",
        estimator="lightgbm + ridge",
        config={},
        dataset_version=1,
        attachments=plain.attachments,
        details={
            **plain.details,
            "metric": "roc_auc",
            "score": 0.91,
            "cv_score": 0.93,
            "hash": "ab" * 32,
            "train_rows": 100,
            "holdout_rows": 20,
            "judged_against": plain.version,
            "environment": environment(),
            "outcome": "promoted",
            **details,
        },
    )
    verdict = {**VERDICT, "outcome": "promoted", "reason": "Promoted: better", "gates": GATES}
    registry.runs.conclude(
        run.id, claimed.fence, status=RunStatus.COMPLETED, verdict=verdict, models=(new,), at=NOW
    )
    return registry.models.list(project.id)[0]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("cards")) as made:
        yield made


def in_order(card: dict[str, Any]) -> None:
    """What the readers of each form hold it to."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom(card))) is None
    jsonschema.validate(front_matter(card), DOCUMENTED)
    read = ModelCard(markdown(card))
    assert read.data.to_dict()["license"] == "unknown"
    assert json.loads(json.dumps(card)) == card


def test_each_form_of_a_judged_versions_card_keeps_to_its_schema_and_says_the_same(
    registry: Registry,
) -> None:
    project = make_project(registry)
    model = judged(registry, project)
    card = card_facts(registry, project, model.version)
    in_order(card)
    (result,) = ModelCard(markdown(card)).data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_revision) == ("roc_auc", 0.91, "ab" * 32)
    assert result.task_type == "tabular-classification"
    made = bom(card)
    subject = made["metadata"]["component"]
    assert subject["hashes"] == [{"alg": "SHA-256", "content": model.blob.digest}]
    metrics = subject["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [(one["slice"], one["value"]) for one in metrics[:2]] == [
        ("holdout", "0.91"),
        ("folds of the search", "0.93"),
    ]
    content = registry.datasets.version(project.id, 1).content_hash
    data = {one["name"]: one["hashes"][0]["content"] for one in made["components"] if one["type"] == "data"}
    assert data == {"fruit dataset": content, "fruit snapshot": "ab" * 32}
    assert {one["ref"] for one in subject["modelCard"]["modelParameters"]["datasets"]} == {
        one["bom-ref"] for one in made["components"] if one["type"] == "data"
    }
    libraries = {one["name"]: one["version"] for one in made["components"] if one["type"] == "library"}
    assert libraries == environment()["libraries"]
    assert made == bom(card_facts(registry, project, model.version))


def test_a_version_that_no_run_made_has_a_card_too(registry: Registry) -> None:
    project = make_project(registry)
    model = make_model(registry, project)
    card = card_facts(registry, project, model.version)
    in_order(card)
    assert "model-index" not in front_matter(card)
    assert "It has not been judged on any rows." in limits(card)
    assert card["environment"] is None
    assert "scikit-learn" in {one["name"] for one in bom(card)["components"]}


def test_a_card_tells_what_its_versions_were_made_of_and_by(registry: Registry) -> None:
    project = make_project(registry)
    first = judged(registry, project)
    refitted = judged(registry, project, refit_of=first.version, pseudo_labels={"rows": 30, "teacher": 1})
    assert card_facts(registry, project, first.version)["lineage"]["refitted_as"] == [refitted.version]
    card = card_facts(registry, project, refitted.version)
    assert (card["lineage"]["refit_of"], card["lineage"]["taught_by"]) == (first.version, 1)
    told = {name: value for section in sections(card) for name, value in section.facts}
    assert told["Pseudo-labelled rows"] == "30"
    assert (
        bom(card)["metadata"]["component"]["modelCard"]["modelParameters"]["approach"]["type"]
        == "semi-supervised"
    )


def test_a_trust_report_is_part_of_the_card_and_a_damaged_one_is_told(registry: Registry) -> None:
    project = make_project(registry)
    plain = make_model(registry, project)
    report = registry.blobs.put(b'{"robustness": {"worst": 0.1}}', at=NOW)
    new = NewModel(
        blob=plain.blob,
        engine="flaml",
        estimator="lgbm",
        config={},
        dataset_version=1,
        details=dict(plain.details),
        attachments={**plain.attachments, "trust": report},
    )
    model = registry.models.register(project.id, new, at=NOW)
    assert card_facts(registry, project, model.version)["trust"] == {"robustness": {"worst": 0.1}}
    (registry.home / "blobs" / report.digest[:2] / report.digest[2:]).unlink()
    assert "is missing" in card_facts(registry, project, model.version)["trust"]["error"]


def test_names_from_outside_are_only_text_in_a_card(house: Site) -> None:
    for version in (1, 2):
        page = house.http.get(
            f"/v1/projects/fruit/models/{version}/card", headers={"accept": "text/markdown"}
        )
        assert page.headers["content-type"] == "text/markdown; charset=utf-8"
        _, head, body = page.text.split("---\n", 2)
        assert set(yaml.safe_load(head)) <= {*DOCUMENTED["properties"]}
        shown = rendered(body, extensions=["tables"])
        assert not any(tag in shown for tag in ("<script", "<img", "<a "))
        assert "<script" not in body
        assert "\u202e" not in body
        assert max(map(len, body.splitlines())) < 3_000
        found = house.http.get(f"/v1/projects/fruit/models/{version}/bom")
        assert found.headers["content-type"].startswith("application/vnd.cyclonedx+json")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(found.text) is None
    assert (
        HOSTILE[:50]
        in house.http.get("/v1/projects/fruit/models/2/card", headers={"accept": "application/json"}).json()[
            "model"
        ]["engine"]
    )


@pytest.mark.parametrize(
    "hostile", [HOSTILE, LONG, "a\n\n# b", "| x | y |", "[a](javascript:b)", "![i](u)", "`c`", "&lt;"]
)
def test_any_text_is_shown_as_it_is_and_in_one_line(hostile: str) -> None:
    told = rendered(f"- {text(hostile)}", extensions=["tables"])
    assert "\n" not in text(hostile)
    for tag in ("<script", "<img", "<a ", "<code", "<h1", "<table"):
        assert tag not in told


def test_accept_chooses_the_form_and_what_is_not_there_is_refused(house: Site) -> None:
    def kind(accept: str) -> Any:
        return house.http.get("/v1/projects/fruit/models/1/card", headers={"accept": accept})

    assert kind("application/json").json()["version"] == 1
    assert kind("*/*").json()["version"] == 1
    assert kind("text/*").text.startswith("---\nlicense: unknown\n")
    refused = kind("image/png")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
        406,
        "not_acceptable",
        "accept",
    )
    assert (
        preferred("text/markdown;q=0.1, application/*", ("text/markdown", "application/json"))
        == "application/json"
    )
    assert preferred("text/*;q=x, */*;q=0.1", ("text/markdown", "application/json")) == "application/json"
    assert house.http.get("/v1/projects/fruit/models/99/card").status_code == 404
    assert house.http.get("/v1/projects/fruit/models/99/bom").status_code == 404


def test_the_page_offers_the_same_files_and_no_others(house: Site) -> None:
    page = house.get("/projects/fruit/models/2/card")
    assert page.status_code == 200
    assert SCRIPT not in page.text
    assert 'href="/projects/fruit/models/2/card"' in house.get("/projects/fruit/models/2").text
    for file, other in (("card.json", "card"), ("bom.json", "bom")):
        assert f"/models/2/card/{file}" in page.text
        taken = house.get(f"/projects/fruit/models/2/card/{file}")
        assert taken.headers["content-disposition"] == f'attachment; filename="fruit-v2-{file}"'
        told = house.http.get(f"/v1/projects/fruit/models/2/{other}", headers={"accept": "application/json"})
        assert taken.json() == told.json()
    assert house.get("/projects/fruit/models/2/card/card.md").text.startswith("---\n")
    assert house.get("/projects/fruit/models/2/card/model.pickle").status_code == 404


def test_what_became_another_version_since_is_told_by_name() -> None:
    then = environment()
    assert differences(then) == []
    then["libraries"] = {**then["libraries"], "numpy": "1.0"}
    (told,) = differences(then)
    assert told.startswith("numpy 1.0 then, ")
    assert differences(None) == []
