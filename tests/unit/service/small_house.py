"""A registry with a project, a schema and real (tiny) models in it: what serving and scheduling start from."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fastapi.testclient import TestClient
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.features import preprocessor
from automl.schema import Schema, check, frame, infer
from automl.task import Task, TaskKind
from registry.records import BatchKind, Model, NewModel, NewPromotion, Project, PromotionKind
from registry.store import Registry
from service.policy import Policy

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def await_ready(http: TestClient, within: float = 60) -> None:
    """Champions are loaded beside the start: until then calls are answered 503, and the ledger lacks the deployment."""
    end = time.monotonic() + within
    while (told := http.get("/readyz")).status_code != 200:
        assert time.monotonic() < end, told.text
        time.sleep(0.02)


def raw_rows(count: int = 120, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    size = random.normal(size=count).round(3)
    return pa.table(
        {
            "size": size,
            "colour": [["red", "green", "blue"][number] for number in random.integers(0, 3, count)],
            "ripe": ["yes" if value > 0 else "no" for value in size],
        }
    )


def make_project(
    registry: Registry, *, name: str = "fruit", policy: Mapping[str, Any] | None = None
) -> Project:
    """A project with a schema and 120 labelled rows."""
    task = Task(kind=TaskKind.CLASSIFICATION, target="ripe", metric="auto")
    schema, task = infer(raw_rows(), task)
    chosen = Policy.model_validate(policy or {})
    registry.projects.create(name, task=task.to_json(), policy=chosen.model_dump(mode="json"), at=NOW)
    project = registry.projects.update(name, task=task.to_json(), schema=schema.to_json())
    add_rows(registry, project, [f"row-{number}" for number in range(120)])
    return project


def add_rows(registry: Registry, project: Project, ids: list[str], *, seed: int = 0) -> None:
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    checked = check(raw_rows(len(ids), seed), schema, task)
    with registry.datasets.stage(project) as staging:
        staging.write_rows(checked.table.append_column("_row_id", pa.array(ids)))
        staging.write_labels(
            pa.table(
                {
                    "_row_id": pa.array(ids),
                    "label": checked.labels,
                    "source": pa.repeat("given", len(ids)),
                    "at": pa.repeat(pa.scalar(NOW, pa.timestamp("us", tz="UTC")), len(ids)),
                }
            )
        )
        registry.datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)


def make_model(
    registry: Registry,
    project: Project,
    *,
    C: float = 1.0,
    golden_shift: float = 0.0,
    compiled: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Model:
    """A fitted logistic regression, registered with its golden rows; ``golden_shift`` falsifies these, ``compiled`` is
    what was found of its compiled form, ``details`` more that is known of it."""
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    checked = check(raw_rows(), schema, task)
    y = np.array([task.encode(schema.target.parse(label)) for label in checked.labels.to_pylist()])
    steps = preprocessor(schema, task, seed=0).steps
    pipeline = Pipeline([*steps, ("model", LogisticRegression(C=C))]).fit(frame(checked.table, schema), y)
    golden = checked.table.slice(0, 10)
    answers = pipeline.predict_proba(frame(golden, schema)) + golden_shift
    put = registry.blobs.put
    new = NewModel(
        blob=put(pickle.dumps(pipeline), at=NOW),
        engine="flaml",
        estimator="lrl1",
        config={"C": C},
        dataset_version=1,
        details={
            "task": task.to_json(),
            "schema": schema.to_json(),
            "requirements": {"scikit-learn": version("scikit-learn")},
            "trained_until": {"at": 0, "row_id": ""},
            **({} if compiled is None else {"compiled": compiled}),
            **(details or {}),
        },
        attachments={
            "golden": put(
                json.dumps({"rows": golden.to_pylist(), "predictions": answers.tolist()}).encode(), at=NOW
            )
        },
    )
    return registry.models.register(project.id, new, at=NOW)


def make_champion(registry: Registry, project: Project, version_: int) -> None:
    now = registry.projects.get(project.name)
    new = NewPromotion(expected_epoch=now.epoch, kind=PromotionKind.MANUAL, reason="a test", actor="test")
    registry.ledger.promote(project.id, version_, new, at=NOW)


def open_registry(folder: Path) -> Registry:
    return Registry.open(folder / "home")
