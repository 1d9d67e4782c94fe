"""What goes with a model: rows with the answers it has to give again, and rows like those it was trained on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from automl.schema import Schema, frame
from automl.scoring import predictions
from automl.task import Task
from service.desk import Desk

GOLDEN_ROWS = 20
REFERENCE_ROWS = 5_000


def write_golden(
    desk: Desk,
    pipeline: Pipeline,
    holdout: pa.Table,
    schema: Schema,
    task: Task,
    *,
    file: str = "golden.json",
) -> None:
    """Rows with the answers that every later load of this model must give again."""
    names = [column.name for column in schema.columns]
    chosen = holdout.select(names).slice(0, GOLDEN_ROWS)
    answers = predictions(pipeline, frame(chosen, schema), task)
    golden: dict[str, Any] = {"rows": chosen.to_pylist(), "predictions": answers.tolist()}
    (desk.folder / file).write_text(json.dumps(golden, default=lambda moment: moment.isoformat()))


def write_reference(desk: Desk, train: pa.Table, schema: Schema, *, file: str = "reference.parquet") -> None:
    """A sample of the training rows, against which drift is measured."""
    random = np.random.default_rng(desk.spec["seed"])
    names = [column.name for column in schema.columns]
    count = min(REFERENCE_ROWS, len(train))
    picked = np.sort(random.choice(len(train), size=count, replace=False))
    pq.write_table(train.select(names).take(pa.array(picked)), desk.folder / file)
