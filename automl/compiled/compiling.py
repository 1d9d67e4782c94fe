"""From a fitted pipeline to its compiled form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import Pipeline

from automl.columns import Schema
from automl.compiled.form import Compiled, NotCompiled
from automl.compiled.models import compile_steps
from automl.compiled.own_form import own_steps
from automl.compiled.preprocessing import reader
from automl.compiled.scorer import Scorer
from automl.compiled.unknown import Unknown
from automl.task import Task


def compile_pipeline(pipeline: Pipeline, schema: Schema, task: Task) -> Compiled | NotCompiled:
    """The compiled form of a pipeline as the engines make them, or why it has none.

    Where only the preprocessing is known here, that is compiled and the later steps answer for themselves. ``task``
    names the id column, which no model reads. The answers are the pipeline's own up to what
    :mod:`automl.compiled.parity` tolerates; whether they are is to be shown there before the form is used.
    """
    steps = list(pipeline.steps)
    try:
        if [name for name, _ in steps[:2]] != ["columns", "encode"] or len(steps) < 3:
            raise Unknown(f"the pipeline begins with {', '.join(name for name, _ in steps[:2])}")
        reading = reader(steps[0][1], steps[1][1], schema, task)
        scorer, own = _scorer([step for _, step in steps[2:]], reading.width, task)
    except Unknown as unknown:
        return NotCompiled(reason=str(unknown))
    except Exception as error:  # a model of another version may lack anything; the pipeline still serves
        return NotCompiled(reason=f"{type(error).__name__}: {error}")
    told = scorer.description if own is None else f"compiled up to its own {scorer.description}"
    return Compiled(
        columns=reading.columns,
        description=f"{told}, {reading.width} features",
        reader=reading,
        scorer=scorer,
        own=own,
    )


def _scorer(steps: Sequence[Any], width: int, task: Task) -> tuple[Scorer, str | None]:
    """The steps behind the preprocessing, compiled; else as they are, and why."""
    try:
        return compile_steps(steps, width), None
    except Unknown as unknown:
        try:
            return own_steps(steps, classes=task.is_classification), str(unknown)
        except Unknown:
            raise unknown from None
