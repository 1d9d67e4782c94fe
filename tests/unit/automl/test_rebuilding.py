"""A model as JSON, and built again from it."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingRegressor,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SelectPercentile, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from sklearn.svm import SVR
from xgboost import XGBClassifier, XGBRegressor

from automl.engines.rebuilding import built, described
from automl.engines.skewed import LogTarget

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
NUMBERS = np.abs(X[:, 0] * 3 + RNG.normal(size=120))
CLASSES = np.digitize(NUMBERS, [1.0, 3.0])


@pytest.mark.parametrize(
    "model",
    [
        LGBMClassifier(n_estimators=20, num_leaves=7, colsample_bytree=0.7, n_jobs=1, verbose=-1),
        LGBMRegressor(n_estimators=20, extra_trees=True, n_jobs=1, verbose=-1),
        XGBClassifier(n_estimators=15, max_depth=3, tree_method="hist", n_jobs=1, random_state=3),
        XGBRegressor(n_estimators=15, max_leaves=7, grow_policy="lossguide", n_jobs=1),
        ExtraTreesClassifier(20, max_leaf_nodes=16, n_jobs=1, random_state=np.int64(4)),
        HistGradientBoostingRegressor(max_iter=10, random_state=1),
        LogisticRegression(C=np.float64(0.3), max_iter=300),
        make_pipeline(QuantileTransformer(n_quantiles=20), Ridge(alpha=0.1)),
        make_pipeline(SelectPercentile(f_regression, percentile=40), Ridge()),
        LogTarget(SVR(C=3.0), way="standard"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_built_again_from_json_answers_the_same(model: Any) -> None:
    y = CLASSES if hasattr(model, "predict_proba") else NUMBERS
    model.fit(X, y)
    again = built(json.loads(json.dumps(described(model)))).fit(X, y)
    ask = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    np.testing.assert_allclose(getattr(again, ask)(X), getattr(model, ask)(X), rtol=1e-12)


def test_a_boosted_classifier_built_again_may_learn_other_classes() -> None:
    model = XGBClassifier(n_estimators=5, n_jobs=1).fit(X, CLASSES)
    two = built(described(model) or {}).fit(X, CLASSES > 0)
    assert two.predict_proba(X).shape == (120, 2)


def test_a_model_with_something_that_json_can_not_say_is_not_described() -> None:
    class Own(BaseEstimator):  # type: ignore[misc]
        pass

    assert described(Own()) is None
    assert described(SelectPercentile(lambda X, y: X[0])) is None
    assert described(LogisticRegression(class_weight=np.array([1.0, 2.0]))) is None
    assert described(LogisticRegression(class_weight=np.array([1.0]))) is None  # an array of one is no number
    assert described(GaussianProcessRegressor(kernel=RBF())) is None


@pytest.mark.parametrize(
    "model",
    [
        VotingClassifier([("one", LogisticRegression())]),
        StackingRegressor([("one", Ridge())]),
        RFE(Ridge()),
        make_pipeline(RFE(Ridge()), Ridge()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_that_can_not_be_made_without_arguments_is_not_described_and_fails_nothing(
    model: Any,
) -> None:
    assert described(model) is None


@pytest.mark.parametrize(
    "description",
    [
        {"class": "os.system", "params": {}},
        {"class": "sklearn.linear_model.Gone", "params": {}},
        {"class": "sklearn.linear_model.Ridge", "params": {"nonsense": 1}},
        {"class": "sklearn.linear_model.Ridge"},
        {"class": "sklearn.linear_model.Ridge", "params": {"alpha": {"function": "subprocess.run"}}},
        {"steps": [{"class": "builtins.eval", "params": {}}]},
        {"class": "sklearn.utils._testing.check_output", "params": {}},
        {"class": "sklearn.utils._testing.assert_run_python_script_without_output", "params": {}},
        {
            "class": "sklearn.linear_model.Ridge",
            "params": {"alpha": {"function": "sklearn.utils._testing.check_output"}},
        },
    ],
)
def test_what_is_no_description_or_names_what_no_server_has_is_refused(description: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no model can be built|no package that a server has"):
        built(description)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_boosting_that_stopped_by_itself_says_where(name: str, wrapped: bool) -> None:
    plain: Any
    if name == "lightgbm":
        plain = LGBMRegressor(n_estimators=500, learning_rate=0.3, n_jobs=1, verbose=-1)
        stops: dict[str, Any] = {"callbacks": [early_stopping(5, verbose=False)]}
    else:
        plain = XGBRegressor(n_estimators=500, early_stopping_rounds=5, n_jobs=1)
        stops = {"verbose": False}
    model = LogTarget(plain) if wrapped else plain
    assert _rounds(described(model)) == 500
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM would have the rows to stop by under another name
        model.fit(X[:80], NUMBERS[:80], eval_set=[(X[80:], NUMBERS[80:])], **stops)
    booster = model.regressor_ if wrapped else model
    stopped = booster.best_iteration_ if name == "lightgbm" else booster.best_iteration + 1
    assert 0 < stopped < 500
    assert _rounds(described(model, as_trained=True)) == stopped
    assert _rounds(described(model)) == 500


def _rounds(description: Any) -> int:
    params = description["params"]
    return _rounds(params["regressor"]["model"]) if "regressor" in params else int(params["n_estimators"])
