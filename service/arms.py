"""The third arm of a run: the same search once more, with pseudo-labelled rows to train on as well.

Whether it stands instead of the arm that knows true labels only is the judge's to say (:mod:`automl.arms`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from automl.search import SearchResult
from registry.records import BatchKind, LabelSource, Project, Run
from registry.store import Registry
from service.children import End
from service.conclusion import Challenger
from service.room import Room
from service.run_log import RunLog

TEACHING_SECONDS = 600.0
ROWS = "pseudo.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdArm:
    """Its best, or None and why (``report["refused"]``). The report is the evidence on the chosen rows."""

    challenger: Challenger | None
    report: Mapping[str, Any]


def third_arm(room: Room, search: Callable[[], SearchResult[Challenger]]) -> ThirdArm:
    """Ask the teacher, then search. A teacher or a search that fails leaves a run without a third arm."""
    ended = room.child("pseudo", TEACHING_SECONDS)
    if ended.end is not End.OK:
        return ThirdArm(challenger=None, report={"refused": f"the teacher failed: {ended.reason}"})
    report: dict[str, Any] = room.read("pseudo.json")
    if report.get("refused") is not None:
        return ThirdArm(challenger=None, report=report)
    found = search()
    if found.best is None:
        report["refused"] = found.reason
    return ThirdArm(challenger=found.best, report=report)


def verdict_of(verdict: Mapping[str, Any], third: ThirdArm | None) -> dict[str, Any]:
    """The verdict, telling of the arms where a third one was asked for."""
    if third is None or "arms" not in verdict:
        return dict(verdict)
    arms = {**verdict["arms"], "selection": dict(third.report)}
    refused = third.report.get("refused")
    if refused is not None:
        arms["reason"] = f"Pseudo-labels are not used: {refused}."
    return {**verdict, "arms": arms}


def keep_labels(room: Room, registry: Registry, project: Project, run: Run, log: RunLog) -> dict[str, Any]:
    """Put the labels that trained the challenger into the label ledger; what a model's details say of them.

    Labels that came from the ledger are there: given again they would never expire. They are written before the
    run is concluded, so the batch names its run: whoever finds no model with it finds there what became of it.
    """
    report = room.read("pseudo.json")
    known = {"rows": report["rows"], "teacher": report["teacher"], "source": report["source"]}
    if report["source"] == "ledger":
        return known
    columns = ["_row_id", "_label", "_confidence", "_teacher"]
    rows = pq.read_table(pa.BufferReader(room.raw(ROWS)), columns=columns)
    now = log.now()
    labels = pa.table(
        {
            "_row_id": rows["_row_id"],
            "label": rows["_label"],
            "source": pa.repeat(LabelSource.PSEUDO.value, len(rows)),
            "confidence": rows["_confidence"],
            "teacher": rows["_teacher"],
            "at": pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), len(rows)),
        }
    )
    with registry.datasets.stage(project) as staging:
        staging.write_labels(labels)
        batch = registry.datasets.commit(
            staging,
            kind=BatchKind.PSEUDO_LABELS,
            details={"teacher": report["teacher"], "rows": len(rows), "run": run.number},
            at=now,
        )
    return {**known, "batch": batch.number, "dataset_version": batch.dataset_version}
