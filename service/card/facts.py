"""Everything the registry remembers of one model version, as JSON: what every form of its card is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry.errors import NotFound, RegistryError
from registry.records import Model, Project, Run
from registry.store import Registry
from service.quality_windows import WINDOW

FORMAT = 1
"""Grows when a part of the card means something else."""
_WINDOWS = 200
_PROMOTIONS = 500
_OF_SNAPSHOT = (
    "train_span",
    "holdout_span",
    "labels",
    "sources",
    "left_out_rows",
    "embargo_seconds",
    "suspected_leaks",
)
_OF_VERDICT = (
    "outcome",
    "reason",
    "champion_score",
    "challenger_score",
    "baseline_score",
    "difference",
    "min_effect",
    "rows",
    "alpha_spent",
    "look",
    "gates",
)

Json = dict[str, Any]


def card_facts(registry: Registry, project: Project, version: int) -> Json:
    """The facts of that version. Raises NotFound where there is no such version.

    A blob that can't be read (a damaged trust report) is told as ``{"error": …}`` in its place: the card of a model stays
    to be had when a part of it is gone.
    """
    model = registry.models.get(project.id, version)
    run = None if model.run is None else registry.runs.get(project.id, model.run)
    return {
        "card": FORMAT,
        "project": project.name,
        "version": model.version,
        "created_at": model.created_at.isoformat(),
        "aliases": [
            alias
            for alias, one in (("champion", project.champion), ("previous", project.previous))
            if one == model.version
        ],
        "task": dict(model.details["task"]),
        "columns": _columns(model),
        "model": _model(model),
        "training": _training(registry, model, run),
        "evaluation": _evaluation(model, run),
        "live": _live(registry, project, model),
        "drift": _drift(registry, project, model),
        "trust": _attached(registry, model, "trust"),
        "promotions": _promotions(registry, project, model),
        "lineage": _lineage(registry, project, model),
        "environment": model.details.get("environment"),
        "requirements": dict(model.details.get("requirements") or {}),
    }


def _columns(model: Model) -> list[Json]:
    task, schema = model.details["task"], model.details["schema"] or {}
    roles = {
        task.get("id_column"): "id",
        task.get("entity_column"): "entity",
        task.get("time_column"): "time",
        task.get("series_column"): "series",
        task["target"]: "target",
        **dict.fromkeys(task.get("sensitive") or (), "sensitive, not a feature"),
    }
    return [
        {
            "name": column["name"],
            "kind": column["kind"],
            "optional": column.get("optional"),
            "role": roles.get(column["name"], "feature"),
        }
        for column in schema.get("columns", ())
    ]


def _model(model: Model) -> Json:
    details = model.details
    return {
        "engine": model.engine,
        "estimator": model.estimator,
        "config": dict(model.config),
        "recipe": list(details.get("recipe") or ()),
        "size_bytes": model.blob.size,
        "sha256": model.blob.digest,
        "refit_of": details.get("refit_of"),
        "partial": details.get("partial"),
        "imported": details.get("imported"),
        "compiled": _reason(details.get("compiled")),
        "pseudo_labels": details.get("pseudo_labels"),
    }


def _reason(gate: Mapping[str, Any] | None) -> Json | None:
    return None if gate is None else {"passed": gate.get("passed"), "reason": gate.get("reason")}


def _training(registry: Registry, model: Model, run: Run | None) -> Json:
    details, snapshot = model.details, {} if run is None else run.snapshot or {}
    try:
        content = registry.datasets.version(model.project_id, model.dataset_version).content_hash
    except NotFound:
        content = None
    plan = {} if run is None else run.plan
    return {
        "dataset_version": model.dataset_version,
        "dataset_sha256": content,
        "snapshot_sha256": details.get("hash"),
        "train_rows": details.get("train_rows"),
        "holdout_rows": details.get("holdout_rows"),
        "trained_until": details.get("trained_until"),
        "run": model.run,
        "seed": None if run is None else run.seed,
        "budget_seconds": plan.get("budget_seconds"),
        "engines": plan.get("engines"),
        "trigger": None if run is None else run.trigger.get("kind"),
        **{name: snapshot.get(name) for name in _OF_SNAPSHOT},
    }


def _evaluation(model: Model, run: Run | None) -> Json:
    verdict: Mapping[str, Any] = {} if run is None or run.verdict is None else run.verdict
    details = model.details
    refit = verdict.get("refit") if details.get("refit_of") is not None else None
    return {
        "metric": details.get("metric") or details["task"]["metric"],
        "score": details.get("score"),
        "cv_score": details.get("cv_score"),
        "judged_against": details.get("judged_against"),
        **{name: verdict.get(name) for name in _OF_VERDICT},
        "refit": None if refit is None else {"reason": refit.get("reason"), "gates": refit.get("gates", [])},
    }


def _live(registry: Registry, project: Project, model: Model) -> Json:
    windows = registry.quality.list(project.id, WINDOW, limit=_WINDOWS, model_version=model.version)
    rows = sum(int(one.report["rows"]) for one in windows)
    score = sum(one.score * int(one.report["rows"]) for one in windows) / rows if rows else None
    return {"rows": rows, "score": score, "until": windows[0].at.isoformat() if windows else None}


def _drift(registry: Registry, project: Project, model: Model) -> Json | None:
    newest = registry.drift.latest(project.id)
    if newest is None or newest.model_version != model.version:
        return None
    return {"at": newest.at.isoformat(), "share": newest.share, "drifted": list(newest.drifted)}


def _attached(registry: Registry, model: Model, name: str) -> Any:
    if name not in model.attachments:
        return None
    try:
        return json.loads(registry.blobs.open(model.attachments[name].digest))
    except (RegistryError, ValueError) as error:
        return {"error": str(error)}


def _promotions(registry: Registry, project: Project, model: Model) -> list[Json]:
    return [
        {
            "at": one.at.isoformat(),
            "kind": one.kind.value,
            "from": one.from_version,
            "to": one.to_version,
            "reason": one.reason,
            "actor": one.actor,
        }
        for one in registry.ledger.promotions(project.id, limit=_PROMOTIONS)
        if model.version in (one.from_version, one.to_version)
    ]


def _lineage(registry: Registry, project: Project, model: Model) -> Json:
    """The versions that this one was made or judged with, and those that were made of it."""
    details = model.details
    others: Sequence[Model] = registry.models.list(project.id)
    return {
        "judged_against": details.get("judged_against"),
        "refit_of": details.get("refit_of"),
        "refitted_as": [one.version for one in others if one.details.get("refit_of") == model.version],
        "taught_by": (details.get("pseudo_labels") or {}).get("teacher"),
        "challenged_by": [
            one.version for one in others if one.details.get("judged_against") == model.version
        ],
    }
