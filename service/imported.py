"""A model from elsewhere is signed into the registry, and a run is queued that judges it."""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import Any

from automl.engines.plain import requirements
from automl.imported import adopted
from automl.schema import Schema, frame
from automl.task import Task
from registry.decisions import NewDecision
from registry.records import Project, Run
from registry.store import Registry
from service.conclusion import queued
from service.imported_bench import ENGINE
from service.mlflow_models.opening import Source
from service.policy import Policy

TRIED_ROWS = 200


def challenge(registry: Registry, project: Project, estimator: Any, found: Source, *, at: datetime) -> Run:
    """Sign the model into the blob store and queue a run that judges it.

    Raises Unfit (it can't stand in this project), Conflict (a run is active), NotFound (there are no rows).
    """
    task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
    rows = registry.datasets.recent(project.id, TRIED_ROWS)
    pipeline = adopted(estimator, schema, task, frame(rows, schema))
    data = pickle.dumps(pipeline, protocol=5)
    blob = registry.blobs.put(data, at=at)
    latest = registry.datasets.latest(project.id)
    assert latest is not None  # it has rows
    policy = Policy.stored(project.policy)
    told = {
        "blob": blob.digest,
        "size_bytes": len(data),
        "estimator": type(estimator).__name__,
        "requirements": dict(requirements(pipeline)),
        "source": found.path.name,
        "kind": found.kind,
        "sha256": found.sha256,
    }
    reason = f"{found.path.name} was imported to be judged"
    return registry.runs.enqueue(
        project.id,
        trigger={"kind": "manual", "fired": [], "evidence": {"sha256": found.sha256}, "by": "command line"},
        reason=reason,
        plan={
            "budget_seconds": policy.search.budget_seconds,
            "engines": {ENGINE: 1.0},
            "policy": policy.model_dump(mode="json"),
            "truths": registry.datasets.facts(project.id).truths,
            ENGINE: told,
        },
        dataset_version=latest.number,
        seed=latest.number,
        decision=NewDecision(
            outcome="triggered", trigger="manual", reason=reason, evidence={"sha256": found.sha256}
        ),
        tell=lambda run: queued(project.name, run),
        at=at,
    )
