"""The hands of a replay: real models, learnt once for each set of rows and kept sealed in the work folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from automl.drift import DriftRule, drift
from automl.engines.protocol import Problem
from automl.light_drift import shift
from automl.quick import quick_model
from automl.replay_roles import Learnt, Rows
from automl.scoring import predictions
from automl.slices import Slice, slices
from automl.snapshot import folds
from service.desk import Desk
from service.replay.plan import Learner, ReplayPlan
from service.sealed import seal_object, unseal_object
from service.stages.replay_stream import Stream

REFERENCE_ROWS = 5_000
_LOADED = 4
_LEAST_REFERENCE = 100


class Workbench:
    """The stream's rows, and the models that were learnt from some of them.

    A model is named for the rows it was trained on: policies that train on the same rows share it, and each is
    charged what learning it took. So a replay that goes on finds its models again.
    """

    def __init__(self, desk: Desk, stream: Stream, plan: ReplayPlan) -> None:
        self._desk = desk
        self._stream = stream
        self._plan = plan
        self._folder = desk.folder / "models"
        self._folder.mkdir(exist_ok=True)
        self._loaded: OrderedDict[str, Pipeline] = OrderedDict()
        self._features = stream.schema.feature_names(stream.task)
        self._search = _search(plan.learner, plan.seed)

    def learn(self, train: Rows) -> Learnt:
        """A model of these rows. Raises SearchFailed."""
        return self._learnt(train, "", lambda: self._search(self._stream, train))

    def refit(self, model: str, rows: Rows) -> Learnt:
        """The configuration of ``model``, trained on these rows. Raises SearchFailed where none could be."""
        if self._plan.learner.kind == "lightgbm":  # has one configuration
            return self.learn(rows)
        return self._learnt(rows, model, lambda: self._anew(model, rows))

    def _anew(self, model: str, rows: Rows) -> Pipeline:
        fitted: Pipeline = clone(self._model(model)).fit(self._frame(rows), self._stream.y[rows])
        return fitted

    def _learnt(self, train: Rows, of: str, fit: Callable[[], Pipeline]) -> Learnt:
        name = hashlib.sha256(of.encode() + train.astype(np.int64).tobytes()).hexdigest()[:32]
        notes = self._folder / f"{name}.json"
        if notes.exists():
            return Learnt(model=name, seconds=json.loads(notes.read_text())["seconds"])
        began = time.process_time()
        pipeline = fit()
        seconds = time.process_time() - began
        seal_object(self._folder / f"{name}.model", pipeline, self._desk.key)
        random = np.random.default_rng(self._plan.seed)
        sample = train
        if len(train) > REFERENCE_ROWS:
            sample = np.sort(random.choice(train, REFERENCE_ROWS, replace=False))
        np.save(self._folder / f"{name}.npy", sample)
        draft = notes.with_suffix(".draft")
        draft.write_text(json.dumps({"seconds": seconds}))
        draft.replace(notes)  # last: what has notes is whole
        self._remember(name, pipeline)
        return Learnt(model=name, seconds=seconds)

    def answer(self, model: str, rows: Rows) -> npt.NDArray[np.float64]:
        return predictions(self._model(model), self._frame(rows), self._stream.task)

    def truth(self, rows: Rows) -> npt.NDArray[Any]:
        return self._stream.y[rows]

    def groups(self, rows: Rows) -> npt.NDArray[Any] | None:
        return None if self._stream.groups is None else self._stream.groups[rows]

    def slices(self, rows: Rows, *, most: int, min_rows: int) -> tuple[Slice, ...]:
        held, stream = self._stream.table.take(pa.array(rows)), self._stream
        return slices(held, stream.schema, stream.task, most=most, min_rows=min_rows)

    def shift(self, model: str, rows: Rows) -> dict[str, Any]:
        reference = self._frame(np.load(self._folder / f"{model}.npy"))
        current = self._frame(rows)
        rule = DriftRule(
            window=len(rows), reference_rows=REFERENCE_ROWS, min_reference=_LEAST_REFERENCE, joint=None
        )
        schema = self._stream.schema
        if self._plan.drift == "light" or rule.lacking(reference=len(reference), current=len(current)):
            return shift(reference, current, schema, rule, self._features)
        found = drift(reference, current, schema, rule, seed=self._plan.seed, columns=self._features)
        columns = [
            {"name": column.name, "method": column.method, "score": column.score} for column in found.columns
        ]
        return {"share": found.share, "drifted": list(found.drifted_columns), "columns": columns}

    def _frame(self, rows: Rows) -> pd.DataFrame:
        return self._stream.X.iloc[rows].reset_index(drop=True)

    def _model(self, name: str) -> Pipeline:
        if name not in self._loaded:
            self._remember(name, unseal_object(self._folder / f"{name}.model", self._desk.key))
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def _remember(self, name: str, pipeline: Pipeline) -> None:
        self._loaded[name] = pipeline
        while len(self._loaded) > _LOADED:
            self._loaded.popitem(last=False)


def _search(learner: Learner, seed: int) -> Callable[[Stream, Rows], Pipeline]:
    if learner.kind == "lightgbm":

        def quick(stream: Stream, rows: Rows) -> Pipeline:
            X = stream.X.iloc[rows].reset_index(drop=True)
            return quick_model(X, stream.y[rows], schema=stream.schema, task=stream.task, seed=seed)

        return quick
    from automl.engines.flaml_engine import FlamlEngine  # seconds and much memory: only when asked for

    searcher = FlamlEngine(max_trials=learner.trials)

    def real(stream: Stream, rows: Rows) -> Pipeline:
        y = stream.y[rows]
        problem = Problem(
            task=stream.task,
            schema=stream.schema,
            X=stream.X.iloc[rows].reset_index(drop=True),
            y=y,
            folds=folds(
                y,
                task=stream.task,
                order=stream.times[rows] if stream.task.time_column else None,
                entities=None if stream.groups is None else stream.groups[rows],
                seed=seed,
            ),
        )
        budget = learner.seconds or 600.0
        found = searcher.search(problem, budget_seconds=budget, seed=seed, report=lambda trial: None)
        return found.pipeline

    return real
