"""One engine's search, in its own process."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.candidate import Candidate
from automl.engines import engine
from automl.engines.protocol import Problem, Start, Trial
from automl.pseudo_training import with_pseudo_labels
from automl.schema import Schema, frame
from automl.snapshot import folds, row_order
from automl.task import Task
from service.desk import Desk
from service.sealed import seal_object
from service.stages.rows import encoded_labels, entities
from service.stages.weights import weighed


def run(desk: Desk, detail: str) -> None:
    """Search with the engine that ``detail`` names; leaves ``<detail>.json``, which names a sealed model.

    ``<engine>-pseudo`` is the third arm: the same search with pseudo-labelled rows to train on as well. The file
    is written anew for each best so far, so that a search that is ended early leaves something.
    """
    spec = desk.spec
    name, _, arm = detail.partition("-")
    searcher = engine(name)
    start = spec.get("start")
    candidate = searcher.search(
        _with_pseudo_labels(desk, _problem(desk)) if arm else _problem(desk),
        budget_seconds=spec["budgets"][detail],
        seed=spec["seed"],
        report=lambda trial: _report(desk, trial),
        start=Start(**start) if start and start["engine"] == name else None,
        offer=lambda best: _leave(desk, best, detail),
        begin=desk.ready,
    )
    _leave(desk, candidate, detail)


def _leave(desk: Desk, candidate: Candidate, detail: str) -> None:
    name = f"{detail}-{uuid.uuid4().hex}.model"
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
    draft = desk.folder / f"{detail}.draft"
    draft.write_text(json.dumps(facts, default=str))
    draft.rename(desk.folder / f"{detail}.json")


def _problem(desk: Desk) -> Problem:
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    table, weights = _train(desk)
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


def _train(desk: Desk) -> tuple[pa.Table, npt.NDArray[np.float64] | None]:
    return weighed(pq.read_table(desk.folder / "train.parquet"), desk.spec.get("label_sources") or {})


def _with_pseudo_labels(desk: Desk, problem: Problem) -> Problem:
    more = pq.read_table(desk.folder / "pseudo.parquet")
    true, _ = _train(desk)
    of_true = entities(true, problem.task)
    of_more = entities(more, problem.task)
    return with_pseudo_labels(
        problem,
        frame(more, problem.schema),
        encoded_labels(more, problem.schema, problem.task),
        more["_weight"].to_numpy(),
        entities=None if of_true is None or of_more is None else (of_true, of_more),
    )


def _report(desk: Desk, trial: Trial) -> None:
    desk.tell("trial", **asdict(trial))
