"""How labelling goes: how far people agree, and what the drawn rows say of the model."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from automl.annotators import agreement
from automl.labelling import Queue, Why
from automl.schema import Schema
from automl.task import Task
from registry.labeling import QueueItem, Round, RowAnswer
from registry.records import Project
from registry.store import Registry
from service.deployment import Deployment


def progress(registry: Registry, project: Project) -> dict[str, Any]:
    """Counts of answers by annotator, and their agreement (classification; rows with two labels or more)."""
    answers = registry.labeling.answers(project.id)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"answered": 0, "skipped": 0})
    for answer in answers:
        counts[answer.annotator]["skipped" if answer.label is None else "answered"] += 1
    return {
        "annotators": [{"name": name, **count} for name, count in sorted(counts.items())],
        "waiting": len({one.row_id for one in answers if one.batch is None and one.label is not None}),
        "agreement": _agreement(project, answers),
    }


def accuracy(registry: Registry, project: Project, model: Deployment) -> dict[str, Any] | None:
    """The model's accuracy on the pool of its newest round in which drawn rows were labelled.

    Rows were chosen for being hard, but a share was drawn with known chances, so the estimate is unbiased for the
    pool. None for numbers, or before two drawn rows of one round were labelled.
    """
    if not model.task.is_classification:
        return None
    own = (one for one in registry.labeling.rounds(project.id) if one.model_version == model.version)
    found = (_accuracy(registry, project, round_, model) for round_ in own)
    return next((one for one in found if one is not None), None)


def _accuracy(
    registry: Registry, project: Project, round_: Round, model: Deployment
) -> dict[str, Any] | None:
    asked = registry.labeling.items(project.id, round_.number)
    items = tuple(
        item for item in asked if item.why != Why.CHECK.value
    )  # those have labels: no part of the pool
    truths = registry.datasets.truths(project.id, [item.row_id for item in items])
    answered = np.array([truths.get(item.row_id) is not None for item in items], dtype=bool)
    if sum(item.why == Why.DRAWN.value for item in _only(items, answered)) < 2:
        return None
    guesses = guesses_of(registry, project, model, [item.row_id for item in _only(items, answered)])
    right = np.array([guesses.get(one.row_id) == truths.get(one.row_id) for one in items], dtype=np.float64)
    queue = Queue(
        rows=np.arange(len(items)),
        values=np.array([item.value for item in items]),
        reasons=tuple(Why(item.why) for item in items),
        probabilities=np.array([item.probability for item in items]),
        pool=round_.pool,
    )
    return {"round": round_.number, **queue.estimate(right, answered).to_json()}


def guesses_of(registry: Registry, project: Project, model: Deployment, row_ids: list[str]) -> dict[str, str]:
    """What the model says of rows, in the target's text, by row id."""
    table = registry.datasets.rows(project.id, row_ids)
    if not table.num_rows:
        return {}
    values = model.predict(table).values
    text = model.schema.target.text
    return dict(zip(table["_row_id"].to_pylist(), map(text, values), strict=True))


def _only(items: tuple[QueueItem, ...], kept: np.ndarray[Any, Any]) -> list[QueueItem]:
    return [item for item, is_kept in zip(items, kept.tolist(), strict=True) if is_kept]


def _agreement(project: Project, answers: tuple[RowAnswer, ...]) -> dict[str, Any] | None:
    task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
    if not task.is_classification:
        return None
    position = {schema.target.text(label): place for place, label in enumerate(task.classes)}
    said = [one for one in answers if one.label in position]
    rows = {row: place for place, row in enumerate(dict.fromkeys(one.row_id for one in said))}
    who = {name: place for place, name in enumerate(sorted({one.annotator for one in said}))}
    labels = np.full((len(rows), max(len(who), 1)), -1)
    for one in said:
        labels[rows[one.row_id], who[one.annotator]] = position[str(one.label)]
    return agreement(labels, classes=len(task.classes)).to_json()
