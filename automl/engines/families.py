"""The parts TPOT may compose: each a scikit-learn, LightGBM or XGBoost class, its ranges and a good default.

Imported by the TPOT engine only. Every model here answers with probabilities (or numbers), trains in one
thread and takes row weights unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectPercentile, f_regression
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, RobustScaler, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

_SMALL = 20_000
NOTHING = "Nothing"
"""The step that leaves the matrix as it is; it has no place in the served pipeline."""


class _Ranges(ConfigurationSpace):  # type: ignore[misc]
    """A configuration space that TPOT's many deep copies of individuals share."""

    def __deepcopy__(self, memo: Any) -> _Ranges:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One class to choose. ``ranges`` is what TPOT varies, ``default`` a complete setting to begin with."""

    name: str
    method: type
    ranges: Any
    default: Mapping[str, Any]
    weights: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the choice of families depends on."""

    rows: int
    columns: int
    n_classes: int
    weighted: bool
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A pipeline is one family of each: a transformer, a selector, a model (best guesses first)."""

    transformers: tuple[Family, ...]
    selectors: tuple[Family, ...]
    models: tuple[Family, ...] = field(default=())

    @property
    def steps(self) -> tuple[tuple[Family, ...], ...]:
        return (self.transformers, self.selectors, self.models)


def space(shape: Shape) -> Space:
    """The families fit for a problem of this shape."""
    models = _classifiers(shape) if shape.n_classes else _regressors(shape)
    return Space(
        transformers=_transformers(shape),
        selectors=_selectors(shape),
        models=tuple(family for family in models if family.weights or not shape.weighted),
    )


def _family(
    method: type,
    ranges: Mapping[str, Any],
    default: Mapping[str, Any],
    *,
    fixed: Mapping[str, Any] | None = None,
    weights: bool = True,
    name: str | None = None,
) -> Family:
    """``ranges`` with a value instead of a range, and all of ``fixed``, stay as they are."""
    constants = dict(fixed or {})
    return Family(
        name=name or method.__name__,
        method=method,
        ranges=_Ranges(space={**ranges, **constants}) if ranges or constants else {},
        default={**default, **constants},
        weights=weights,
    )


def _nothing() -> Family:
    return _family(FunctionTransformer, {}, {}, name=NOTHING)


def _transformers(shape: Shape) -> tuple[Family, ...]:
    share = Float("n_components", (0.6, 0.99))
    quantiles = Integer("n_quantiles", (10, max(11, min(500, shape.rows // 4))), log=True)
    pca = _family(
        PCA,
        {"n_components": share, "whiten": Categorical("whiten", [False, True])},
        {"n_components": 0.95, "whiten": False},
        fixed={"svd_solver": "full", "random_state": shape.seed},
    )
    return (
        _nothing(),
        _family(StandardScaler, {}, {}),
        _family(RobustScaler, {}, {}),
        _family(
            QuantileTransformer,
            {
                "n_quantiles": quantiles,
                "output_distribution": Categorical("output_distribution", ["uniform", "normal"]),
            },
            {"n_quantiles": min(100, max(11, shape.rows // 4)), "output_distribution": "normal"},
            fixed={"random_state": shape.seed},
        ),
        *((pca,) if shape.columns <= 300 else ()),
    )


def _selectors(shape: Shape) -> tuple[Family, ...]:
    fixed = {} if shape.n_classes else {"score_func": f_regression}
    ranges = {"percentile": Integer("percentile", (10, 95))}
    method = SelectPercentile if shape.n_classes else SelectByRegression
    return (_nothing(), _family(method, ranges, {"percentile": 50}, fixed={} if fixed else fixed, name="SelectPercentile"))
