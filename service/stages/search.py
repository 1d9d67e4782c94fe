"""A run's search, in its own process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.candidate import Candidate
from automl.engines.choosing import BlendRule
from automl.engines.construction import construction
from automl.engines.protocol import Problem, Start, Trial
from automl.engines.race import RaceRule, race
from automl.pseudo_training import with_pseudo_labels
from automl.schema import Schema, frame
from automl.snapshot import folds, other_folds, row_order
from automl.task import Task
from service.desk import Desk
from service.processors import processors
from service.sealed import seal_object
from service.stages.rows import encoded_labels, entities
from service.stages.weights import weighed


def run(desk: Desk, detail: str) -> None:
    """Search with the engines that ``searches`` of the specification gives for ``detail``.

    Leaves ``<detail>.json``, which names a sealed model, and ``<detail>.parts.json`` on what each engine did. A
    detail that ends in ``-pseudo`` is the third arm: the same search with pseudo-labelled rows to train on as well.
    The first file is written anew for each best so far, so that a search that is ended early leaves something.
    """
    asked = desk.spec["searches"][detail]
    found = race(
        problem_of(desk, pseudo=detail.endswith("-pseudo")),
        _rule(asked),
        budget_seconds=asked["budget_seconds"],
        seed=desk.spec["seed"],
        report=lambda trial: _report(desk, trial),
        starts=[Start(**start) for start in desk.spec.get("starts") or ()],
        offer=lambda best: _leave(desk, best, detail),
        begin=desk.ready,
    )
    _leave(desk, found.candidate, detail)
    parts = {name: asdict(part) for name, part in found.parts.items()}
    told = {"parts": parts, "blend": dict(found.blend)}
    (desk.folder / f"{detail}.parts.json").write_text(json.dumps(told, default=float))


def _rule(asked: Mapping[str, Any]) -> RaceRule:
    blend = asked["blend"]
    return RaceRule(
        shares=asked["shares"],
        at_once=min(asked["parallel"] or processors(), len(asked["shares"])),
        patience=asked["patience"],
        blend=None if blend is None else BlendRule(**blend),
    )


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
        "recipe": [dict(part) for part in candidate.recipe],
        "construction": construction(candidate.pipeline),
        "file": name,
    }
    draft = desk.folder / f"{detail}.draft"
    draft.write_text(json.dumps(facts, default=str))
    draft.rename(desk.folder / f"{detail}.json")


def problem_of(desk: Desk, *, pseudo: bool) -> Problem:
    """What is searched on: the snapshot's training rows, with ``pseudo`` those labelled by a model as well."""
    problem = _problem(desk)
    return _with_pseudo_labels(desk, problem) if pseudo else problem


def _problem(desk: Desk) -> Problem:
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    table, weights = _train(desk)
    y = encoded_labels(table, schema, task)
    cut: dict[str, Any] = {
        "task": task,
        "order": row_order(table, task) if task.time_column else None,
        "entities": entities(table, task),
        "seed": desk.spec["seed"],
    }
    return Problem(
        task=task,
        schema=schema,
        X=frame(table, schema),
        y=y,
        folds=folds(y, **cut),
        again=other_folds(y, **cut),
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
