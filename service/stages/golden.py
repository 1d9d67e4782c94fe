"""Golden rows: questions with the answers that every later load of a model must give again."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.schema import Schema, check, frame, table_from_rows
from automl.scoring import answer_gap, predictions
from automl.task import Task

GOLDEN_ROWS = 20


def golden(pipeline: Pipeline, holdout: pa.Table, schema: Schema, task: Task) -> str:
    """Some rows of the holdout with the model's answers, as JSON text."""
    names = [column.name for column in schema.columns]
    chosen = holdout.select(names).slice(0, GOLDEN_ROWS)
    answers = predictions(pipeline, frame(chosen, schema), task)
    questions: dict[str, Any] = {"rows": chosen.to_pylist(), "predictions": answers.tolist()}
    return json.dumps(questions, default=lambda moment: moment.isoformat())


def golden_gap(stored: bytes, text: str, schema: Schema, task: Task) -> float:
    """How far a model is off its golden answers once its stored bytes are loaded anew and the rows come as JSON, which
    is what serving will do; infinite where it can't be loaded or the rows no longer fit the schema."""
    questions = json.loads(text)
    checked = check(table_from_rows(questions["rows"]), schema, replace(task, id_column=None))
    if checked.faults:
        return float("inf")
    try:
        answers = predictions(pickle.loads(stored), frame(checked.table, schema), task)
    except Exception:  # whatever a model's code raises, it can't serve
        return float("inf")
    return answer_gap(answers, np.asarray(questions["predictions"], dtype=np.float64))


def write_golden(folder: Path, text: str, *, file: str = "golden.json") -> None:
    (folder / file).write_text(text)
