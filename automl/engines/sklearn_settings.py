"""What the scikit-learn engine draws from: kinds of model, their defaults and the ranges of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform, uniform
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import ParameterSampler

_LINEAR_ROWS = 100_000
_DRAWN_AT_ONCE = 1_000


class _Whole:
    """Whole numbers from ``low`` to ``high``, small ones as likely as large ones, for ParameterSampler."""

    def __init__(self, low: int, high: int) -> None:
        self._numbers = loguniform(low - 0.5, high + 0.5)

    def rvs(self, random_state: np.random.RandomState | None = None) -> int:
        return round(float(self._numbers.rvs(random_state=random_state)))


_TREES = {
    "n_estimators": _Whole(40, 150),
    "max_features": uniform(0.1, 0.9),
    "max_leaf_nodes": _Whole(64, 2048),
    "min_samples_leaf": _Whole(1, 20),
}
_RANGES: Mapping[str, Mapping[str, Any]] = {
    "histogram": {
        "max_iter": _Whole(50, 400),
        "learning_rate": loguniform(0.02, 0.3),
        "max_leaf_nodes": _Whole(7, 127),
        "min_samples_leaf": _Whole(3, 100),
        "l2_regularization": loguniform(1e-3, 30.0),
        "max_features": uniform(0.3, 0.7),
    },
    "extra_trees": _TREES,
    "forest": _TREES,
    "linear": {"strength": loguniform(1e-3, 1e2)},
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "histogram": {"max_iter": 100, "learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20},
    "linear": {"strength": 1.0},
    "extra_trees": {"n_estimators": 100, "max_leaf_nodes": 1024, "min_samples_leaf": 1},
    "forest": {"n_estimators": 100, "max_leaf_nodes": 1024, "min_samples_leaf": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A kind of model and its parameters; JSON both."""

    kind: str
    params: Mapping[str, Any]

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "params": dict(self.params)}


def from_config(config: Mapping[str, Any]) -> Setting | None:
    """The setting, or None where it is none of ours."""
    kind, params = str(config.get("kind")), config.get("params")
    if kind not in _RANGES or not isinstance(params, Mapping) or not set(params) <= set(_RANGES[kind]):
        return None
    return Setting(kind=kind, params=dict(params))


def defaults(rows: int) -> tuple[Setting, ...]:
    """Each kind as it is good on most tables, the likeliest first; linear ones where they are quick."""
    return tuple(
        Setting(kind=kind, params=params) for kind, params in _DEFAULTS.items() if _quick(kind, rows)
    )


def draws(rows: int, seed: int) -> Iterator[Setting]:
    """Any number of settings at random; boosting, which wins most often, as often as all others together."""
    kinds = [kind for kind in _RANGES if _quick(kind, rows)]
    choices = [{"kind": [kind], **_RANGES[kind]} for kind in (*kinds, *["histogram"] * (len(kinds) - 2))]
    random = np.random.RandomState(seed)
    while True:
        for drawn in ParameterSampler(choices, n_iter=_DRAWN_AT_ONCE, random_state=random):
            params = {name: _plain(value) for name, value in drawn.items() if name != "kind"}
            yield Setting(kind=drawn["kind"], params=params)


def model(setting: Setting, *, n_classes: int, seed: int) -> Any:
    """An unfitted estimator of one thread."""
    params = dict(setting.params)
    if setting.kind == "linear":
        if n_classes:
            return LogisticRegression(C=params["strength"], max_iter=300, random_state=seed)
        return Ridge(alpha=1.0 / params["strength"])
    if setting.kind == "histogram":
        boosted = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
        return boosted(**params, early_stopping=False, random_state=seed)
    if not n_classes:
        params.setdefault("max_features", 0.5)
    return _FORESTS[setting.kind][0 if n_classes else 1](**params, n_jobs=1, random_state=seed)


_FORESTS: Mapping[str, tuple[Any, Any]] = {
    "extra_trees": (ExtraTreesClassifier, ExtraTreesRegressor),
    "forest": (RandomForestClassifier, RandomForestRegressor),
}


def _quick(kind: str, rows: int) -> bool:
    return kind != "linear" or rows <= _LINEAR_ROWS


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
