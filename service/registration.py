"""A run's sealed files as models to be registered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.records import BlobRef, NewModel, Project, Run
from registry.store import Registry
from service.arms import ROWS
from service.conclusion import Judgement
from service.environment import environment
from service.kept_forms import FORM, FORM_FILE, REFIT_FORM_FILE
from service.outliers import ODDNESS
from service.room import Room
from service.run_log import RunLog
from service.similar_projects import META
from service.trust_reports import CERTAINTY, CERTAINTY_FILE, TRUST, TRUST_FILE

_OF_SNAPSHOT = ("cut", "trained_until", "hash", "train_rows", "holdout_rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """What became of the model trained on all rows (``report``), and whether it may stand for the judged one."""

    passed: bool
    report: Mapping[str, Any]


def models_of(
    room: Room,
    registry: Registry,
    run: Run,
    project: Project,
    log: RunLog,
    *,
    judgement: Judgement,
    snapshot: Mapping[str, Any],
    pseudo_labels: Mapping[str, Any] | None,
    refit: Refit | None,
) -> tuple[NewModel, ...]:
    """The judged challenger, and after it the refitted one where that passed its check. Puts their bytes in the
    blob store."""

    def put(data: bytes) -> BlobRef:
        return registry.blobs.put(data, at=log.now())

    challenger = judgement.challenger
    attachments = {
        "golden": put(room.raw("golden.json")),
        "reference": put(room.raw("reference.parquet")),
        "expectation": put(room.raw("expectation.json")),
    }
    if room.has("oddness.npz"):
        attachments[ODDNESS] = put(room.raw("oddness.npz"))
    if room.has(CERTAINTY_FILE):
        attachments[CERTAINTY] = put(room.raw(CERTAINTY_FILE))
    if room.has(TRUST_FILE):
        attachments[TRUST] = put(room.raw(TRUST_FILE))
    if room.has("rivalry.json"):
        attachments["rivalry"] = put(room.raw("rivalry.json"))
    if pseudo_labels is not None:
        attachments["pseudo_labels"] = put(room.raw(ROWS))
    if room.has(FORM_FILE):
        attachments[FORM] = put(room.unsealed(FORM_FILE))
    judged = NewModel(
        blob=put(room.unsealed(challenger.file)),
        engine=challenger.engine,
        estimator=challenger.estimator,
        config=challenger.config,
        dataset_version=run.dataset_version,
        details={
            "task": project.task,
            "schema": project.schema,
            "metric": judgement.verdict["metric"],
            "score": judgement.verdict["challenger_score"],
            "cv_score": challenger.score if math.isfinite(challenger.score) else None,
            "requirements": challenger.requirements,
            "size_bytes": challenger.size_bytes,
            "partial": challenger.partial,
            "recipe": [dict(part) for part in challenger.recipe],
            "construction": challenger.construction,
            "outcome": judgement.outcome,
            "judged_against": project.champion,
            "environment": environment(),
            FORM: _gate(judgement.verdict),
            "not_estimated": room.read("expectation.json")["lacking"],
            **({"imported": run.plan["imported"]} if "imported" in run.plan else {}),
            **({} if pseudo_labels is None else {"pseudo_labels": pseudo_labels}),
            META: snapshot.get(META),
            **{name: snapshot[name] for name in _OF_SNAPSHOT},
        },
        attachments=attachments,
    )
    if refit is None or not refit.passed:
        return (judged,)
    report = refit.report
    shared = {name: ref for name, ref in attachments.items() if name != FORM}
    if room.has("refit-oddness.npz"):
        shared[ODDNESS] = put(room.raw("refit-oddness.npz"))
    if room.has(REFIT_FORM_FILE):
        shared[FORM] = put(room.unsealed(REFIT_FORM_FILE))
    refitted = NewModel(
        blob=put(room.unsealed(report["file"])),
        engine=judged.engine,
        estimator=judged.estimator,
        config=judged.config,
        dataset_version=judged.dataset_version,
        # The score stays the judged one: on the holdout, which it has seen, its own says nothing.
        details={
            **judged.details,
            **{name: report[name] for name in ("trained_until", "train_rows", "size_bytes")},
            "partial": False,
            FORM: _gate(report),
        },
        links={"refit_of": 0},
        attachments={
            **shared,
            "golden": put(room.raw("refit-golden.json")),
            "reference": put(room.raw("refit-reference.parquet")),
        },
    )
    return (judged, refitted)


def _gate(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What was found of the model's compiled form; None in reports from before there was one."""
    return next((gate for gate in report["gates"] if gate["name"] == FORM), None)
