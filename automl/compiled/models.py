"""Which model has which compiled form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sklearn.pipeline import Pipeline

from automl.calibration import Calibration
from automl.compiled.blends import Stacking, Voting
from automl.compiled.forest_form import compile_forest
from automl.compiled.histogram_form import compile_histogram
from automl.compiled.lightgbm_form import compile_lightgbm
from automl.compiled.linear_form import compile_logistic, compile_regression
from automl.compiled.own_form import compile_own
from automl.compiled.scorer import Scorer, Spread
from automl.compiled.shaped import Shaped, Unshaped
from automl.compiled.steps import Chained, compile_step
from automl.compiled.unknown import Unknown, name_of
from automl.compiled.xgboost_form import compile_xgboost
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.plain import AllClasses
from automl.engines.skewed import LogTarget

_FORMS: Mapping[str, Callable[[Any, int], Scorer]] = {
    "lightgbm.LGBMClassifier": compile_lightgbm,
    "lightgbm.LGBMRegressor": compile_lightgbm,
    "xgboost.XGBClassifier": compile_xgboost,
    "xgboost.XGBRegressor": compile_xgboost,
    "sklearn.RandomForestClassifier": compile_forest,
    "sklearn.RandomForestRegressor": compile_forest,
    "sklearn.ExtraTreesClassifier": compile_forest,
    "sklearn.ExtraTreesRegressor": compile_forest,
    "sklearn.HistGradientBoostingClassifier": compile_histogram,
    "sklearn.HistGradientBoostingRegressor": compile_histogram,
    "sklearn.LogisticRegression": compile_logistic,
    "sklearn.Ridge": compile_regression,
    "sklearn.ElasticNet": compile_regression,
    "sklearn.RidgeCV": compile_regression,
    "sklearn.LinearRegression": compile_regression,
    "sklearn.GaussianNB": compile_own,
    "sklearn.KNeighborsClassifier": compile_own,
    "sklearn.KNeighborsRegressor": compile_own,
    "sklearn.SVR": compile_own,
}
"""By package and class: a subclass may answer otherwise, so only these very classes are known."""


def compile_model(model: Any, features: int) -> Scorer:
    """The compiled form of a fitted model, or of steps before one, that takes so many features.

    Raises Unknown, naming the step, where there is none.
    """
    if isinstance(model, AllClasses):
        inner = compile_model(model.classifier, features)
        if len(model.present) == model.n_classes:
            return inner
        return Spread(scorer=inner, present=tuple(model.present), n_classes=model.n_classes)
    if isinstance(model, BlendClassifier | BlendRegressor):
        return _blend(model, features)
    if isinstance(model, LogTarget):
        inner = compile_model(model.regressor_, features)
        shape = Unshaped(way=model.way, center=model.center_, scale=model.scale_, most=model.most_)
        return Shaped(inner, shape, f"of the {model.way} target")
    if type(model) is Pipeline:
        return compile_steps([step for _, step in model.steps], features)
    name = _name(model)
    if name in ("sklearn.VotingClassifier", "sklearn.VotingRegressor"):
        return _voting(model, features)
    if name in ("sklearn.StackingClassifier", "sklearn.StackingRegressor"):
        return _stacking(model, features)
    form = _FORMS.get(name)
    if form is None:
        raise Unknown(f"there is no compiled form of {name_of(model)}")
    return form(model, features)


def compile_steps(steps: Sequence[Any], features: int) -> Scorer:
    """Steps from matrix to matrix with a model at their end."""
    between = []
    for step in steps[:-1]:
        if step in (None, "passthrough"):
            continue
        act, features = compile_step(step, features)
        between.append((name_of(step), act))
    scorer = compile_model(steps[-1], features)
    return Chained(between, scorer) if between else scorer


def _blend(model: BlendClassifier | BlendRegressor, features: int) -> Scorer:
    members = [compile_model(member, features) for member in model.members]
    mean = Voting(members, list(model.weights))
    if model.calibration is None:
        return mean
    calibration = Calibration.from_json(model.calibration)
    return Shaped(mean, calibration, f"calibrated by {calibration.way}")


def _voting(model: Any, features: int) -> Scorer:
    if getattr(model, "voting", "soft") != "soft":
        raise Unknown(f"{name_of(model)} counts votes and gives no probabilities")
    members = [compile_model(member, features) for member in model.estimators_]
    return Voting(members, model._weights_not_none)


def _stacking(model: Any, features: int) -> Scorer:
    if not set(model.stack_method_) <= {"predict_proba", "predict"} or model.cv == "prefit":
        raise Unknown(f"{name_of(model)} stacks other than probabilities and numbers")
    classes = getattr(model, "classes_", None)
    if classes is not None and "predict" in model.stack_method_:
        raise Unknown(f"{name_of(model)} stacks decisions")
    members = [compile_model(member, features) for member in model.estimators_]
    width = 1 if classes is None else 1 if len(classes) == 2 else len(classes)
    taken = width * len(members) + (features if model.passthrough else 0)
    final = compile_model(model.final_estimator_, taken)
    binary = classes is not None and len(classes) == 2
    return Stacking(members, final, binary=binary, passthrough=model.passthrough)


def _name(model: Any) -> str:
    return f"{type(model).__module__.partition('.')[0]}.{type(model).__name__}"
