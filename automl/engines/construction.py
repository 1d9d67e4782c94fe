"""A whole pipeline as JSON, and built again from that, not trained: what reproducing a model needs besides its rows.

The preprocessing follows from schema, task and seed; a model is described by :mod:`automl.engines.rebuilding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.pipeline import Pipeline

from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.plain import AllClasses
from automl.engines.rebuilding import built, described
from automl.features import preprocessor
from automl.schema import Schema
from automl.task import Task

_BLENDS = (BlendClassifier, BlendRegressor)
_PREPROCESSING = ("columns", "encode")


def construction(pipeline: Pipeline) -> dict[str, Any] | None:
    """How a fitted pipeline was made; None where its preprocessing is not ours or a part of it can't be said in JSON.

    ``rounds`` of a boosted model are those it has, where training was ended before it had all that its parameters name.
    """
    if tuple(name for name, _ in pipeline.steps[:2]) != _PREPROCESSING:
        return None
    between = [described(step) for _, step in pipeline.steps[2:-1]]
    model = _described(pipeline.steps[-1][1])
    if model is None or None in between:
        return None
    return {"steps": between, "model": model}


def constructed(
    construction: Mapping[str, Any], *, schema: Schema, task: Task, seed: int, rounds: bool
) -> Pipeline:
    """The pipeline, not trained. With ``rounds`` boosting makes as many as the model had, else as many as its parameters
    name (what was trained again later was not ended early). Raises ValueError for what is no construction."""
    try:
        steps = [(f"step_{at}", built(step)) for at, step in enumerate(construction["steps"], start=1)]
        model = _built(construction["model"], rounds)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no pipeline can be built from {dict(construction)!r}: {error}") from error
    return Pipeline([*preprocessor(schema, task, seed=seed).steps, *steps, ("model", model)])


def _described(model: Any) -> dict[str, Any] | None:
    if isinstance(model, AllClasses):
        return _described(model.classifier)
    if isinstance(model, _BLENDS):
        members = [_one(member) for member in model.members]
        if None in members:
            return None
        return {
            "blend": members,
            "weights": [float(weight) for weight in model.weights],
            "calibration": None if model.calibration is None else dict(model.calibration),
            "classifies": isinstance(model, BlendClassifier),
        }
    return _one(model)


def _one(model: Any) -> dict[str, Any] | None:
    told = described(model)
    return None if told is None else {"described": told, "rounds": _rounds(model)}


def _rounds(model: Any) -> int | None:
    """The boosting rounds a fitted model answers with, where they are fewer than it was asked for."""
    inside = getattr(model, "regressor_", model)
    if hasattr(inside, "booster_"):
        made = int(inside.best_iteration_ or inside.booster_.current_iteration())
    elif hasattr(inside, "get_booster"):
        best = getattr(inside, "best_iteration", None)
        made = int(inside.get_booster().num_boosted_rounds() if best is None else best + 1)
    else:
        return None
    asked = inside.get_params(deep=False).get("n_estimators")
    return made if asked is None or made < asked else None


def _built(model: Mapping[str, Any], rounds: bool) -> Any:
    if "blend" not in model:
        return _again(model, rounds)
    made = BlendClassifier if model["classifies"] else BlendRegressor
    members = [_again(member, rounds) for member in model["blend"]]
    return made(members=members, weights=list(model["weights"]), calibration=model["calibration"])


def _again(model: Mapping[str, Any], rounds: bool) -> Any:
    made = built(model["described"])
    if rounds and model["rounds"] is not None:
        getattr(made, "regressor", made).set_params(n_estimators=model["rounds"])
    return made
