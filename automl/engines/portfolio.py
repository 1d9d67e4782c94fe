"""Settings that are good on most tables, to be tried before anything is searched.

Boosting is given more rounds than it needs and stops by the fold's own validation rows; the rounds that it stopped
at are part of the setting that is kept. The first ones are quick, so that a first good model is there within
seconds; those after them differ as much as they can, which is what a blend lives on (Feurer et al. 2022,
"Auto-Sklearn 2.0", for portfolios; Erickson et al. 2020, "AutoGluon-Tabular", for these families).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from sklearn.svm import SVR
from xgboost import XGBClassifier, XGBRegressor

from automl.engines.evaluation import Prepared
from automl.engines.skewed import LogTarget, is_skewed

MOST_ROUNDS = 600
LOG = "log_target"
_SMALL = 5_000
_LINEAR_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A kind of model (a key of :func:`model`) and its parameters; JSON both."""

    kind: str
    params: Mapping[str, Any]

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "params": dict(self.params)}


def from_config(config: Mapping[str, Any]) -> Setting | None:
    """The setting, or None where it is none of ours."""
    kind, params = config.get("kind"), config.get("params")
    known = kind in _CLASSIFIERS or kind in _REGRESSORS
    return Setting(kind=str(kind), params=dict(params)) if known and isinstance(params, Mapping) else None


_LIGHTGBM: tuple[Mapping[str, Any], ...] = (
    {"learning_rate": 0.1, "num_leaves": 31, "min_child_samples": 20},
    {
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_child_samples": 10,
        "colsample_bytree": 0.7,
        "reg_lambda": 5.0,
    },
    {
        "learning_rate": 0.05,
        "num_leaves": 63,
        "min_child_samples": 20,
        "colsample_bytree": 0.5,
        "reg_lambda": 1.0,
    },
    {"learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 5, "extra_trees": True},
    {
        "learning_rate": 0.03,
        "num_leaves": 127,
        "min_child_samples": 3,
        "colsample_bytree": 0.9,
        "subsample": 0.8,
        "subsample_freq": 1,
    },
    {"learning_rate": 0.08, "num_leaves": 6, "min_child_samples": 40, "colsample_bytree": 0.6},
)
_XGBOOST: tuple[Mapping[str, Any], ...] = (
    {"learning_rate": 0.1, "max_depth": 6, "colsample_bytree": 0.8, "min_child_weight": 1.0},
    {"learning_rate": 0.05, "max_depth": 4, "colsample_bytree": 0.6, "subsample": 0.8, "reg_lambda": 3.0},
    {
        "learning_rate": 0.05,
        "max_depth": 9,
        "colsample_bytree": 0.5,
        "subsample": 0.7,
        "min_child_weight": 3.0,
    },
)
_FORESTS: tuple[Mapping[str, Any], ...] = (
    {"n_estimators": 100, "max_leaf_nodes": 1024, "min_samples_leaf": 1},
    {"n_estimators": 100, "max_leaf_nodes": 2048, "min_samples_leaf": 2, "max_features": 0.5},
)


def settings(*, rows: int, columns: int, n_classes: int, weighted: bool, skewed: bool) -> Iterator[Setting]:
    """The portfolio for a table, the likeliest and quickest first."""
    lightgbm = [Setting(kind="lightgbm", params=params) for params in _LIGHTGBM]
    xgboost = [Setting(kind="xgboost", params=params) for params in _XGBOOST]
    trees = [Setting(kind=kind, params=params) for params in _FORESTS for kind in ("extra_trees", "forest")]
    linear = [Setting(kind="linear", params={"strength": value}) for value in (1.0, 0.03)]
    yield lightgbm[0]
    if rows <= _LINEAR_ROWS:
        yield linear[0]
    if skewed:
        yield Setting(kind="lightgbm", params={**_LIGHTGBM[1], LOG: True})
    yield from (lightgbm[1], trees[0], xgboost[0], trees[1])
    if rows <= _SMALL and columns <= 100 and not weighted:
        yield Setting(kind="neighbours", params={"n_neighbors": 15, "weights": "distance"})
        if not n_classes:
            yield Setting(kind="kernel", params={"C": 10.0})
    if rows <= 4 * _SMALL:
        yield Setting(kind="linear_ranked", params={"strength": 0.3})
    yield from (
        lightgbm[2],
        xgboost[1],
        lightgbm[3],
        trees[2],
        lightgbm[4],
        xgboost[2],
        trees[3],
        lightgbm[5],
    )
    if rows <= _LINEAR_ROWS:
        yield linear[1]


def settings_for(prepared: Prepared) -> Iterator[Setting]:
    """The portfolio for a problem that was made ready."""
    full = prepared.full
    return settings(
        rows=len(full.y),
        columns=full.X.shape[1],
        n_classes=prepared.n_classes,
        weighted=full.weights is not None,
        skewed=not prepared.n_classes and is_skewed(np.asarray(full.y, dtype=np.float64)),
    )


_WALKS = {
    "learning_rate": (0.01, 0.3),
    "num_leaves": (4, 255),
    "min_child_samples": (1, 100),
    "min_child_weight": (0.1, 50.0),
    "max_depth": (2, 10),
    "reg_lambda": (1e-3, 50.0),
    "strength": (1e-3, 100.0),
    "min_samples_leaf": (1, 20),
    "C": (0.1, 100.0),
}
_SHARES = ("colsample_bytree", "subsample", "max_features")


def neighbour(setting: Setting, rng: np.random.Generator) -> Setting:
    """A setting a step away: numbers times or over some factor, shares moved by some tenths."""
    params: dict[str, Any] = {}
    for name, value in setting.params.items():
        if name in _WALKS:
            low, high = _WALKS[name]
            moved = float(np.clip(value * np.exp(rng.normal(0.0, 0.6)), low, high))
            params[name] = max(int(low), round(moved)) if isinstance(value, int) else moved
        elif name in _SHARES:
            params[name] = float(np.clip(value + rng.normal(0.0, 0.2), 0.2, 1.0))
        elif name != "n_estimators" or setting.kind in ("forest", "extra_trees"):
            params[name] = value
    return Setting(kind=setting.kind, params=params)


def model(setting: Setting, *, n_classes: int, seed: int) -> Any:
    """An unfitted estimator; boosting without rounds of its own gets MOST_ROUNDS."""
    params = dict(setting.params)
    log = params.pop(LOG, False)
    made = (_CLASSIFIERS if n_classes else _REGRESSORS)[setting.kind](params, seed)
    return LogTarget(made) if log else made


def _lightgbm(cls: type, params: dict[str, Any], seed: int) -> Any:
    return cls(**{"n_estimators": MOST_ROUNDS, **params}, n_jobs=1, verbose=-1, random_state=seed)


def _xgboost(cls: type, params: dict[str, Any], seed: int) -> Any:
    return cls(
        **{"n_estimators": MOST_ROUNDS, **params},
        tree_method="hist",
        n_jobs=1,
        verbosity=0,
        random_state=seed,
    )


def _trees(cls: type, params: dict[str, Any], seed: int) -> Any:
    return cls(**params, n_jobs=1, random_state=seed)


def _ranked(params: dict[str, Any], seed: int, linear: Any) -> Any:
    spread = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=seed)
    return make_pipeline(spread, linear(params, seed))


