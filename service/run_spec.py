"""What the stages of a run are told: its specification, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from automl.task import Task
from registry.records import DriftRecord, Model, Project, Run
from service.demands import embargo_seconds, holdout_rule, rules
from service.policy import Policy

_PAST_MODELS = 6
_MOST_STARTS = 24
_PLACES_A_RECIPE, _PLACES_A_SECOND = 3.0, 4.0


def specification(
    run: Run,
    project: Project,
    policy: Policy,
    *,
    champion: Model | None,
    models: Sequence[Model],
    drift: DriftRecord | None,
    look: int,
    now: datetime,
) -> dict[str, Any]:
    """Everything that is known before the run begins. ``drift`` is the project's newest report."""
    lookback = policy.lookback_window
    return {
        "project_id": project.id,
        "task": dict(project.task),
        "schema": dict(project.schema or {}),
        "dataset_version": run.dataset_version,
        "seed": run.seed,
        "holdout": holdout_rule(policy),
        "embargo": embargo_seconds(policy),
        "lookback_seconds": lookback.total_seconds() if lookback else None,
        "rules": rules(policy, Task.from_json(project.task)),
        "slices": None if policy.gates.slices is None else policy.gates.slices.max,
        "label_sources": {name: rule.model_dump() for name, rule in policy.label_sources.items()},
        "look": look,
        "searches": {},
        "champion": None if champion is None else _reigning(champion),
        "pseudo": _pseudo(policy, champion, models, drift, now),
    }


def pseudo_rows(model: Model) -> int:
    """Pseudo-labelled rows that a model was trained on."""
    taught = model.details.get("pseudo_labels")
    return 0 if taught is None else int(taught["rows"])


def _reigning(champion: Model) -> dict[str, Any]:
    details = champion.details
    return {
        "version": champion.version,
        "trained_until": details["trained_until"],
        "classes": details["task"]["classes"],
    }


def recipes(champion: Model | None, models: Sequence[Model]) -> list[list[Mapping[str, Any]]]:
    """What the project's past models were made of: the champion, then the newest."""
    newest = sorted(models, key=lambda model: model.version, reverse=True)
    return [_recipe(model) for model in (*((champion,) if champion else ()), *newest[:_PAST_MODELS])]


def past_starts(recipes: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """What past models were made of, the likeliest model first, as starts.

    All parts of the first model come first, so that its blend can stand soon. The others follow by their place in
    their recipe, which begins with what is of most use in a blend; those of later recipes, and what is slow to train,
    come some places later.
    """
    known: list[dict[str, Any]] = []
    seen: list[object] = []
    order: list[tuple[float, int]] = []
    for at, recipe in enumerate(recipes):
        for place, one in enumerate(sorted(recipe, key=lambda part: -part["weight"])):
            start = {name: one[name] for name in ("engine", "estimator", "config", "model")}
            if (what := _without_rounds(start)) in seen:
                continue
            seen.append(what)
            leads = not at and one["weight"] > 0
            seconds = one.get("seconds", 0.0)
            known.append({**start, "share": one["weight"] if leads else 0.0, "seconds": seconds})
            later = _PLACES_A_RECIPE * at + _PLACES_A_SECOND * seconds
            order.append((-1.0 if leads else place + later, len(order)))
    return [known[at] for _, at in sorted(order)[:_MOST_STARTS]]


def _without_rounds(start: Mapping[str, Any]) -> object:
    """What tells a model apart: rounds of boosting are found anew, so models that differ in those only are one."""
    model = start["model"]
    if model is None or not str(model.get("class", "")).startswith(("lightgbm.", "xgboost.")):
        return model or (start["engine"], dict(start["config"]))
    params = {name: value for name, value in model["params"].items() if name != "n_estimators"}
    return model["class"], params


def _recipe(model: Model) -> list[Mapping[str, Any]]:
    """As it was kept; of a model from before recipes were, what its configuration says."""
    kept = model.details.get("recipe")
    if kept:
        return list(kept)
    own = {"engine": model.engine, "estimator": model.estimator, "config": dict(model.config)}
    parts = model.config.get("members") or [own]
    return [{"weight": 1.0, "model": None, **part} for part in parts]


def _pseudo(
    policy: Policy,
    champion: Model | None,
    models: Sequence[Model],
    drift: DriftRecord | None,
    now: datetime,
) -> dict[str, Any] | None:
    """None where pseudo-labels are off, or nobody is there to give any."""
    asked = policy.pseudo_labels
    if asked.mode == "off" or champion is None:
        return None
    rule = asked.model_dump(exclude={"mode"})
    measured = drift is not None and drift.model_version == champion.version
    return {
        "rule": {**rule, "lifetime": asked.lifetime.total_seconds()},
        "teacher": {"version": champion.version, "pseudo_rows": pseudo_rows(champion)},
        "drift_share": drift.share if drift is not None and measured else None,
        "first_generation": [model.version for model in models if not pseudo_rows(model)],
        "now": now.isoformat(),
    }
