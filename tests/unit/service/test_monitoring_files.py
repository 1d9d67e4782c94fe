"""The rules and the dashboard that ship speak of metrics, labels and outcomes that a running service really exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerts_house import AlertsHouse, house
from prometheus_client.parser import text_string_to_metric_families
from small_house import NOW, make_champion, make_model
from typer.testing import CliRunner

from registry.errors import Unavailable
from registry.standing import Standing
from service.cli import app
from service.commands.monitoring import DASHBOARD, RULES
from service.metrics import Metrics
from service.standing_metrics import families

OURS = re.compile(r"\bincumbent_[a-z_]+")
PARTS = re.compile(r"_(?:bucket|count|sum)$")
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
MATCHED = re.compile(r"\b(incumbent_[a-z_]+)\{([^}]*)\}")
FOREIGN = {"up"}
"""Made by Prometheus itself."""
PROMETHEUS = {"instance", "job", "le"}
RULE = {"alert", "expr", "for", "labels", "annotations"}
DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    marks = [one["expr"] for one in dashboard["annotations"]["list"]]
    choices = [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    return [rule["expr"] for rule in rules()] + panels + marks + choices


def labels() -> dict[str, set[str]]:
    """The labels of each metric."""
    metrics = Metrics()
    known = {
        name: set(one._labelnames)
        for one, names in metrics.registry._collector_to_names.items()
        for name in names
    }  # type: ignore[attr-defined]
    known["incumbent_prediction_duration_seconds"] = {"project"}  # counted by a collector of our own
    return known | {one.name: set(one._labelnames) for one in families()}


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertsHouse]:
    with house(tmp_path_factory.mktemp("monitoring")) as one:
        yield one


def test_every_metric_named_is_exported_by_a_running_service(at_home: AlertsHouse) -> None:
    text = at_home.http.get("/metrics").text
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
    }
    used = {PARTS.sub("", name) for expr in expressions() for name in OURS.findall(expr)}
    assert len(used) > 15
    assert used - exported == set()


def test_every_label_named_is_one_of_its_metric() -> None:
    known = labels()
    for expr in expressions():
        metrics = [PARTS.sub("", name) for name in OURS.findall(expr)]
        grouped = {name.strip() for group in GROUPED.findall(expr) for name in group.split(",")}
        for metric in metrics:
            assert grouped - PROMETHEUS <= known[metric], expr
        for metric, matchers in MATCHED.findall(expr):
            named = {matcher.partition("=")[0].strip("!~ ") for matcher in matchers.split(",")}
            assert named <= known[PARTS.sub("", metric)], expr


def test_the_rules_are_in_the_form_that_prometheus_reads() -> None:
    document = yaml.safe_load(RULES.read_text())
    assert set(document) == {"groups"}
    for group in document["groups"]:
        assert set(group) == {"name", "rules"}
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 10
    for rule in rules():
        assert set(rule) <= RULE, rule["alert"]
        assert DURATION.fullmatch(rule.get("for", "1m"))
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert OURS.search(rule["expr"]) or any(name in rule["expr"] for name in FOREIGN)
        by = {name.strip() for group in GROUPED.findall(rule["expr"]) for name in group.split(",")}
        if re.match(r"\s*(?:sum|max|min) by", rule["expr"]):
            shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
            assert shown <= by, f"{rule['alert']} shows a label that its expression drops"


def test_the_dashboards_panels_have_places_of_their_own_and_a_question() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not squares & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= squares
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["targets"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_the_commands_print_the_files_and_the_server_hands_them_out(at_home: AlertsHouse) -> None:
    for word, path in (("rules", RULES), ("grafana", DASHBOARD)):
        printed = CliRunner().invoke(app, ["monitoring", word])
        assert (printed.exit_code, printed.stdout) == (0, path.read_text())
        assert at_home.http.get(f"/static/monitoring/{path.name}").text == path.read_text()


def test_what_the_registry_knows_is_told_by_every_process(tmp_path: Path) -> None:
    with house(tmp_path) as one:
        project = one.project
        make_champion(one.registry, project, make_model(one.registry, project).version)
        one.registry.drift.add(project.id, 1, 0.4, ["size"], {}, at=NOW)
        for kind, score, reference in (
            ("realised", 0.7, 0.8),
            ("realised", 0.6, 0.8),
            ("estimated", 0.65, 0.7),
        ):
            one.registry.quality.add(
                project.id, model_version=1, kind=kind, score=score, reference=reference, report={}, at=NOW
            )
        one.add(name="ops", url="http://127.0.0.1:9/x", events=["run.failed"])
        one.http.post("/v1/alerts/channels/ops/test")
        one.now = one.registry.ledger.promotions(project.id)[0].at + timedelta(hours=2)
        text = one.http.get("/metrics").text
        for line in (
            'incumbent_champion_age_seconds{project="fruit"} 7200.0',
            'incumbent_drift_share{project="fruit"} 0.4',
            'incumbent_realized_metric{model="1",project="fruit"} 0.6',
            'incumbent_promised_metric{model="1",project="fruit"} 0.8',
            'incumbent_estimated_metric{model="1",project="fruit"} 0.65',
            'incumbent_queue_depth{queue="alerts"} 1.0',
            'incumbent_queue_depth{queue="runs"} 0.0',
            'incumbent_running{queue="runs"} 0.0',
            "incumbent_registry_up 1.0",
        ):
            assert line in text.splitlines(), line
        assert re.search(r"^incumbent_alert_oldest_pending_seconds [1-9]", text, re.MULTILINE)


def test_a_registry_that_is_away_is_told_and_costs_no_other_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Standing, whole: object = ()) -> None:
        raise Unavailable("the database did not answer: test")

    with house(tmp_path) as one:
        monkeypatch.setattr(Standing, "now", away)
        text = one.http.get("/metrics").text
    assert "incumbent_registry_up 0.0" in text
    assert "incumbent_disk_free_bytes" in text
    assert "incumbent_predictions_total" in text
