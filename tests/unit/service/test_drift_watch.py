"""A window of live rows beside the champion's training rows, in the real child process."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry

from registry import tables as t
from registry.records import BatchKind, DriftRecord, Project
from registry.store import Registry
from service.drift_watch import DriftWatch
from service.facts import gather
from service.metrics import Metrics
from service.policy import Policy
from service.settings import Settings
from service.trigger_facts import Facts
from service.triggers import Refusal, due

WINDOW = 300


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def live_rows(count: int, *, seed: int, unit: float = 1.0) -> pa.Table:
    random = np.random.default_rng(seed)
    colours = [["red", "green", "blue"][number] for number in random.integers(0, 3, count)]
    return pa.table({"size": random.normal(size=count) * unit, "colour": colours})


def project_with(registry: Registry, policy: dict[str, Any]) -> Project:
    """A champion whose training rows are 1,000 of the same kind."""
    project = make_project(registry, policy=policy)
    model = make_model(registry, project)
    buffer = io.BytesIO()
    pq.write_table(live_rows(1000, seed=0), buffer)
    reference = registry.blobs.put(buffer.getvalue(), at=NOW)
    attachments = {name: dataclasses.asdict(blob) for name, blob in model.attachments.items()}
    with registry.db.write() as connection:
        connection.execute(
            t.models.update().values(attachments={**attachments, "reference": dataclasses.asdict(reference)})
        )
    make_champion(registry, project, model.version)
    return registry.projects.get("fruit")


def serve(registry: Registry, project: Project, rows: pa.Table) -> None:
    ids = pa.array([f"live-{number}" for number in range(len(rows))])
    stamps = {
        "_row_id": ids,
        "_source": pa.repeat("prediction", len(rows)),
        "_arrived_at": pa.repeat(pa.scalar(NOW, pa.timestamp("us", tz="UTC")), len(rows)),
    }
    predicted = {
        "_row_id": ids,
        "model_version": pa.repeat(pa.scalar(1, pa.int32()), len(rows)),
        "value": pa.repeat("yes", len(rows)),
        "score": pa.repeat(0.9, len(rows)),
        "probabilities": pa.array([[0.1, 0.9]] * len(rows), pa.list_(pa.float64())),
        "at": stamps["_arrived_at"],
    }
    with registry.datasets.stage(project) as staging:
        for name, values in stamps.items():
            rows = rows.append_column(name, values)
        staging.write_rows(rows)
        staging.write_predictions(pa.table(predicted))
        registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=NOW)


def report_on(registry: Registry, project: Project) -> DriftRecord:
    watch = DriftWatch(
        registry,
        Settings(home=registry.home),
        clock=lambda: NOW + timedelta(hours=1),
        metrics=Metrics(),
        on_report=lambda: None,
    )
    watch.look_at(project, Policy.model_validate(project.policy))
    watch._beside.join(timeout=120)
    latest = registry.drift.latest(project.id)
    assert latest is not None
    return latest


def events(registry: Registry) -> list[str]:
    return [event.type for event in registry.ledger.events()]


@pytest.mark.slow
def test_unit_error_is_the_contracts_business_and_never_retrains(registry: Registry) -> None:
    eager = {
        "triggers": {
            "schedule": None,
            "new_labels": {"count": 1},
            "drift": {"window": WINDOW, "action": "retrain", "joint": {"action": "retrain"}},
        },
        "min_fresh_labels": 1,
    }
    project = project_with(registry, eager)
    serve(registry, project, live_rows(WINDOW, seed=1, unit=1000.0))
    report = report_on(registry, project)
    assert report.drifted == ("size",)
    assert report.report["joint"]["drifted"] is True
    assert report.report["top_columns"][0] == "size"
    policy = Policy.model_validate(project.policy)
    facts = gather(registry, project, policy, NOW)
    assert facts.broken is not None
    assert "'size' moved by" in facts.broken
    assert "has a unit changed?" in facts.broken
    answer = due(policy, facts, NOW)
    assert isinstance(answer, Refusal)
    assert answer.guard == "data_contract"
    without = dataclasses.replace(facts, broken=None)
    assert isinstance(without, Facts)
    assert not isinstance(due(policy, without, NOW), Refusal)  # it is the contract that holds it back
    assert "incumbent.drift.detected" in events(registry)


@pytest.mark.slow
def test_unchanged_window_is_reported_without_an_event(registry: Registry) -> None:
    project = project_with(registry, {"triggers": {"drift": {"window": WINDOW}}})
    serve(registry, project, live_rows(WINDOW, seed=1))
    report = report_on(registry, project)
    assert report.drifted == ()
    assert report.report["joint"]["drifted"] is False
    assert report.report["top_columns"] == []
    assert report.report["rule"]["q"] == 0.01
    assert gather(registry, project, Policy(), NOW).broken is None
    assert "incumbent.drift.detected" not in events(registry)
