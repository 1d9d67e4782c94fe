"""How MLflow asks a model of Incumbent. A copy of this file goes into each exported folder, beside the package ``automl``,
which is all that it needs."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from automl.schema import Schema, check, frame, table_from_rows
from automl.scoring import predictions
from automl.task import Task

DATA = "data"
MODEL, CONTRACT = "model.pickle", "contract.json"


class Scorer:
    """Rows as callers have them in, ``value`` and for a classification ``probability_<class>`` out: what the server that
    the model comes from answers. Raises ValueError, naming row and column, for a row that it would refuse."""

    def __init__(self, pipeline: Any, schema: Schema, task: Task) -> None:
        names = set(schema.feature_names(task))
        self._pipeline = pipeline
        # What a model does not learn from (ids, entities, sensitive columns) nobody has to send.
        columns = tuple(column for column in schema.columns if column.name in names)
        self._schema = replace(schema, columns=columns)
        self._task = replace(task, id_column=None, entity_column=None, sensitive=())

    def predict(self, model_input: Any, params: Any = None) -> pd.DataFrame:
        """``params`` has no meaning here; MLflow passes it."""
        rows = pd.DataFrame(model_input)
        plain = rows.astype(object).where(rows.notna(), None)
        records: list[dict[Any, Any]] = plain.to_dict("records")
        found = check(table_from_rows(records), self._schema, self._task)
        if found.faults:
            first = found.faults[0]
            raise ValueError(f"row {first.row}, column {first.column!r}: {first.message}")
        answers = predictions(self._pipeline, frame(found.table, self._schema), self._task)
        if not self._task.is_classification:
            return pd.DataFrame({"value": answers}, index=rows.index)
        classes = self._task.classes
        told = {
            f"probability_{str(one).lower() if isinstance(one, bool) else one}": answers[:, place]
            for place, one in enumerate(classes)
        }
        values = [classes[place] for place in answers.argmax(axis=1)]
        return pd.DataFrame({"value": values, **told}, index=rows.index)


def _load_pyfunc(path: str) -> Scorer:
    """What MLflow calls; ``path`` is the folder with the pickle and the contract."""
    folder = Path(path)
    contract = json.loads((folder / CONTRACT).read_text(encoding="utf-8"))
    pipeline = pickle.loads((folder / MODEL).read_bytes())
    return Scorer(pipeline, Schema.from_json(contract["schema"]), Task.from_json(contract["task"]))
