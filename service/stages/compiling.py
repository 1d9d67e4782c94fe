"""Whether a model may be served in its compiled form: evidence beside the gates that decide."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.compiled import Compiled, NotCompiled
from automl.compiled.compiling import compile_pipeline
from automl.compiled.packing import pack, unpack
from automl.compiled.parity import parity
from automl.schema import Schema, check, table_from_rows
from automl.scoring import answer_gap
from automl.task import Task
from automl.verdict import Gate
from service.kept_forms import FORM


def compiled_gate(
    pipeline: Pipeline,
    holdout: pa.Table,
    answers: npt.NDArray[np.float64],
    questions: str,
    schema: Schema,
    task: Task,
    *,
    keep: Callable[[bytes], None] = lambda packed: None,
) -> Gate:
    """Compiles the model and compares it with itself: on the whole holdout, for which ``answers`` are the pipeline's, and
    on its golden rows. Passed, or None with the reason why it will be served by its pipeline.

    The form that passed is handed to ``keep`` as bytes, and is compared as those give it back, if they can be had.
    """
    compiled = compile_pipeline(pipeline, schema, task)
    if isinstance(compiled, NotCompiled):
        return _not(f"not compiled: {compiled.reason}", {})
    try:
        packed = pack(compiled)
        if packed is not None:
            compiled = unpack(packed) or compiled
        found = parity(compiled, pipeline, holdout, schema, task, expected=answers)
        golden = _golden_gap(compiled, questions, schema, task)
    except Exception as error:  # a form that raises is not used; the pipeline serves
        return _not(f"not used: the compiled form failed with {type(error).__name__}: {error}", {})
    evidence = {
        **found.to_json(),
        "form": compiled.description,
        "golden_gap": golden if np.isfinite(golden) else None,
    }
    if not found.equal or golden > found.tolerance:
        gap = max(found.gap, golden)
        reason = (
            f"not used: the compiled form's answers differ by {gap:.2g}, {found.tolerance:g} is tolerated"
        )
        return _not(reason, evidence)
    if packed is not None:
        keep(packed)
    how = "to the last bit" if found.bitwise else f"within {max(found.gap, golden):.1g}"
    reason = f"{compiled.description}: the compiled form answers the same {how} on {found.rows:,} rows"
    return Gate(name=FORM, passed=True, reason=reason, evidence=evidence)


def _not(reason: str, evidence: dict[str, object]) -> Gate:
    return Gate(name=FORM, passed=None, reason=reason, evidence=evidence)


def _golden_gap(compiled: Compiled, text: str, schema: Schema, task: Task) -> float:
    """As serving will ask: the rows as JSON, whose ids may come again."""
    questions = json.loads(text)
    checked = check(table_from_rows(questions["rows"]), schema, replace(task, id_column=None))
    if checked.faults:
        return float("inf")
    return answer_gap(compiled.table(checked.table), np.asarray(questions["predictions"], dtype=np.float64))
