"""The parts TPOT may compose: each a scikit-learn, LightGBM or XGBoost class, its ranges and a good default.

Imported by the TPOT engine only. Every model answers with probabilities (or numbers) and works in one
thread; histogram boosting of scikit-learn's is left out because it can't be told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectPercentile, f_classif, f_regression
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, RobustScaler, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

NOTHING = "Nothing"
"""The step that leaves the matrix as it is; it gets no place in a pipeline."""
_SMALL = 20_000
_WIDE = 300

Ranges = Mapping[str, Any]


class _SharedSpace(ConfigurationSpace):  # type: ignore[misc]
    """A configuration space that the many copies TPOT makes of an individual share: it is only read."""

    def __deepcopy__(self, memo: Any) -> _SharedSpace:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One class to choose.

    ``ranges`` is what TPOT varies, ``default`` a setting of the same parameters to begin with, ``fixed``
    what stays as it is. ``weights``: whether it can train with row weights.
    """

    name: str
    method: type
    ranges: Ranges = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    weights: bool = True

    def space(self) -> Any:
        """What TPOT takes: a configuration space, or an empty dict where nothing varies."""
        return _SharedSpace(space=dict(self.ranges)) if self.ranges else {}

    def build(self, params: Mapping[str, Any]) -> Any:
        """An unfitted estimator."""
        return self.method(**params, **self.fixed)

    def params(self, sampled: Mapping[str, Any]) -> dict[str, Any] | None:
        """Sampled values as JSON-able ones; None unless they are this family's, each within its range."""
        if set(sampled) != set(self.ranges):
            return None
        given = {
            name: value.item() if isinstance(value, np.generic) else value for name, value in sampled.items()
        }
        legal = all(_legal(self.ranges[name], value) for name, value in given.items())
        return given if legal else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the choice of families depends on; ``n_classes`` is 0 for regression.

    ``fold_rows`` is the fewest rows a trial trains on: no family may ask for more neighbours or quantiles.
    """

    rows: int
    fold_rows: int
    columns: int
    n_classes: int
    weighted: bool
    seed: int


def steps(shape: Shape) -> tuple[tuple[Family, ...], ...]:
    """The families of each step of a pipeline: transformer, selector, model (the likeliest first)."""
    models = _classifiers(shape) if shape.n_classes else _regressors(shape)
    usable = tuple(family for family in models if family.weights or not shape.weighted)
    return (_transformers(shape), _selectors(shape), usable)


def _legal(domain: Any, value: Any) -> bool:
    return bool(domain.legal_value(value))


def _transformers(shape: Shape) -> tuple[Family, ...]:
    most = max(11, min(500, shape.fold_rows // 2))
    quantiles = Family(
        name="QuantileTransformer",
        method=QuantileTransformer,
        ranges={
            "n_quantiles": Integer("n_quantiles", (10, most), log=True),
            "output_distribution": Categorical("output_distribution", ["uniform", "normal"]),
        },
        default={"n_quantiles": min(100, most), "output_distribution": "normal"},
        fixed={"random_state": shape.seed},
    )
    pca = Family(
        name="PCA",
        method=PCA,
        ranges={
            "n_components": Float("n_components", (0.6, 0.99)),
            "whiten": Categorical("whiten", [False, True]),
        },
        default={"n_components": 0.95, "whiten": False},
        fixed={"svd_solver": "full", "random_state": shape.seed},
    )
    return (
        Family(name=NOTHING, method=FunctionTransformer),
        Family(name="StandardScaler", method=StandardScaler),
        Family(name="RobustScaler", method=RobustScaler),
        quantiles,
        *((pca,) if shape.columns <= _WIDE else ()),
    )


def _selectors(shape: Shape) -> tuple[Family, ...]:
    percentile = Family(
        name="SelectPercentile",
        method=SelectPercentile,
        ranges={"percentile": Integer("percentile", (20, 95))},
        default={"percentile": 60},
        fixed={"score_func": f_classif if shape.n_classes else f_regression},
    )
    return (Family(name=NOTHING, method=FunctionTransformer), percentile)


def _classifiers(shape: Shape) -> tuple[Family, ...]:
    logistic = Family(
        name="LogisticRegression",
        method=LogisticRegression,
        ranges={"C": Float("C", (1e-3, 1e3), log=True)},
        default={"C": 1.0},
        fixed={"max_iter": 300, "random_state": shape.seed},
    )
    small = (Family(name="GaussianNB", method=GaussianNB), _neighbours(KNeighborsClassifier, shape))
    return (
        _lightgbm(LGBMClassifier, shape),
        logistic,
        _xgboost(XGBClassifier, shape),
        _forest(ExtraTreesClassifier, shape),
        _forest(RandomForestClassifier, shape),
        *(small if shape.rows <= _SMALL else ()),
    )


def _regressors(shape: Shape) -> tuple[Family, ...]:
    ridge = Family(
        name="Ridge",
        method=Ridge,
        ranges={"alpha": Float("alpha", (1e-3, 1e3), log=True)},
        default={"alpha": 1.0},
    )
    elastic = Family(
        name="ElasticNet",
        method=ElasticNet,
        ranges={"alpha": Float("alpha", (1e-4, 10.0), log=True), "l1_ratio": Float("l1_ratio", (0.05, 1.0))},
        default={"alpha": 0.1, "l1_ratio": 0.5},
        fixed={"random_state": shape.seed},
    )
    small = (elastic, _neighbours(KNeighborsRegressor, shape))
    return (
        _lightgbm(LGBMRegressor, shape),
        ridge,
        _xgboost(XGBRegressor, shape),
        _forest(ExtraTreesRegressor, shape),
        _forest(RandomForestRegressor, shape),
        *(small if shape.rows <= _SMALL else ()),
    )


def _lightgbm(method: type, shape: Shape) -> Family:
    return Family(
        name=method.__name__,
        method=method,
        ranges={
            "n_estimators": Integer("n_estimators", (30, 300), log=True),
            "num_leaves": Integer("num_leaves", (5, 127), log=True),
            "learning_rate": Float("learning_rate", (0.02, 0.3), log=True),
            "min_child_samples": Integer("min_child_samples", (3, 100), log=True),
            "colsample_bytree": Float("colsample_bytree", (0.3, 1.0)),
            "reg_lambda": Float("reg_lambda", (1e-3, 30.0), log=True),
        },
        default={
            "n_estimators": 60,  # the very first trial: it must end where time is short
            "num_leaves": 31,
            "learning_rate": 0.1,
            "min_child_samples": 20,
            "colsample_bytree": 0.8,
            "reg_lambda": 1.0,
        },
        fixed={"n_jobs": 1, "verbose": -1, "random_state": shape.seed},
    )


def _xgboost(method: type, shape: Shape) -> Family:
    return Family(
        name=method.__name__,
        method=method,
        ranges={
            "n_estimators": Integer("n_estimators", (30, 300), log=True),
            "max_depth": Integer("max_depth", (2, 9)),
            "learning_rate": Float("learning_rate", (0.02, 0.3), log=True),
            "subsample": Float("subsample", (0.5, 1.0)),
            "colsample_bytree": Float("colsample_bytree", (0.3, 1.0)),
            "min_child_weight": Float("min_child_weight", (0.5, 30.0), log=True),
            "reg_lambda": Float("reg_lambda", (1e-3, 30.0), log=True),
        },
        default={
            "n_estimators": 100,
            "max_depth": 5,
            "learning_rate": 0.1,
            "subsample": 0.9,
            "colsample_bytree": 0.7,
            "min_child_weight": 1.0,
            "reg_lambda": 1.0,
        },
        fixed={"tree_method": "hist", "n_jobs": 1, "verbosity": 0, "random_state": shape.seed},
    )


def _forest(method: type, shape: Shape) -> Family:
    """Leaves are bounded: an unbounded forest is hundreds of megabytes to serve."""
    features = max(0.05, min(0.3, shape.columns**-0.5)) if shape.n_classes else 0.5
    return Family(
        name=method.__name__,
        method=method,
        ranges={
            "n_estimators": Integer("n_estimators", (20, 150), log=True),
            "max_features": Float("max_features", (0.02, 1.0), log=True),
            "max_leaf_nodes": Integer("max_leaf_nodes", (32, 2048), log=True),
            "min_samples_leaf": Integer("min_samples_leaf", (1, 20), log=True),
        },
        default={
            "n_estimators": 60,
            "max_features": features,
            "max_leaf_nodes": 512,
            "min_samples_leaf": 2,
        },
        fixed={"n_jobs": 1, "random_state": shape.seed},
    )


def _neighbours(method: type, shape: Shape) -> Family:
    most = max(2, min(100, shape.fold_rows // 2))
    return Family(
        name=method.__name__,
        method=method,
        ranges={
            "n_neighbors": Integer("n_neighbors", (1, most), log=True),
            "weights": Categorical("weights", ["uniform", "distance"]),
        },
        default={"n_neighbors": min(15, most), "weights": "distance"},
        fixed={"n_jobs": 1},
        weights=False,
    )
