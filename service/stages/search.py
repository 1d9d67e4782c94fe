"""One engine's search, in its own process."""

from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow.parquet as pq

from automl.engines import engine
from automl.engines.protocol import Problem, Start, Trial
from automl.schema import Schema, frame
from automl.snapshot import folds, row_order
from automl.task import Task
from service.desk import Desk
from service.sealed import seal_object
from service.stages.rows import encoded_labels, entities


def run(desk: Desk, detail: str) -> None:
    """Search with the engine named ``detail``; leaves ``<engine>.model`` (sealed) and ``<engine>.json``."""
    spec = desk.spec
    searcher = engine(detail)
    problem = _problem(desk)
    start = spec.get("start")
    desk.ready()
    candidate = searcher.search(
        problem,
        budget_seconds=spec["budgets"][detail],
        seed=spec["seed"],
        report=lambda trial: _report(desk, trial),
        start=Start(**start) if start and start["engine"] == detail else None,
    )
    data = seal_object(desk.folder / f"{detail}.model", candidate.pipeline, desk.key)
    facts = {
        "engine": candidate.engine,
        "estimator": candidate.estimator,
        "score": candidate.score,
        "config": dict(candidate.config),
        "requirements": dict(candidate.requirements),
        "size_bytes": len(data),
    }
    (desk.folder / f"{detail}.json").write_text(json.dumps(facts, default=str))
    desk.tell("candidate", **facts)


def _problem(desk: Desk) -> Problem:
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    table = pq.read_table(desk.folder / "train.parquet")
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
    )


def _report(desk: Desk, trial: Trial) -> None:
    desk.tell("trial", **asdict(trial))
