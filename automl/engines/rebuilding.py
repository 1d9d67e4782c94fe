"""A model as JSON, and built again from that without the engine that found it.

What a later search tries first has to be there at once: an engine takes seconds to be imported, and its own
configuration can be read by it alone. A class of scikit-learn, LightGBM or XGBoost and its parameters say the same.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from automl.engines.blended import weighed
from automl.engines.evaluation import Sample
from automl.engines.plain import SERVED

_PASSING = frozenset({"callbacks", "early_stopping_rounds", "eval_metric", "num_class"})
"""Of the training, not of the model."""


def described(model: Any, *, as_trained: bool = False) -> dict[str, Any] | None:
    """The class and the parameters that aren't its defaults; None where something in it can't be said in JSON.

    ``as_trained``: boosting that stopped by itself has the rounds it stopped at, not those it was allowed.
    """
    if isinstance(model, Pipeline):
        steps = [described(step, as_trained=as_trained) for _, step in model.steps]
        return None if None in steps else {"steps": steps}
    cls = type(model)
    if not isinstance(model, BaseEstimator) or not _may(cls.__module__):
        return None
    try:
        defaults = cls().get_params(deep=False)
    except TypeError:  # it can't be made without arguments, as one that is made of others can't
        return None
    params = {}
    given = _trained(model) if as_trained else model.get_params(deep=False)
    for name, value in given.items():
        fits_itself = name in _PASSING or (name == "objective" and cls.__name__ == "XGBClassifier")
        if fits_itself or (name in defaults and _same(value, defaults[name])):
            continue
        said = _said(value, as_trained)
        if said is None:
            return None
        params[name] = said["is"]
    return {"class": f"{cls.__module__}.{cls.__name__}", "params": params}


def _trained(model: BaseEstimator) -> dict[str, Any]:
    params: dict[str, Any] = model.get_params(deep=False)
    for name, value in params.items():
        if isinstance(value, BaseEstimator):
            params[name] = getattr(model, f"{name}_", value)
    stopped = _stopped_at(model)
    return params if stopped is None else {**params, "n_estimators": stopped}


def _stopped_at(model: BaseEstimator) -> int | None:
    lightgbm, xgboost = getattr(model, "best_iteration_", None), getattr(model, "best_iteration", None)
    if lightgbm:
        return int(lightgbm) if lightgbm > 0 else None
    return None if xgboost is None else int(xgboost) + 1


def kind(description: Mapping[str, Any]) -> str:
    """The class that does the work: the last step's; one that learns a transformed target errs in another way, and is
    another kind than the regressor inside of it."""
    if "steps" in description:
        return kind(description["steps"][-1])
    inside = description.get("params", {}).get("regressor")
    return f"transformed {kind(inside['model'])}" if inside else str(description.get("class"))


def built(description: Mapping[str, Any]) -> Any:
    """The model, not trained. Raises ValueError for what is no description, or names a class that no server has."""
    try:
        if "steps" in description:
            made = [built(step) for step in description["steps"]]
            return Pipeline([(f"step_{at}", step) for at, step in enumerate(made)])
        cls = _named(description["class"])
        if not isinstance(cls, type):
            raise TypeError(f"{description['class']} is no class")
        return cls(**{name: _read(value) for name, value in description["params"].items()})
    except (KeyError, TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"no model can be built from {dict(description)!r}: {error}") from error


def fitted(description: Mapping[str, Any], sample: Sample) -> Any:
    """The model, trained on the sample's rows, weighed where it can weigh them. Raises what ``built`` raises."""
    made = built(description)
    return made.fit(sample.X, sample.y, **weighed(made, sample.weights))


def _said(value: Any, as_trained: bool) -> dict[str, Any] | None:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a number of numpy's, no array
        value = value.item()
    if (
        value is None
        or isinstance(value, bool | int | str)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return {"is": value}
    if isinstance(value, BaseEstimator):
        inside = described(value, as_trained=as_trained)
        return None if inside is None else {"is": {"model": inside}}
    if callable(value) and hasattr(value, "__name__") and _may(getattr(value, "__module__", None) or ""):
        return {"is": {"function": f"{value.__module__}.{value.__name__}"}}
    return None


def _read(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return built(value["model"]) if "model" in value else _named(value["function"])


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not _may(module):
        raise ValueError(f"{path} is of no package that a server has")
    found = getattr(importlib.import_module(module), name)
    if not _may(getattr(found, "__module__", None) or ""):
        raise ValueError(f"{path} is only imported there, and of no package that a server has")
    return found


def _may(module: str) -> bool:
    return module.partition(".")[0] in SERVED


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, float) and isinstance(default, float) and math.isnan(value):
        return math.isnan(default)
    return type(value) is type(default) and bool(value == default)
