"""A model in this process: loaded, verified, warmed, checked on its golden rows."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.compiled import Compiled, NotCompiled
from automl.compiled.compiling import compile_pipeline
from automl.schema import Schema, check, frame, table_from_rows
from automl.scoring import answer_gap
from automl.task import Label, Task
from registry.records import Model, Project
from registry.store import Registry

GOLDEN_TOLERANCE = 1e-6


class CannotDeploy(Exception):
    """The model may not serve; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Answers for rows: ``values`` as the caller writes them, ``scores`` as they are logged (a regression's value,
    P(last class) of two, P(top class) of more), ``probabilities`` of shape (n, K) or None."""

    values: Sequence[Label]
    scores: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One model version, ready to answer. ``epoch`` is the project's when it was loaded.

    ``compiled`` is the model's compiled form where that was found to answer the same; else ``not_compiled`` says why
    the pipeline itself answers.
    """

    project_id: int
    project: str
    version: int
    epoch: int
    revision: int
    task: Task
    schema: Schema
    classes: tuple[Label, ...]
    pipeline: Any
    compiled: Compiled | None = None
    not_compiled: str | None = None

    @property
    def unkeyed_task(self) -> Task:
        """The task without its id column: what prediction rows are checked by."""
        return replace(self.task, id_column=None)

    def predict(self, table: pa.Table) -> Scores:
        """Answers for a table that :func:`automl.schema.check` has typed."""
        return self.answer(self.raw(table))

    def raw(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """Probabilities (n, K), or numbers (n,), for a typed table."""
        return self.through_pipeline(table) if self.compiled is None else self.compiled.table(table)

    def through_pipeline(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """What :meth:`raw` gives, the long way: by the pipeline that was judged."""
        rows = frame(table, self.schema)
        if self.task.is_classification:
            return np.asarray(self.pipeline.predict_proba(rows), dtype=np.float64)
        return np.asarray(self.pipeline.predict(rows), dtype=np.float64)

    def answer(self, raw: npt.NDArray[np.float64]) -> Scores:
        if not self.task.is_classification:
            return Scores(values=raw.tolist(), scores=raw, probabilities=None)
        top = raw.argmax(axis=1)
        values = [self.classes[position] for position in top]
        return Scores(values=values, scores=class_scores(raw, top), probabilities=raw)


def class_scores(raw: npt.NDArray[np.float64], top: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """The scores of :class:`Scores` for probabilities (n, K), of which those at ``top`` are the largest."""
    return raw[:, -1] if raw.shape[1] == 2 else raw[np.arange(len(raw)), top]


def load(registry: Registry, project: Project, model: Model) -> Deployment:
    """The model, ready to serve. Raises CannotDeploy when its bytes, libraries or answers are not what was judged."""
    _check_requirements(model.details["requirements"])
    data = registry.blobs.open(model.blob.digest)
    golden = json.loads(registry.blobs.open(model.attachments["golden"].digest))
    deployment = Deployment(
        project_id=project.id,
        project=project.name,
        version=model.version,
        epoch=project.epoch,
        revision=project.revision,
        task=Task.from_json(project.task),
        schema=Schema.from_json(project.schema or {}),
        classes=Task.from_json(model.details["task"]).classes,
        pipeline=pickle.loads(data),
    )
    questions = _check_golden(deployment, golden)
    return _compiled(deployment, model.details.get("compiled"), questions, golden)


def _check_requirements(requirements: Mapping[str, str]) -> None:
    for name, wanted in requirements.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise CannotDeploy(f"it needs {name} {wanted}, which is not installed") from None
        # scikit-learn promises no pickles across minor releases; the golden rows check the rest.
        exact = 2 if name == "scikit-learn" else 1
        if found.split(".")[:exact] != wanted.split(".")[:exact]:
            raise CannotDeploy(f"it was made with {name} {wanted}, this process has {found}")


def _check_golden(deployment: Deployment, golden: Mapping[str, Any]) -> pa.Table:
    """The golden rows, typed. Also warms the model: every lazy part of it has run once before the swap."""
    checked = check(table_from_rows(golden["rows"]), deployment.schema, deployment.unkeyed_task)
    if checked.faults:
        raise CannotDeploy(f"its golden rows no longer fit the schema: {checked.faults[0].message}")
    deployment.predict(checked.table.slice(0, 1))
    gap = _golden_gap(deployment.through_pipeline(checked.table), golden)
    if gap > GOLDEN_TOLERANCE:
        count = checked.table.num_rows
        raise CannotDeploy(f"its answers on {count} golden rows differ from the judged ones by {gap:.2g}")
    return checked.table


def _compiled(
    deployment: Deployment,
    found: Mapping[str, Any] | None,
    questions: pa.Table,
    golden: Mapping[str, Any],
) -> Deployment:
    """With its compiled form, where ``found``, which the judge wrote down, allows it and it gives the golden answers."""
    if found is None:
        return replace(deployment, not_compiled="it was registered before compiled forms were judged")
    if found["passed"] is not True:
        return replace(deployment, not_compiled=found["reason"])
    form = compile_pipeline(deployment.pipeline, deployment.schema, deployment.task)
    if isinstance(form, NotCompiled):
        return replace(deployment, not_compiled=f"not compiled: {form.reason}")
    compiled = replace(deployment, compiled=form)
    try:
        gap = _golden_gap(compiled.raw(questions), golden)
    except Exception as error:  # whatever it is, the pipeline still serves
        return replace(deployment, not_compiled=f"not used: {type(error).__name__}: {error}")
    if gap > GOLDEN_TOLERANCE:
        return replace(deployment, not_compiled=f"not used: its golden answers differ by {gap:.2g}")
    return compiled


def _golden_gap(answers: npt.NDArray[np.float64], golden: Mapping[str, Any]) -> float:
    return answer_gap(answers, np.asarray(golden["predictions"], dtype=np.float64))
