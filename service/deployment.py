"""A model in this process: loaded, verified, warmed, checked on its golden rows."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.compiled import Compiled, NotCompiled
from automl.compiled.packing import unpack
from automl.schema import Schema, check, frame, table_from_rows
from automl.scoring import answer_gap, encoded
from automl.task import Label, Task
from registry.records import Model, Project
from registry.store import Registry
from service.certainty import Certainty, certainty_of
from service.kept_forms import FORM
from service.scores import Scores, class_scores
from service.stored_pipeline import StoredPipeline

logger = logging.getLogger(__name__)

GOLDEN_TOLERANCE = 1e-6


class CannotDeploy(Exception):
    """The model may not serve; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One model version, ready to answer. ``epoch`` is the project's when it was loaded.

    ``compiled`` is the model's compiled form where that was found to answer the same; else ``not_compiled`` says why
    the pipeline itself answers. Where the form was stored with the model, ``pipeline`` is a
    :class:`~service.stored_pipeline.StoredPipeline`. ``certainty`` is what each answer tells of itself, None for nothing.
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
    certainty: Certainty | None = None

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

    def features(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """The numeric features (n, d) that the model's own preprocessing makes of a typed table."""
        if self.compiled is not None:
            return self.compiled.matrix(table)
        return encoded(self.pipeline, frame(table, self.schema))

    def answer(self, raw: npt.NDArray[np.float64]) -> Scores:
        if not self.task.is_classification:
            return Scores(values=raw.tolist(), scores=raw, probabilities=None)
        top = raw.argmax(axis=1)
        values = [self.classes[position] for position in top]
        return Scores(values=values, scores=class_scores(raw, top), probabilities=raw)


def load(
    registry: Registry, project: Project, model: Model, rest: Callable[[], None] = lambda: None
) -> Deployment:
    """The model, ready to serve. Raises CannotDeploy when its bytes, libraries or answers are not what was judged.

    What serves has given the golden answers: the compiled form that was stored with the model, or the pipeline and the
    form that is made of it here. ``rest`` is called now and then: whoever loads beside an event loop gives way in it.
    """
    _check_requirements(model.details["requirements"])
    data = registry.blobs.open(model.blob.digest)  # where its form serves too: nothing that was changed may
    rest()
    golden = json.loads(registry.blobs.open(model.attachments["golden"].digest))
    classes = Task.from_json(model.details["task"]).classes
    deployment = Deployment(
        project_id=project.id,
        project=project.name,
        version=model.version,
        epoch=project.epoch,
        revision=project.revision,
        task=Task.from_json(project.task),
        schema=Schema.from_json(project.schema or {}),
        classes=classes,
        pipeline=None,
        certainty=certainty_of(registry, project, model, classes),
    )
    rest()
    questions = _golden_rows(deployment, golden)
    rest()
    stored = _stored(registry, model, deployment, questions, golden, rest)
    if stored is not None:
        return stored
    deployment = replace(deployment, pipeline=pickle.loads(data))
    _check_golden(deployment, questions, golden)
    return _compiled(deployment, model.details.get(FORM), questions, golden)


def _stored(
    registry: Registry,
    model: Model,
    deployment: Deployment,
    questions: pa.Table,
    golden: Mapping[str, Any],
    rest: Callable[[], None],
) -> Deployment | None:
    """With the compiled form that was stored with the model.

    None where there is none for this release, or it doesn't answer as it should: then the pipeline has to be loaded, and
    what is wrong shows there.
    """
    found = model.details.get(FORM)
    if FORM not in model.attachments or found is None or found["passed"] is not True:
        return None
    data = registry.blobs.open(model.attachments[FORM].digest)
    try:
        form = unpack(data, rest)
        if form is None:
            return None
        compiled = replace(deployment, compiled=form.reading(deployment.schema, deployment.task))
        rest()
        if _golden_gap(compiled.raw(questions), golden) > GOLDEN_TOLERANCE:
            return None
        compiled.predict(questions.slice(0, 1))
    except Exception:  # whatever it is, the pipeline is still there
        logger.exception("the stored compiled form of version %s can't be used", model.version)
        return None

    def judged() -> Any:
        pipeline = pickle.loads(registry.blobs.open(model.blob.digest))
        _check_golden(replace(deployment, pipeline=pipeline), questions, golden)
        return pipeline

    return replace(compiled, pipeline=StoredPipeline(judged))


def _check_requirements(requirements: Mapping[str, str]) -> None:
    for name, wanted in requirements.items():
        found = _installed(name)
        if found is None:
            raise CannotDeploy(f"it needs {name} {wanted}, which is not installed")
        # scikit-learn promises no pickles across minor releases; the golden rows check the rest.
        exact = 2 if name == "scikit-learn" else 1
        if found.split(".")[:exact] != wanted.split(".")[:exact]:
            raise CannotDeploy(f"it was made with {name} {wanted}, this process has {found}")


@cache
def _installed(name: str) -> str | None:
    """Its release in this process, which does not change while it runs."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _golden_rows(deployment: Deployment, golden: Mapping[str, Any]) -> pa.Table:
    """The golden rows, typed."""
    checked = check(table_from_rows(golden["rows"]), deployment.schema, deployment.unkeyed_task)
    if checked.faults:
        raise CannotDeploy(f"its golden rows no longer fit the schema: {checked.faults[0].message}")
    return checked.table


def _check_golden(deployment: Deployment, questions: pa.Table, golden: Mapping[str, Any]) -> None:
    """Asks the pipeline. Also warms it: every lazy part of it has run once before the swap."""
    deployment.predict(questions.slice(0, 1))
    gap = _golden_gap(deployment.through_pipeline(questions), golden)
    if gap > GOLDEN_TOLERANCE:
        count = questions.num_rows
        raise CannotDeploy(f"its answers on {count} golden rows differ from the judged ones by {gap:.2g}")


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
    # Late: it brings scikit-learn, and a server whose models were stored with their forms answers without.
    from automl.compiled.compiling import compile_pipeline

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
