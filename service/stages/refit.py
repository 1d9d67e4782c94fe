"""The promoted model once more, trained on the rows that judged it as well, and checked against the judged one."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from automl.judge import Rules, Scored
from automl.refit import check_refit, trained_anew
from automl.schema import Schema, frame
from automl.scoring import latency_ms, predictions
from automl.snapshot import Mark, row_order
from automl.task import Task
from service.desk import Desk
from service.kept_forms import REFIT_FORM_FILE
from service.sealed import seal, seal_object, unseal_object
from service.stages.compiling import compiled_gate
from service.stages.golden import golden, golden_gap, write_golden
from service.stages.reference import write_oddness, write_reference
from service.stages.rows import encoded_labels, tie_breaks
from service.stages.weights import weighed

FILE = "refit.model"


def run(desk: Desk, detail: str) -> None:
    """Refit the judged model in the file ``detail``; leaves ``refit.model``, ``refit.json``, ``refit-golden.json``,
    ``refit-reference.parquet``, ``refit-oddness.npz`` and, where it has one, its compiled form in ``refit-compiled.form``.

    A model that was trained on pseudo-labels (``refit_with_pseudo`` in the specification) is so again.
    """
    spec = desk.spec
    task, schema = Task.from_json(spec["task"]), Schema.from_json(spec["schema"])
    judged: Pipeline = unseal_object(desk.folder / detail, desk.key)
    desk.ready()
    holdout = pq.read_table(desk.folder / "holdout.parquet")
    true = pa.concat_tables([pq.read_table(desk.folder / "train.parquet"), holdout])
    rows, weights = to_train_on(desk, true)
    refitted = trained_anew(
        judged,
        frame(rows, schema),
        encoded_labels(rows, schema, task),
        n_classes=len(task.classes) if task.is_classification else 0,
        weights=weights,
    )
    data = seal_object(desk.folder / FILE, refitted, desk.key)
    seen = frame(holdout, schema)
    questions = golden(refitted, holdout, schema, task)
    answers = predictions(refitted, seen, task)
    check = check_refit(
        Scored(predictions=predictions(judged, seen, task)),
        Scored(
            predictions=answers,
            latency_ms=latency_ms(refitted, seen, task),
            size_bytes=len(data),
            golden_gap=golden_gap(data, questions, schema, task),
        ),
        encoded_labels(holdout, schema, task),
        Rules(**spec["rules"]),
        task=task,
        baseline_score=spec["baseline_score"],
    )
    compiled = compiled_gate(
        refitted,
        holdout,
        answers,
        questions,
        schema,
        task,
        keep=lambda packed: seal(desk.folder / REFIT_FORM_FILE, packed, desk.key),
    )
    write_golden(desk.folder, questions, file="refit-golden.json")
    write_reference(desk, true, schema, file="refit-reference.parquet")
    write_oddness(desk, true, schema, task, file="refit-oddness.npz")
    report = {
        **check.to_json(),
        "gates": [gate.to_json() for gate in (*check.gates, compiled)],
        "file": FILE,
        "size_bytes": len(data),
        "train_rows": len(true),
        "trained_until": _last(holdout, task).to_json(),
    }
    (desk.folder / "refit.json").write_text(json.dumps(report))


def to_train_on(desk: Desk, true: pa.Table) -> tuple[pa.Table, npt.NDArray[np.float64] | None]:
    """The rows with their weights, as the search had them: by the source of the label, and pseudo-labelled ones."""
    rows, weights = weighed(true, desk.spec["label_sources"])
    if not desk.spec["refit_with_pseudo"]:
        return rows, weights
    more = pq.read_table(desk.folder / "pseudo.parquet")
    of_true = np.ones(len(rows)) if weights is None else weights
    joined = pa.concat_tables([rows, more], promote_options="default")
    return joined, np.concatenate([of_true, more["_weight"].to_numpy()])


def _last(holdout: pa.Table, task: Task) -> Mark:
    """The place of the newest row that judged, in the order in which rows are split."""
    return max(
        Mark(at=at, row_id=tie)
        for at, tie in zip(row_order(holdout, task).tolist(), tie_breaks(holdout), strict=True)
    )
