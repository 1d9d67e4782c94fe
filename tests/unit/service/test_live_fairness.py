"""The champion's groups, looked at over real tables as truth comes: who is told, when, and by what groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from alerts_house import house
from fastapi.testclient import TestClient
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.schema import Schema, check
from automl.task import Task
from registry.records import BatchKind, NewModel, Project
from registry.store import Registry
from service.fairness_reports import EXCEEDED, fairness, newest
from service.fairness_watch import FairnessWatch
from service.live_fairness import look
from service.policy import Policy
from service.trust_fairness import Fairness

TIME = pa.timestamp("us", tz="UTC")
RULE = Fairness(columns=["colour"], max_calibration=None)
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def audited(registry: Registry, rule: Fairness = RULE) -> Project:
    policy = {"gates": {"trust": {"fairness": rule.model_dump(mode="json")}}}
    made = make_project(registry, policy=policy)
    make_champion(registry, made, make_model(registry, made).version)
    return registry.projects.get("fruit")


@pytest.fixture
def project(registry: Registry) -> Project:
    return audited(registry)


def serve(registry: Registry, project: Project, name: str, count: int, *, red_too_often: float = 0.0) -> None:
    """Answers of the champion that are right, but for a share of the red rows, which are answered "yes" whatever they
    are; and their truth."""
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    random = np.random.default_rng(count)
    raw = raw_rows(count, seed=len(name))
    ids = pa.array([f"{name}-{number}" for number in range(count)])
    red = np.array(raw["colour"].to_pylist()) == "red"
    truth = np.array(raw["ripe"].to_pylist()) == "yes"
    said = truth | (red & (random.random(count) < red_too_often))
    at = pa.repeat(pa.scalar(NOW + timedelta(hours=1), TIME), count)
    answers = {
        "_row_id": ids,
        "model_version": pa.repeat(pa.scalar(project.champion, pa.int32()), count),
        "value": pa.array(np.where(said, "yes", "no").tolist()),
        "score": pa.array(np.where(said, 0.9, 0.9)),
        "probabilities": pa.array(
            [[0.1, 0.9] if one else [0.9, 0.1] for one in said], pa.list_(pa.float64())
        ),
        "at": at,
    }
    labels = {"_row_id": ids, "label": raw["ripe"], "source": pa.repeat("feedback", count), "at": at}
    with registry.datasets.stage(project) as staging:
        staging.write_rows(check(raw, schema, task).table.append_column("_row_id", ids))
        staging.write_predictions(pa.table(answers))
        registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)
    with registry.datasets.stage(project) as staging:
        staging.write_labels(pa.table(labels))
        registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=NOW)


def look_now(registry: Registry, project: Project, rule: Fairness = RULE) -> Any:
    truths = registry.datasets.facts(project.id).truths
    return look(registry, project, rule, truths=truths, now=LATER)


def events(registry: Registry) -> list[Any]:
    return [one.data for one in registry.ledger.events() if one.type == EXCEEDED]


def test_nothing_is_looked_at_before_a_group_could_be_judged(registry: Registry, project: Project) -> None:
    serve(registry, project, "few", 60)
    assert look_now(registry, project) is None
    assert "fewer than 100 answers" in str(fairness(registry, project)["because"])


def test_rates_by_group_are_those_of_the_answers_and_an_alike_champion_alarms_nobody(
    registry: Registry, project: Project
) -> None:
    serve(registry, project, "fair", 900)
    report = look_now(registry, project).report
    (column,) = report["columns"]
    assert {one["group"] for one in column["groups"]} == {"red", "green", "blue"}
    for group in column["groups"]:
        figures = {one["figure"]: one["value"] for one in group["champion"]}
        assert (figures["true_positive_rate"], figures["false_positive_rate"]) == (1.0, 0.0)
    assert not any(one["exceeds"] for one in column["gaps"])
    assert events(registry) == []


def test_a_gap_that_is_surely_too_wide_is_told_once_and_again_when_it_comes_back(
    registry: Registry, project: Project
) -> None:
    rule = RULE.model_copy(update={"window": 900})
    serve(registry, project, "unfair", 900, red_too_often=0.9)
    look_now(registry, project, rule)
    told = {one["measure"]: one for one in events(registry)}
    assert set(told) == {"demographic_parity_difference", "equalized_odds_difference"}
    odds = told["equalized_odds_difference"]
    assert (odds["column"], odds["figure"], odds["groups"][0]) == ("colour", "false_positive_rate", "red")
    assert odds["at_least"] > odds["limit"] == 0.1
    assert "by colour the false positive rate of yes is" in odds["reason"]
    look_now(registry, project, rule)
    assert len(events(registry)) == 2
    serve(registry, project, "fair-again", 900)
    look_now(registry, project, rule)
    serve(registry, project, "unfair-again", 900, red_too_often=0.9)
    look_now(registry, project, rule)
    assert len(events(registry)) == 4


def test_each_look_at_a_champion_spends_a_part_of_alpha(registry: Registry, project: Project) -> None:
    serve(registry, project, "fair", 400)
    spent = [look_now(registry, project).report["alpha"] for _ in range(3)]
    assert spent == pytest.approx([0.05 * 6 / (np.pi * number) ** 2 for number in (1, 2, 3)])


def test_groups_are_cut_as_they_were_when_the_champion_was_judged(registry: Registry) -> None:
    project = audited(registry, RULE.model_copy(update={"columns": ["size"]}))
    judged = {
        "fairness": {"columns": [{"column": "size", "columns": ["size"], "edges": [-0.5, 0.5], "gaps": []}]}
    }
    model = registry.models.get(project.id, 1)
    kept = registry.blobs.put(json.dumps(judged).encode(), at=NOW)
    new = NewModel(
        blob=model.blob,
        engine=model.engine,
        estimator=model.estimator,
        config={},
        dataset_version=1,
        details=model.details,
        attachments={**model.attachments, "trust": kept},
    )
    make_champion(registry, project, registry.models.register(project.id, new, at=NOW).version)
    project = registry.projects.get("fruit")
    serve(registry, project, "rows", 600)
    report = look_now(registry, project, RULE.model_copy(update={"columns": ["size"]})).report
    assert [one["group"] for one in report["columns"][0]["groups"]] == [
        "at most -0.5",
        "above -0.5 and at most 0.5",
        "above 0.5",
    ]


def test_groups_stay_as_they_were_cut_at_the_first_look_where_nobody_judged_them(registry: Registry) -> None:
    rule = RULE.model_copy(update={"columns": ["size"], "window": 500})
    project = audited(registry, rule)
    serve(registry, project, "a", 500)
    first = look_now(registry, project, rule).report["columns"][0]["edges"]
    serve(registry, project, "other", 500)
    assert look_now(registry, project, rule).report["columns"][0]["edges"] == first


def test_the_watch_looks_when_enough_truth_came_and_one_process_alone_does(
    registry: Registry, project: Project
) -> None:
    now = [LATER]

    def clock() -> datetime:
        return now[0]

    reported: list[int] = []
    watch = FairnessWatch(registry, node="a", clock=clock, on_report=lambda: reported.append(1))
    serve(registry, project, "first", 600)
    truths = registry.datasets.facts(project.id).truths
    held = registry.leases.acquire(f"fairness:{project.id}", "b", seconds=60, at=clock())
    assert held is not None
    assert watch.look(project, RULE, truths) is False  # b is at it
    watch.look_at(project, Policy.stored(project.policy))
    watch.stop()
    assert reported == []
    now[0] += timedelta(seconds=61)  # b was killed: its lease is over, and nothing new has come
    watch.look_at(project, Policy.stored(project.policy))
    watch.stop()
    assert reported == [1]
    serve(registry, project, "more", 400)
    assert watch.look(project, RULE, truths + 400) is False  # a quarter of the window is 500
    assert watch.look(project, RULE, truths + 500) is True


def test_a_project_without_an_audited_column_is_not_watched(registry: Registry) -> None:
    project = audited(registry, Fairness())
    serve(registry, project, "some", 400)
    watch = FairnessWatch(registry, node="a", clock=lambda: LATER, on_report=lambda: None)
    watch.look_at(project, Policy.stored(project.policy))
    watch.stop()
    assert newest(registry, project) is None
    assert "no column is audited" in str(fairness(registry, project)["because"])


def test_a_policy_that_audits_a_column_which_is_not_there_is_refused(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        policy = {"gates": {"trust": {"fairness": {"columns": ["colour", "sex"]}}}}
        refused = one.http.patch("/v1/projects/fruit", json={"policy": policy})
        assert (refused.status_code, refused.json()["code"]) == (422, "unknown_column")
        assert refused.json()["field"] == "policy.gates.trust.fairness.columns.1"
        assert refused.json()["remedy"] == "Name one of size, colour."


def test_gaps_are_told_over_http_as_metrics_as_an_alert_and_on_the_monitoring_page(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        registry: Registry = one.registry
        policy = {"gates": {"trust": {"fairness": RULE.model_dump(mode="json")}}}
        http: TestClient = one.http
        assert http.patch("/v1/projects/fruit", json={"policy": policy}).status_code == 200
        make_champion(registry, one.project, make_model(registry, one.project).version)
        project = registry.projects.get("fruit")
        before = http.get("/v1/projects/fruit/fairness").json()
        assert (before["columns"], before["live"], before["looks"]) == (["colour"], None, [])
        serve(registry, project, "unfair", 900, red_too_often=0.9)
        look_now(registry, project)
        found = http.get("/v1/projects/fruit/fairness").json()
        assert found["live"]["rows"] == 900
        assert found["looks"][0]["gaps"] == found["live"]["columns"][0]["gaps"]
        lines = http.get("/metrics").text.splitlines()
        labels = 'column="colour",measure="equalized_odds_difference",model="1",project="fruit"'
        (low,) = (
            float(line.split()[-1])
            for line in lines
            if line.startswith(f"incumbent_fairness_gap_low{{{labels}}}")
        )
        assert low > 0.1
        assert f"incumbent_fairness_limit{{{labels}}} 0.1" in lines
        page = http.get("/projects/fruit/monitoring").text
        assert "Equalized odds" in page
        assert "surely beyond" in page
        assert "newest answers whose truth has come" in page
