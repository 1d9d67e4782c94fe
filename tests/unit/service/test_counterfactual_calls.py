"""Counterfactuals in the process that explains: beside the contributions, in the caller's words."""

from __future__ import annotations

import json
import pickle
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline
from small_house import raw_rows

from automl.features import preprocessor
from automl.schema import check, frame, infer
from automl.task import Task, TaskKind
from service.api.explanations import _check
from service.explain_child import Desk
from service.explain_messages import Model, Request
from service.problems import Problem


def test_the_changed_row_is_answered_with_the_class_that_was_told() -> None:
    raw = raw_rows(400, 3)
    schema, task = infer(raw, Task(kind=TaskKind.CLASSIFICATION, target="ripe", metric="auto"))
    checked = check(raw, schema, task)
    y = [task.encode(schema.target.parse(text)) for text in checked.labels.to_pylist()]
    model = LGBMClassifier(n_estimators=20, n_jobs=1, random_state=0, verbose=-1)
    pipeline = Pipeline([*preprocessor(schema, task, seed=0).steps, ("model", model)])
    pipeline.fit(frame(checked.table, schema), y)
    background, rows = BytesIO(), pa.BufferOutputStream()
    pq.write_table(checked.table, background)
    asked = checked.table.slice(0, 10)
    with pa.ipc.new_stream(rows, asked.schema) as writer:
        writer.write_table(asked)
    request = Request(
        key="1",
        rows=rows.getvalue().to_pybytes(),
        model=Model(
            pipeline=pickle.dumps(pipeline),
            schema=schema.to_json(),
            task=task.to_json(),
            background=background.getvalue(),
        ),
        counterfactuals=True,
    )
    reply = Desk().answer(request)
    assert reply.error is None
    told = [json.loads(one)["counterfactual"] for one in reply.explanations]
    assert any(one is not None for one in told)
    for at, one in enumerate(told):
        if one is None:
            continue
        changed = frame(asked.slice(at, 1), schema)
        plain = pipeline.predict(changed)[0]
        for change in one["changes"]:
            changed[change["column"]] = pd.array([change["to"]], dtype=changed[change["column"]].dtype)
        answer = int(pipeline.predict(changed)[0])
        assert answer != plain
        assert schema.target.text(task.decode(answer)) == one["class"]


def test_too_many_rows_are_refused_with_a_way_out() -> None:
    with pytest.raises(Problem) as refused:
        _check(None, 51)
    assert refused.value.code == "too_many_counterfactuals"
