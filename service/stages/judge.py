"""Champion and challenger on the same rows that neither was trained on, in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from automl.judge import Rules, Scored, judge, naive_baseline, spent_alpha
from automl.live_losses import LiveLoss
from automl.schema import Schema, frame
from automl.scoring import aligned, latency_ms, predictions
from automl.shift import prediction_shift
from automl.slices import Slice, slices
from automl.task import Label, Task
from service.desk import Desk
from service.sealed import unseal, unseal_object
from service.stages.golden import golden, golden_gap, write_golden
from service.stages.rows import encoded_labels, entities

REFERENCE_ROWS = 5_000


def run(desk: Desk, detail: str) -> None:
    """Judge the challenger in the file ``detail``; leaves ``verdict.json``, ``golden.json``, ``reference.parquet``."""
    spec = desk.spec
    task, schema = Task.from_json(spec["task"]), Schema.from_json(spec["schema"])
    challenger: Pipeline = unseal_object(desk.folder / detail, desk.key)
    champion: Pipeline | None = None
    if spec["champion"] is not None:
        champion = unseal_object(desk.folder / "champion.model", desk.key)
    desk.ready()
    holdout = pq.read_table(desk.folder / "holdout.parquet")
    train = pq.read_table(desk.folder / "train.parquet")
    rows = frame(holdout, schema)
    stored = unseal(desk.folder / detail, desk.key)
    questions = golden(challenger, holdout, schema, task)
    challenged = Scored(
        predictions=predictions(challenger, rows, task),
        latency_ms=latency_ms(challenger, rows, task),
        size_bytes=len(stored),
        golden_gap=golden_gap(stored, questions, schema, task),
    )
    reigning = None if champion is None else _champion(champion, rows, task, spec["champion"]["classes"])
    whole, look = spec["rules"]["alpha"], spec["look"]
    alpha = spent_alpha(whole, look)
    rules = Rules(**{**spec["rules"], "alpha": alpha, "next_alpha": spent_alpha(whole, look + 1)})
    verdict = judge(
        reigning,
        challenged,
        encoded_labels(holdout, schema, task),
        rules,
        seed=spec["seed"],
        task=task,
        groups=_groups(holdout, task),
        train_prior=naive_baseline(encoded_labels(train, schema, task), task, rules.metric),
        slices=_slices(desk, holdout, schema, task, rules),
    )
    if reigning is not None:
        _write_rivalry(desk, encoded_labels(holdout, schema, task), challenged, reigning)
    write_golden(desk.folder, questions)
    _write_reference(desk, train, schema)
    report = {**verdict.to_json(), "alpha_spent": alpha, "look": look}
    (desk.folder / "verdict.json").write_text(json.dumps(report, default=str))
    desk.tell("verdict", outcome=verdict.outcome.value, reason=verdict.reason)


def _groups(holdout: pa.Table, task: Task) -> npt.NDArray[Any] | None:
    """What is resampled as a whole: entities, and each row without one by itself."""
    named = entities(holdout, task)
    if named is None:
        return None
    alone = np.array([f"\0row {position}" for position in range(len(named))], dtype=object)
    return np.where(pd.isna(named), alone, named)


def _slices(desk: Desk, holdout: pa.Table, schema: Schema, task: Task, rules: Rules) -> tuple[Slice, ...]:
    """The parts of the rows that may not get worse; none where the policy has no such gate."""
    most = desk.spec["slices"]
    if most is None:
        return ()
    return slices(holdout, schema, task, most=most, min_rows=rules.slice_rows)


def _champion(champion: Pipeline, rows: pd.DataFrame, task: Task, known: list[Label]) -> Scored:
    scores = predictions(champion, rows, task)
    if task.is_classification:
        scores = aligned(scores, known, task.classes)
    return Scored(predictions=scores, latency_ms=None, size_bytes=None)


def _write_rivalry(desk: Desk, y: npt.NDArray[Any], challenged: Scored, reigning: Scored) -> None:
    """What a later comparison of these two models on live rows measures its losses and its shift against."""
    try:
        loss = LiveLoss.fit(
            desk.spec["rules"]["metric"], y, new=challenged.predictions, old=reigning.predictions
        )
    except ValueError:  # predictions that no metric takes: the verdict says so
        return
    rivalry = {
        "against": desk.spec["champion"]["version"],
        "loss": loss.to_json(),
        "shift": prediction_shift(challenged.predictions, reigning.predictions),
    }
    (desk.folder / "rivalry.json").write_text(json.dumps(rivalry))


def _write_reference(desk: Desk, train: pa.Table, schema: Schema) -> None:
    """A sample of the training rows, against which drift is measured."""
    random = np.random.default_rng(desk.spec["seed"])
    names = [column.name for column in schema.columns]
    count = min(REFERENCE_ROWS, len(train))
    picked = np.sort(random.choice(len(train), size=count, replace=False))
    pq.write_table(train.select(names).take(pa.array(picked)), desk.folder / "reference.parquet")
