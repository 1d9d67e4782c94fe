"""Which rows without truth may train in the third arm, and as what; in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.pseudo_expiry import standing
from automl.pseudo_labels import Judgement, PseudoRule, Teacher, audit, confident, select, suspension
from automl.schema import Schema, frame
from automl.snapshot import Mark, folds, row_order
from automl.task import Task
from automl.teaching import word
from registry.database import Database
from registry.datasets import Datasets
from registry.label_ledger import LabelLedger
from registry.revocations import fits
from service.desk import Desk
from service.sealed import unseal_object
from service.stages.rows import encoded_labels, entities, tie_breaks
from service.stages.weights import weighed

MODELS = 4
"""Clones of the champion that have to agree with it."""

_OF_LABEL = {
    "_label_source": "source",
    "_label_origin": "origin",
    "_teacher": "teacher",
    "_labelled_at": "at",
}

Report = dict[str, Any]


def run(desk: Desk, detail: str) -> None:
    """Leaves ``pseudo.json``, and ``pseudo.parquet`` (rows with ``_label``, ``_confidence``, ``_teacher``, ``_weight``)
    where some were chosen.

    A champion that was itself trained on pseudo-labels does not teach; what its own teacher said may still
    train until it expires.
    """
    spec = desk.spec["pseudo"]
    task = Task.from_json(desk.spec["task"])
    rule = PseudoRule(**{**spec["rule"], "lifetime": timedelta(seconds=spec["rule"]["lifetime"])})
    teacher = Teacher(**spec["teacher"])
    desk.ready()
    why = suspension(
        rule,
        replace(teacher, pseudo_rows=0),
        kind=task.kind,
        models=MODELS,
        drift_share=spec["drift_share"],
    )
    chosen: pa.Table | None = None
    if why is not None:
        report: Report = {"teacher": teacher.version, "refused": why}
    elif teacher.pseudo_rows:
        chosen, report = _in_force(desk, spec, rule, teacher)
    else:
        chosen, report = _taught(desk, task, rule, teacher)
    rows = 0 if chosen is None else len(chosen)
    if rows and report.get("refused") is None:
        pq.write_table(chosen, desk.folder / "pseudo.parquet")
    elif report.get("refused") is None:
        report["refused"] = "no row without truth was told surely enough"
    (desk.folder / "pseudo.json").write_text(json.dumps({"rows": rows, **report}))


def _taught(desk: Desk, task: Task, rule: PseudoRule, teacher: Teacher) -> tuple[pa.Table | None, Report]:
    """What the champion says now."""
    schema, seed = Schema.from_json(desk.spec["schema"]), desk.spec["seed"]
    train, holdout, pool = (
        pq.read_table(desk.folder / f"{part}.parquet") for part in ("train", "holdout", "pool")
    )
    if not len(pool):
        return None, {"teacher": teacher.version, "refused": "there are no rows without truth"}
    train, _ = weighed(train, desk.spec.get("label_sources") or {})
    y = encoded_labels(train, schema, task)
    said = word(
        unseal_object(desk.folder / "champion.model", desk.key),
        desk.spec["champion"]["classes"],
        task=task,
        rows=frame(train, schema),
        y=y,
        unseen=_unseen(desk, train, task),
        # Not slices that roll forward: a clone of the first one would know next to nothing.
        folds=folds(y, task=task, entities=entities(train, task), n=MODELS, seed=seed),
        pool=frame(pool, schema),
        judged=frame(holdout, schema),
        seed=seed,
    )
    selection = select(
        said.pool,
        said.calibration,
        y[said.positions],
        rule,
        teacher,
        true_rows=len(train),
        seed=seed,
        prior=np.bincount(y, minlength=len(task.classes)),
    )
    sure, told = confident(said.judged, selection, rule)
    seen = audit(
        told,
        encoded_labels(holdout, schema, task)[sure],
        classes=len(task.classes),
        least_precision=rule.least_precision,
    )
    report: Report = {
        **selection.to_json(),
        "source": "champion" if said.with_champion else "clones",
        "audit": seen.to_json(),
    }
    if seen.judgement is Judgement.BAD:
        report["refused"] = f"on rows that judge, {seen.reason}"
    texts = [schema.target.text(task.classes[place]) for place in selection.classes]
    chosen = _with(pool.take(pa.array(selection.rows)), texts, selection.confidence, selection.weights)
    return chosen.append_column("_teacher", pa.array([teacher.version] * len(chosen), pa.int32())), report


def _unseen(desk: Desk, train: pa.Table, task: Task) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Training rows beyond what the champion was trained on."""
    mark = Mark.from_json(desk.spec["champion"]["trained_until"])
    order, ties = row_order(train, task), tie_breaks(train)
    return np.array(
        [Mark(at=at, row_id=tie) > mark for at, tie in zip(order.tolist(), ties, strict=True)], dtype=bool
    )


