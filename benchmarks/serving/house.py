"""A home folder of ours with that model in it, registered and promoted through the registry as a run's end does."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from automl import features
from automl.compiled import NotCompiled
from automl.compiled.compiling import compile_pipeline
from automl.compiled.packing import pack
from automl.features import preprocessor
from automl.schema import Checked, check, frame, infer
from automl.scoring import encoded
from automl.task import Task, TaskKind
from benchmarks.serving import material
from registry.records import BatchKind, BlobRef, NewModel, NewPromotion, Project, PromotionKind
from registry.store import Registry
from service.kept_forms import FORM
from service.policy import Policy

QUIET = {
    "triggers": {"schedule": None, "new_labels": None, "drift": None, "decay": None},
    "min_fresh_labels": 1,
}
"""No run starts by itself while something is measured."""
COMPILED, OWN, OPAQUE = "compiled", "own", "opaque"
GOLDEN_ROWS = 20
ALLOWED = {
    "passed": True,
    "reason": "every server's answers are compared with the pipeline's before it is measured",
}
"""What a judge writes of a model whose compiled form it has looked at; loading still tries it on the golden rows."""


class Opaque(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step that changes nothing and that no compiler knows."""

    def fit(self, X: Any, y: object = None) -> Opaque:
        return self

    def transform(self, X: Any) -> Any:
        return X

    def __sklearn_is_fitted__(self) -> bool:
        return True


class House:
    """A registry with projects for a benchmark."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        self._registry = Registry.open(home)
        self._now = datetime.now(UTC)
        self._rows = pa.table(material.columns(material.TRAIN_ROWS, 0))
        task = Task(kind=TaskKind.CLASSIFICATION, target=material.TARGET, metric="auto")
        self.schema, self.task = infer(self._rows, task)
        self._checked = check(self._rows, self.schema, self.task)

    def close(self) -> None:
        self._registry.close()

    def add_project(
        self, name: str, *, with_rows: bool = False, policy: dict[str, Any] | None = None
    ) -> Project:
        """A project that knows its schema, and perhaps the labelled training rows."""
        chosen = Policy.model_validate({**QUIET, **(policy or {})}).model_dump(mode="json")
        self._registry.projects.create(name, task=self.task.to_json(), policy=chosen, at=self._now)
        project = self._registry.projects.update(name, task=self.task.to_json(), schema=self.schema.to_json())
        if with_rows:
            _add_rows(self._registry, project, self._checked, self._now)
        return project

    def add_model(self, project: Project, pipeline: Pipeline, *, champion: bool = True) -> int:
        """Registers a fitted pipeline as the next version, perhaps as the champion."""
        golden = self._checked.table.slice(0, GOLDEN_ROWS)
        answers = pipeline.predict_proba(frame(golden, self.schema))
        kept = json.dumps({"rows": golden.to_pylist(), "predictions": answers.tolist()}).encode()
        put = self._registry.blobs.put
        new = NewModel(
            blob=put(pickle.dumps(pipeline), at=self._now),
            engine="flaml",
            estimator="lgbm",
            config={},
            dataset_version=1,
            details={
                "task": self.task.to_json(),
                "schema": self.schema.to_json(),
                "requirements": {name: version(name) for name in ("scikit-learn", "lightgbm")},
                "trained_until": {"at": 0, "row_id": ""},
                "compiled": ALLOWED,
            },
            attachments={"golden": put(kept, at=self._now), **self._form(pipeline)},
        )
        made = self._registry.models.register(project.id, new, at=self._now)
        if champion:
            self._promote(project.name, made.version)
        return made.version

    def _form(self, pipeline: Pipeline) -> dict[str, BlobRef]:
        """The compiled form, as a judge leaves it."""
        compiled = compile_pipeline(pipeline, self.schema, self.task)
        packed = None if isinstance(compiled, NotCompiled) else pack(compiled)
        return {} if packed is None else {FORM: self._registry.blobs.put(packed, at=self._now)}

    def fit(self, *, kind: str = COMPILED, **trees: Any) -> Pipeline:
        """Our own features with the trees of :mod:`material`, one column for each of the 32 values of a category.

        OWN has an unknown step before the trees, so that only the features can be compiled; OPAQUE has it before the
        features, so that all goes through pandas and scikit-learn.
        """
        model = LGBMClassifier(**{**material.TREES, **trees})
        labels = self._checked.labels.to_pylist()
        y = np.array([self.task.encode(self.schema.target.parse(label)) for label in labels])
        steps = [*preprocessor(self.schema, self.task, seed=0).steps, ("model", model)]
        if kind != COMPILED:
            steps.insert(2 if kind == OWN else 1, ("opaque", Opaque()))
        pipeline = Pipeline(steps)
        with _wide_one_hot():
            pipeline.fit(frame(self._checked.table, self.schema), y)
        assert model.n_features_in_ == material.FEATURE_COUNT, model.n_features_in_
        return pipeline

    def encoded(self, pipeline: Pipeline) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The training rows as the matrix that the trees get."""
        return encoded(pipeline, frame(self._checked.table, self.schema))

    def answers(self, pipeline: Pipeline, rows: list[dict[str, Any]]) -> list[float]:
        """P(yes) of each row, by the pipeline itself."""
        table = pa.table({name: [row[name] for row in rows] for name in material.FEATURES})
        checked = check(table, self.schema, self.task)
        shares: list[float] = pipeline.predict_proba(frame(checked.table, self.schema))[:, 1].tolist()
        return shares

    def _promote(self, name: str, number: int) -> None:
        epoch = self._registry.projects.get(name).epoch
        new = NewPromotion(
            expected_epoch=epoch, kind=PromotionKind.MANUAL, reason="a benchmark", actor="benchmark"
        )
        self._registry.ledger.promote(self._registry.projects.get(name).id, number, new, at=self._now)


@contextmanager
def _wide_one_hot() -> Iterator[None]:
    """The bound is read while fitting; at its usual 20 these categories would become one target mean each."""
    usual = features.ONE_HOT_UP_TO
    features.ONE_HOT_UP_TO = material.VALUES
    try:
        yield
    finally:
        features.ONE_HOT_UP_TO = usual


def _add_rows(registry: Registry, project: Project, checked: Checked, at: datetime) -> None:
    count = checked.table.num_rows
    ids = pa.array([f"row-{number}" for number in range(count)])
    moment = pa.scalar(at, pa.timestamp("us", tz="UTC"))
    with registry.datasets.stage(project) as staging:
        table = checked.table.append_column("_row_id", ids).append_column(
            "_arrived_at", pa.repeat(moment, count)
        )
        staging.write_rows(table.append_column("_source", pa.repeat("upload", count)))
        labels = {
            "_row_id": ids,
            "label": checked.labels,
            "source": pa.repeat("given", count),
            "at": pa.repeat(moment, count),
        }
        staging.write_labels(pa.table(labels))
        registry.datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=at)
