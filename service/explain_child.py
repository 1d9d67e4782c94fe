"""The process that explains: ``python -m service.explain_child PARENT``.

It reads requests from its standard input and writes answers to what was its standard output, each behind its length in
eight bytes. It keeps a few models; a request that names another is answered with what it lacks, and sent again with
the model. It ends with its parent, or when nothing was asked for a while.
"""

from __future__ import annotations

import io
import os
import pickle
import select
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from automl.explain import Explainer, Explanations
from automl.explain.counterfactual import Counterfactual, Counterfactuals
from automl.schema import Schema, frame
from automl.task import Task
from service.explain_messages import Model, Reply, Request
from service.frames import read_frame, write_frame
from service.lineup import fall_in

KEPT_MODELS = 4
IDLE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class _Known:
    explainer: Explainer
    counterfactuals: Counterfactuals | None
    task: Task
    schema: Schema


class Desk:
    """Answers requests with the models of the last few."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def answer(self, request: Request) -> Reply:
        if request.model is not None:
            self._known[request.key] = _opened(request.model)
            while len(self._known) > KEPT_MODELS:
                self._known.popitem(last=False)
        known = self._known.get(request.key)
        if known is None:
            return Reply(lacking=True)
        self._known.move_to_end(request.key)
        table = pa.ipc.open_stream(request.rows).read_all()
        others = _otherwise(known, table) if request.counterfactuals else None
        return Reply(explanations=_told(known, table, known.explainer.explain(table), others))


def _opened(model: Model) -> _Known:
    pipeline = pickle.loads(model.pipeline)
    schema, task = Schema.from_json(model.schema), Task.from_json(model.task)

    def score(table: pa.Table) -> Any:
        rows = frame(table, schema)
        return pipeline.predict_proba(rows) if task.is_classification else pipeline.predict(rows)

    background = pq.read_table(io.BytesIO(model.background))
    explainer = Explainer(pipeline, schema, task, background, score)
    others = None
    if task.is_classification:
        others = Counterfactuals(explainer.background, schema, explainer.used, score)
    return _Known(explainer, others, task, schema)


def _otherwise(known: _Known, table: pa.Table) -> list[dict[str, Any] | None]:
    """Of each row what would have had to be otherwise; None where nothing that was tried is enough, or there are no
    classes."""
    if known.counterfactuals is None:
        return [None] * table.num_rows
    told: list[dict[str, Any] | None] = []
    for at in range(table.num_rows):
        row = table.slice(at, 1)
        found = known.counterfactuals.of(
            row.select([name for name in known.schema.names if name in row.schema.names])
        )
        told.append(None if found is None else _changed(known, row, found))
    return told


def _changed(known: _Known, row: pa.Table, found: Counterfactual) -> dict[str, Any]:
    changes = [
        {"column": name, "from": row[name][0].as_py(), "to": value}
        for name, value in zip(found.columns, found.to, strict=True)
    ]
    label = known.schema.target.text(known.task.classes[found.position])
    return {"class": label, "changes": changes, "distance": round(found.distance, 4)}


def _told(
    known: _Known, table: pa.Table, told: Explanations, others: list[dict[str, Any] | None] | None
) -> list[bytes]:
    classes = [known.schema.target.text(label) for label in known.task.classes]
    columns = [table[name].to_pylist() for name in told.columns]
    encode = msgspec.json.Encoder().encode
    said = [told.to_json(row, values, classes) for row, values in enumerate(zip(*columns, strict=True))]
    if others is not None:
        said = [{**one, "counterfactual": other} for one, other in zip(said, others, strict=True)]
    return [encode(one) for one in said]


def main(arguments: list[str]) -> int:
    # What a library prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    fall_in(int(arguments[0]))
    desk, requests = Desk(), sys.stdin.buffer
    decode, encode = msgspec.msgpack.Decoder(Request).decode, msgspec.msgpack.Encoder().encode
    while select.select([requests], [], [], IDLE_SECONDS)[0]:
        message = read_frame(requests)
        if message is None:
            return 0
        try:
            reply = desk.answer(decode(message))
        except Exception as error:
            reply = Reply(error=f"{type(error).__name__}: {error}")
        write_frame(answers, encode(reply))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
