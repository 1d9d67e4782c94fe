"""A run as OpenLineage events (spec 2-0-2): plain values, held to openlineage-python's own classes by the tests."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from registry.records import Model, Project, Run, RunStatus

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets/"
_NAMESPACE = uuid.UUID("0c5d7f0e-3f0b-5c67-9a86-0f6b7f2d4a11")
_TYPES = {
    RunStatus.COMPLETED: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.CANCELLED: "ABORT",
}


def run_event(
    project: Project, run: Run, *, ended: bool, origin: str, content_hash: str | None, models: Sequence[Model]
) -> dict[str, Any]:
    """The event of a run's start, or of its end. ``origin`` names the installation; ``models`` are those the run made.

    A run has the same ``runId`` in all its events, whoever sends them and however often.
    """
    kind = _TYPES[run.status] if ended else "START"
    at = run.finished_at if ended else run.started_at
    namespace = f"incumbent-{origin}"
    return {
        "eventType": kind,
        "eventTime": _time(at or run.created_at),
        "run": {
            "runId": str(uuid.uuid5(_NAMESPACE, f"{origin} {run.id}")),
            "facets": {
                "processing_engine": _facet(
                    "1-1-1/ProcessingEngineRunFacet", version=version("incumbent"), name="incumbent"
                ),
                **_error(run, kind),
            },
        },
        "job": {
            "namespace": namespace,
            "name": f"{project.name}.retrain",
            "facets": {
                "jobType": _facet(
                    "2-0-4/JobTypeJobFacet",
                    processingType="BATCH",
                    integration="INCUMBENT",
                    jobType="TRAINING",
                )
            },
        },
        "inputs": [_rows(project, run, namespace, content_hash)],
        "outputs": [_model(project, model, namespace) for model in models] if ended else [],
        "producer": _producer(),
        "schemaURL": SCHEMA,
    }


def _rows(project: Project, run: Run, namespace: str, content_hash: str | None) -> dict[str, Any]:
    columns = (project.schema or {}).get("columns", ())
    fields = [{"name": one["name"], "type": one["kind"], "fields": []} for one in columns]
    told = f"{run.dataset_version}" + ("" if content_hash is None else f" sha256:{content_hash}")
    snapshot = run.snapshot or {}
    counted = [snapshot[name] for name in ("train_rows", "holdout_rows") if snapshot.get(name) is not None]
    return {
        "namespace": namespace,
        "name": f"{project.name}.rows",
        "facets": {
            "version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=told),
            "schema": _facet("1-2-0/SchemaDatasetFacet", fields=fields),
        },
        "inputFacets": {
            "inputStatistics": _facet("1-0-0/InputStatisticsInputDatasetFacet", rowCount=sum(counted))
        }
        if counted
        else {},
    }


def _model(project: Project, model: Model, namespace: str) -> dict[str, Any]:
    told = f"{model.version} sha256:{model.blob.digest}"
    return {
        "namespace": namespace,
        "name": f"{project.name}.models.{model.version}",
        "facets": {"version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=told)},
        "outputFacets": {
            "outputStatistics": _facet("1-0-2/OutputStatisticsOutputDatasetFacet", size=model.blob.size)
        },
    }


def _error(run: Run, kind: str) -> Mapping[str, Any]:
    if kind not in ("FAIL", "ABORT"):
        return {}
    message = run.error or run.status.value
    return {
        "errorMessage": _facet("1-0-1/ErrorMessageRunFacet", message=message, programmingLanguage="PYTHON")
    }


def _facet(schema: str, **values: Any) -> dict[str, Any]:
    name = schema.rpartition("/")[2]
    return {**values, "_producer": _producer(), "_schemaURL": f"{_FACETS}{schema}.json#/$defs/{name}"}


def _producer() -> str:
    return f"urn:incumbent:{version('incumbent')}"


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
