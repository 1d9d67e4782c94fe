"""A model from elsewhere as the challenger of a run: the run judges it as it judges what a search finds."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from automl.engines.plain import requirements
from automl.imported import adopted
from automl.schema import Schema, frame
from automl.search import SearchResult
from automl.task import Task
from registry.decisions import NewDecision
from registry.records import Project, Run
from registry.store import Registry
from service.bench import Bench
from service.conclusion import Challenger, Judgement, queued
from service.mlflow_models.opening import Source
from service.policy import Policy
from service.registration import Refit

ENGINE = "imported"
TRIED_ROWS = 200


class ImportedBench(Bench):
    """Nothing is searched; what was imported is neither trained again on all rows nor beside pseudo-labels."""

    def search(self, *, arm: str = "") -> SearchResult[Challenger]:
        told: Mapping[str, Any] = self._run.plan[ENGINE]
        file = "imported.model"
        self._room.bring_sealed(file, self._registry.blobs.open(told["blob"]))
        challenger = Challenger(
            engine=ENGINE,
            estimator=told["estimator"],
            score=math.nan,
            config={},
            requirements=told["requirements"],
            size_bytes=told["size_bytes"],
            partial=False,
            file=file,
        )
        part = {"seconds": 0.0, "trials": 0, "peak_mib": 0, "score": None, "estimator": told["estimator"]}
        self._outcomes = {ENGINE: {**part, "partial": False, "error": None}}
        self._log.describe(engines=self._outcomes)
        return SearchResult(outcomes=(), best=challenger, reason=f"imported from {told['source']}")

    def search_with_pseudo_labels(self) -> Challenger | None:
        return None

    def refit(self, judgement: Judgement) -> Refit | None:
        return None


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