def _in_force(
    desk: Desk, spec: Mapping[str, Any], rule: PseudoRule, teacher: Teacher
) -> tuple[pa.Table | None, Report]:
    """What first-generation teachers said in the past, as far as it still counts."""
    pool = pq.read_table(desk.folder / "pool.parquet")
    given = pool.filter(pa.compute.equal(pool["_label_source"], "pseudo"))
    report: Report = {"teacher": teacher.version, "source": "ledger"}
    left = standing(
        given["_labelled_at"].cast(pa.timestamp("us")).to_numpy(),
        np.asarray(given["_teacher"].to_numpy()),
        np.zeros(len(given), dtype=bool),
        rule,
        now=datetime.fromisoformat(spec["now"]),
        first_generation=spec["first_generation"],
        taken_back=_taken_back(desk, given),
    )
    report["spent"] = {reason.value: count for reason, count in left.spent.items() if count}
    train = pq.read_metadata(desk.folder / "train.parquet").num_rows
    random = np.random.default_rng(desk.spec["seed"])
    rows = np.sort(random.permutation(left.positions)[: rule.rows_allowed(train)])
    if not len(rows):
        report["refused"] = (
            f"model {teacher.version} was itself trained on {teacher.pseudo_rows:,} pseudo-labels, "
            "and no label of a first-generation teacher is in force"
        )
        return None, report
    chosen = given.take(pa.array(rows))
    confidence = np.asarray(chosen["_confidence"].to_numpy(), dtype=np.float64)
    teachers = chosen["_teacher"]
    chosen = _with(chosen, chosen["_label"].to_pylist(), confidence, rule.weights(confidence, float(train)))
    return chosen.append_column("_teacher", teachers), report


def _taken_back(desk: Desk, given: pa.Table) -> npt.NDArray[np.bool_]:
    """Which of the labels were revoked after the dataset version that the run reads, however long it queued."""
    gone = np.zeros(len(given), dtype=bool)
    if not len(given):
        return gone
    labels = given.select(list(_OF_LABEL)).rename_columns(list(_OF_LABEL.values()))
    database = Database.open(desk.database_url)
    try:
        datasets = Datasets(database, desk.home / "tables", desk.home / "staging")
        project_id = desk.spec["project_id"]
        read = datasets.version(project_id, desk.spec["dataset_version"]).batch
        for each in LabelLedger(database, datasets).revocations(project_id):
            if each.batch > read:
                gone |= fits(labels, each.criteria)
    finally:
        database.close()
    return gone


def _with(rows: pa.Table, labels: list[str], confidence: Any, weights: Any) -> pa.Table:
    own = [name for name in rows.column_names if name == "_row_id" or not name.startswith("_")]
    return (
        rows.select(own)
        .append_column("_label", pa.array(labels, pa.string()))
        .append_column("_confidence", pa.array(confidence, pa.float64()))
        .append_column("_weight", pa.array(weights, pa.float64()))
    )
