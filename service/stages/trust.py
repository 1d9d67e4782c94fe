"""The gate vector of a run: both models before every check that the policy asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.schema import Schema, frame
from automl.scoring import aligned, predictions
from automl.snapshot import row_order
from automl.task import Label, Task
from automl.trust.exhibit import GATE_ROWS, TRAIN_ROWS, Answers, Exhibit, Standing, drawn
from automl.trust.vector import examined
from automl.verdict import Gate
from service.desk import Desk
from service.trust_reports import TRUST_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The rows of a run as its judge has them. ``rows`` and ``y`` are those of the ``holdout``, ``train_y`` of ``train``."""

    task: Task
    schema: Schema
    holdout: pa.Table
    rows: pd.DataFrame
    y: npt.NDArray[Any]
    train: pa.Table
    train_y: npt.NDArray[Any]

    def standing(self, pipeline: Pipeline, whole: Answers, known: Sequence[Label], seconds: float) -> _Model:
        """A model with its answers to the whole holdout, which took it so many ``seconds``; ``known`` are the classes that
        it was trained for."""
        each = seconds / max(len(self.rows), 1)
        return _Model(pipeline=pipeline, whole=whole, known=tuple(known), row_seconds=each)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    pipeline: Pipeline
    whole: Answers
    known: tuple[Label, ...]
    row_seconds: float

    def before(self, seen: Seen, picked: npt.NDArray[np.intp]) -> Standing:
        def ask(rows: pd.DataFrame) -> Answers:
            answers = predictions(self.pipeline, rows, seen.task)
            return aligned(answers, self.known, seen.task.classes) if seen.task.is_classification else answers

        return Standing(
            answers=self.whole[picked],
            whole=self.whole,
            ask=ask,
            pipeline=self.pipeline,
            row_seconds=self.row_seconds,
        )


def write_trust(desk: Desk, seen: Seen, champion: _Model | None, challenger: _Model) -> tuple[Gate, ...]:
    """The gates of every check; leaves ``trust.json`` with their reports and what each took."""
    asked = desk.spec["trust"]
    if all(rule is None for rule in asked["rules"].values()):
        return ()
    exhibit = _exhibit(seen, champion, challenger, seed=desk.spec["seed"], seconds=asked["seconds"])
    found = examined(exhibit, asked["rules"])
    report = {
        **{name: one.report for name, one in found.items()},
        "gates": [gate.to_json() for one in found.values() for gate in one.gates],
        "seconds": {name: one.seconds for name, one in found.items()},
    }
    (desk.folder / TRUST_FILE).write_text(json.dumps(_plain(report), default=str, allow_nan=False))
    return tuple(gate for one in found.values() for gate in one.gates)


def _exhibit(
    seen: Seen, champion: _Model | None, challenger: _Model, *, seed: int, seconds: float
) -> Exhibit:
    in_time = np.argsort(row_order(seen.holdout, seen.task), kind="stable")
    picked = in_time[drawn(len(in_time), GATE_ROWS, seed=seed)]
    trained = drawn(len(seen.train), TRAIN_ROWS, seed=seed)
    return Exhibit(
        task=seen.task,
        schema=seen.schema,
        metric=seen.task.metric,
        rows=seen.rows.iloc[picked].reset_index(drop=True),
        y=seen.y[picked],
        whole=seen.rows,
        whole_y=seen.y,
        train=frame(seen.train.take(pa.array(trained)), seen.schema),
        train_y=seen.train_y[trained],
        champion=None if champion is None else champion.before(seen, picked),
        challenger=challenger.before(seen, picked),
        seed=seed,
        seconds=seconds,
        whole_ids=seen.holdout["_row_id"].to_pylist(),
        train_ids=seen.train["_row_id"].take(pa.array(trained)).to_pylist(),
    )


def _plain(value: Any) -> Any:
    """As JSON has it: what is no finite number is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
