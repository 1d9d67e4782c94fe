"""Which model has which compiled form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from automl.compiled.lightgbm_form import compile_lightgbm
from automl.compiled.linear_form import compile_logistic, compile_regression
from automl.compiled.scorer import Scorer, Spread
from automl.compiled.unknown import Unknown, name_of
from automl.engines.plain import AllClasses

_FORMS: Mapping[str, Callable[[Any, int], Scorer]] = {
    "lightgbm.LGBMClassifier": compile_lightgbm,
    "lightgbm.LGBMRegressor": compile_lightgbm,
    "sklearn.LogisticRegression": compile_logistic,
    "sklearn.Ridge": compile_regression,
    "sklearn.ElasticNet": compile_regression,
}
"""By package and class: a subclass may answer otherwise, so only these very classes are known."""


def compile_model(model: Any, features: int) -> Scorer:
    """The compiled form of a fitted model that takes so many features. Raises Unknown where there is none."""
    if isinstance(model, AllClasses):
        inner = compile_model(model.classifier, features)
        if len(model.present) == model.n_classes:
            return inner
        return Spread(scorer=inner, present=tuple(model.present), n_classes=model.n_classes)
    kind = type(model)
    form = _FORMS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
    if form is None:
        raise Unknown(f"there is no compiled form of {name_of(model)}")
    return form(model, features)
