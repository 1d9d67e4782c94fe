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
        return Reply(explanations=_told(known, table, known.explainer.explain(table)))


def _opened(model: Model) -> _Known:
    pipeline = pickle.loads(model.pipeline)
    schema, task = Schema.from_json(model.schema), Task.from_json(model.task)

    def score(table: pa.Table) -> Any:
        rows = frame(table, schema)
        return pipeline.predict_proba(rows) if task.is_classification else pipeline.predict(rows)

    background = pq.read_table(io.BytesIO(model.background))
    return _Known(Explainer(pipeline, schema, task, background, score), task, schema)


def _told(known: _Known, table: pa.Table, told: Explanations) -> list[bytes]:
    classes = [known.schema.target.text(label) for label in known.task.classes]
    columns = [table[name].to_pylist() for name in told.columns]
    encode = msgspec.json.Encoder().encode
    return [
        encode(told.to_json(row, values, classes)) for row, values in enumerate(zip(*columns, strict=True))
    ]


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
