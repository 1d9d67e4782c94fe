"""One engine's search, in its own process."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq

from automl.candidate import Candidate
from automl.engines import engine
from automl.engines.protocol import Problem, Start, Trial
from automl.schema import Schema, frame
from automl.snapshot import folds, row_order
from automl.task import Task
from service.desk import Desk
from service.sealed import seal_object
from service.stages.rows import encoded_labels, entities
from service.stages.weights import label_weights


def run(desk: Desk, detail: str) -> None:
    """Search with the engine named ``detail``; leaves ``<engine>.json``, which names a sealed model.

    It is written anew for each best so far, so that a search that is ended early leaves something.
    """
    spec = desk.spec
    searcher = engine(detail)
    start = spec.get("start")
    candidate = searcher.search(
        _problem(desk),
        budget_seconds=spec["budgets"][detail],
        seed=spec["seed"],
        report=lambda trial: _report(desk, trial),
        start=Start(**start) if start and start["engine"] == detail else None,
        offer=lambda best: _leave(desk, best),
        begin=desk.ready,
    )
    _leave(desk, candidate)


def _leave(desk: Desk, candidate: Candidate) -> None:
    name = f"{candidate.engine}-{uuid.uuid4().hex}.model"
    data = seal_object(desk.folder / name, candidate.pipeline, desk.key)
    facts = {
        "engine": candidate.engine,
        "estimator": candidate.estimator,
        "score": candidate.score,
        "config": dict(candidate.config),
        "requirements": dict(candidate.requirements),
        "size_bytes": len(data),
        "partial": candidate.partial,
        "file": name,
    }
    draft = desk.folder / f"{candidate.engine}.draft"
    draft.write_text(json.dumps(facts, default=str))
    draft.rename(desk.folder / f"{candidate.engine}.json")


def _problem(desk: Desk) -> Problem:
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    table = pq.read_table(desk.folder / "train.parquet")
    weights = label_weights(table, desk.spec.get("label_sources") or {})
    if weights is not None:
        counts = weights > 0
        table, weights = table.filter(pa.array(counts)), weights[counts]
    y = encoded_labels(table, schema, task)
    return Problem(
        task=task,
        schema=schema,
        X=frame(table, schema),
        y=y,
        folds=folds(
            y,
            task=task,
            order=row_order(table, task) if task.time_column else None,
            entities=entities(table, task),
            seed=desk.spec["seed"],
        ),
        weights=weights,
    )


def _report(desk: Desk, trial: Trial) -> None:
    desk.tell("trial", **asdict(trial))
