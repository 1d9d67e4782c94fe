"""Champion and challengers on the same rows that none of them was trained on, in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from automl.arms import Arm, Arms, three_arms
from automl.judge import Rules, Scored, naive_baseline, spent_alpha
from automl.schema import Schema, frame
from automl.scoring import aligned, latency_ms, predictions
from automl.task import Label, Task
from service.desk import Desk
from service.sealed import unseal, unseal_object
from service.stages.expectation import write_expectation
from service.stages.proof import write_golden, write_reference
from service.stages.rows import encoded_labels, entities, is_truth


def run(desk: Desk, detail: str) -> None:
    """Judge the challengers that ``arms`` of the specification names, one or two.

    Leaves ``verdict.json`` and, of the one that stands, ``golden.json``, ``reference.parquet`` and
    ``expectation.json``.
    """
    spec = desk.spec
    task, schema = Task.from_json(spec["task"]), Schema.from_json(spec["schema"])
    files = {Arm(arm): file for arm, file in spec["arms"].items() if file is not None}
    pipelines = {arm: unseal_object(desk.folder / file, desk.key) for arm, file in files.items()}
    champion: Pipeline | None = None
    if spec["champion"] is not None:
        champion = unseal_object(desk.folder / "champion.model", desk.key)
    desk.ready()
    holdout = pq.read_table(desk.folder / "holdout.parquet")
    train = pq.read_table(desk.folder / "train.parquet")
    rows, y = frame(holdout, schema), encoded_labels(holdout, schema, task)
    scored = {arm: _scored(desk, files[arm], pipeline, rows, task) for arm, pipeline in pipelines.items()}
    alpha = spent_alpha(spec["rules"]["alpha"], spec["look"])
    arms = three_arms(
        None if champion is None else _champion(champion, rows, task, spec["champion"]["classes"]),
        scored[Arm.TRUE_ONLY],
        scored.get(Arm.WITH_PSEUDO),
        y,
        Rules(**{**spec["rules"], "alpha": alpha}),
        truly_labelled=np.asarray(is_truth(holdout).to_numpy(zero_copy_only=False), dtype=bool),
        seed=spec["seed"],
        task=task,
        train_prior=naive_baseline(encoded_labels(train, schema, task), task, spec["rules"]["metric"]),
        groups=_groups(holdout, task),
    )
    challenger = pipelines[arms.challenger]
    write_golden(desk, challenger, holdout, schema, task)
    write_reference(desk, train, schema)
    write_expectation(desk, challenger, rows, scored[arms.challenger].predictions, y, task)
    report = {**arms.verdict.to_json(), "alpha_spent": alpha, "look": spec["look"]}
    if spec["pseudo"] is not None:
        report["arms"] = _told(arms)
    (desk.folder / "verdict.json").write_text(json.dumps(report, default=str))
    desk.tell("verdict", outcome=arms.verdict.outcome.value, reason=arms.verdict.reason)


def _told(arms: Arms) -> dict[str, Any]:
    """The arms with their scores, the challenger among them, and why it is that one."""
    pseudo, verdict = arms.pseudo, arms.verdict
    return {
        "challenger": arms.challenger.value,
        "reason": arms.reason,
        "scores": {
            "champion": verdict.champion_score,
            Arm.TRUE_ONLY.value: verdict.challenger_score if pseudo is None else pseudo.champion_score,
            Arm.WITH_PSEUDO.value: None if pseudo is None else pseudo.challenger_score,
        },
        "pseudo": None if pseudo is None else pseudo.to_json(),
    }


def _scored(desk: Desk, file: str, pipeline: Pipeline, rows: pd.DataFrame, task: Task) -> Scored:
    return Scored(
        predictions=predictions(pipeline, rows, task),
        latency_ms=latency_ms(pipeline, rows, task),
        size_bytes=len(unseal(desk.folder / file, desk.key)),
    )


def _groups(holdout: pa.Table, task: Task) -> npt.NDArray[Any] | None:
    """What is resampled as a whole: entities, and each row without one by itself."""
    named = entities(holdout, task)
    if named is None:
        return None
    alone = np.array([f"\0row {position}" for position in range(len(named))], dtype=object)
    return np.where(pd.isna(named), alone, named)


def _champion(champion: Pipeline, rows: pd.DataFrame, task: Task, known: list[Label]) -> Scored:
    scores = predictions(champion, rows, task)
    if task.is_classification:
        scores = aligned(scores, known, task.classes)
    return Scored(predictions=scores, latency_ms=None, size_bytes=None)
