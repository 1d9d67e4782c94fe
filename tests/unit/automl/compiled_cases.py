"""For the compiled forms: one table with every kind of column, and pipelines fitted on it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.compiled import Compiled, NotCompiled
from automl.compiled.compiling import compile_pipeline
from automl.features import preprocessor
from automl.schema import Schema, check, frame, infer
from automl.task import Task, TaskKind

ROWS = 400


def rows_of_every_kind() -> pd.DataFrame:
    """Holes in all of them, rare and many categories, a constant, an empty, a sensitive column and an id."""
    random = np.random.default_rng(11)

    def holed(values: Any, share: float = 0.1) -> Any:
        return np.where(random.random(ROWS) < share, None, values)

    words = np.array(["late", "parcel", "broken", "thanks", "please", "call", "back", "never"])
    notes = [f"the customer wrote: {' '.join(random.choice(words, 6))} number {k}" for k in range(ROWS)]
    city = random.choice(
        ["Rome", "Köln", "東京", "🙂", "Lima", "Oslo"], ROWS, p=[0.4, 0.3, 0.2, 0.09, 0.006, 0.004]
    )
    size = random.normal(50, 20, ROWS)
    member = random.choice([True, False], ROWS)
    when = (np.datetime64("2020-01-01T08:00") + random.integers(0, 900_000, ROWS)).astype(str)
    score = size / 20 + 2 * member + (city == "Rome") + random.normal(size=ROWS)
    return pd.DataFrame(
        {
            "note": holed(notes),
            "city": holed(city),
            "size": holed(size),
            "count": random.integers(-5, 2**40, ROWS),
            "zip": [f"z{k}" for k in random.integers(0, 60, ROWS)],
            "member": holed(member),
            "agreed": random.choice([True, False], ROWS),
            "when": holed(when),
            "until": (np.datetime64("2021-03-01") + random.integers(0, 400, ROWS)).astype(str),
            "constant": "same",
            "one": 1.0,
            "sex": random.choice(["f", "m"], ROWS),
            "key": [f"id{k}" for k in range(ROWS)],
            "score": score,
            "two": np.where(score > np.median(score), "yes", "no"),
            "four": np.digitize(score, np.quantile(score, [0.25, 0.5, 0.75])),
        }
    )


class Case:
    """A problem: the preprocessing fitted on its rows, and what it makes of them."""

    def __init__(self, target: str) -> None:
        rows = rows_of_every_kind()
        others = {"score", "two", "four"} - {target}
        kind = TaskKind.REGRESSION if target == "score" else TaskKind.CLASSIFICATION
        asked = Task(kind=kind, target=target, metric="auto", sensitive=("sex",), id_column="key")
        raw = pa.Table.from_pandas(rows.drop(columns=list(others)), preserve_index=False)
        self.schema: Schema
        self.task: Task
        self.schema, self.task = infer(raw, asked)
        checked = check(raw, self.schema, self.task)
        assert checked.faults == ()
        self.table = checked.table
        labels = [self.schema.target.parse(text) for text in checked.labels.to_pylist()]
        self.y = np.array([self.task.encode(x) if self.task.is_classification else x for x in labels])
        self.preprocessing = preprocessor(self.schema, self.task, seed=1)
        self.X = self.preprocessing.fit_transform(frame(self.table, self.schema), self.y)

    def pipeline(self, *steps: Any) -> Pipeline:
        """The fitted preprocessing with these steps fitted on its matrix."""
        X, named = self.X, []
        for at, step in enumerate(steps):
            step.fit(X, self.y)
            named.append((f"step{at}", step))
            X = step.transform(X) if at < len(steps) - 1 else X
        return Pipeline([*self.preprocessing.steps, *named])

    def compiled(self, pipeline: Pipeline) -> Compiled:
        compiled = compile_pipeline(pipeline, self.schema, self.task)
        assert not isinstance(compiled, NotCompiled), compiled.reason
        return compiled


@cache
def case(target: str) -> Case:
    """``two`` or ``four`` classes, or ``score``, a number."""
    return Case(target)