def _logistic(params: dict[str, Any], seed: int) -> Any:
    return LogisticRegression(C=params["strength"], max_iter=300, random_state=seed)


def _ridge(params: dict[str, Any], seed: int) -> Any:
    return Ridge(alpha=1.0 / params["strength"])


_CLASSIFIERS: Mapping[str, Any] = {
    "lightgbm": lambda params, seed: _lightgbm(LGBMClassifier, params, seed),
    "xgboost": lambda params, seed: _xgboost(XGBClassifier, params, seed),
    "extra_trees": lambda params, seed: _trees(ExtraTreesClassifier, params, seed),
    "forest": lambda params, seed: _trees(RandomForestClassifier, params, seed),
    "linear": _logistic,
    "linear_ranked": lambda params, seed: _ranked(params, seed, _logistic),
    "neighbours": lambda params, seed: KNeighborsClassifier(**params, n_jobs=1),
}
_REGRESSORS: Mapping[str, Any] = {
    "lightgbm": lambda params, seed: _lightgbm(LGBMRegressor, params, seed),
    "xgboost": lambda params, seed: _xgboost(XGBRegressor, params, seed),
    "extra_trees": lambda params, seed: _trees(ExtraTreesRegressor, {"max_features": 0.5, **params}, seed),
    "forest": lambda params, seed: _trees(RandomForestRegressor, {"max_features": 0.5, **params}, seed),
    "linear": _ridge,
    "linear_ranked": lambda params, seed: _ranked(params, seed, _ridge),
    "neighbours": lambda params, seed: KNeighborsRegressor(**params, n_jobs=1),
    "kernel": lambda params, seed: LogTarget(SVR(**params), way="standard"),
}
