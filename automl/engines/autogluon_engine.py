"""AutoGluon chooses, in a process of its own; what it chose is built again here.

A champion is served from a signed pipeline that needs nothing of its engine (decision 006), so AutoGluon's predictor
can't be what is served. Its models of LightGBM, XGBoost and scikit-learn can: each is tried here with the parameters
and the rounds that AutoGluon arrived at, on the folds all engines share, those of its weighted ensemble first. That
ensemble itself is left to the search's own blend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.engines import portfolio, setting_trials
from automl.engines.autogluon_process import Model, started
from automl.engines.evaluation import Prepared
from automl.engines.portfolio import Setting
from automl.engines.protocol import Start
from automl.engines.searcher import Searcher
from automl.engines.trials import SearchOver, Trials, Tried

_LIGHTGBM = {
    "learning_rate": "learning_rate",
    "num_leaves": "num_leaves",
    "min_data_in_leaf": "min_child_samples",
    "feature_fraction": "colsample_bytree",
    "bagging_fraction": "subsample",
    "bagging_freq": "subsample_freq",
    "lambda_l1": "reg_alpha",
    "lambda_l2": "reg_lambda",
    "extra_trees": "extra_trees",
    "num_boost_round": "n_estimators",
}
_XGBOOST = (
    "learning_rate",
    "max_depth",
    "min_child_weight",
    "colsample_bytree",
    "subsample",
    "reg_alpha",
    "reg_lambda",
    "gamma",
    "n_estimators",
)
_FOREST = ("n_estimators", "max_leaf_nodes", "min_samples_leaf", "max_features", "criterion", "bootstrap")
_READ: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "GBM": ("lightgbm", _LIGHTGBM),
    "XGB": ("xgboost", {name: name for name in _XGBOOST}),
    "RF": ("forest", {name: name for name in _FOREST}),
    "XT": ("extra_trees", {name: name for name in _FOREST}),
}
"""AutoGluon's kind to ours, and its names of parameters to ours."""
_PASSING = frozenset(
    {
        "seed",
        "seed_value",
        "random_state",
        "n_jobs",
        "num_threads",
        "objective",
        "metric",
        "verbose",
        "verbosity",
    }
    | {"booster", "enable_categorical", "proc.max_category_levels", "two_round", "tree_method", "max_bin"}
)
"""Parameters that don't make another model of it on a matrix of numbers."""
_MOST = {"n_estimators": 150, "max_leaf_nodes": 2048}
"""Forests are smaller than AutoGluon's, which take hundreds of megabytes to serve."""


class AutogluonEngine(Searcher):
    """AutoGluon behind the engine protocol; needs ``INCUMBENT_AUTOGLUON_PYTHON``.

    It gets as long as a trial may take, in one turn. A start that was its own is tried while AutoGluon is imported. With
    ``max_trials`` set it trains so many models whatever they take, so that the same seed gives the same candidate.
    """

    name = "autogluon"

    def propose(self, trials: Trials, *, seed: int, starts: Sequence[Start] = ()) -> None:
        """Let AutoGluon choose, then try what it chose."""
        if not trials.allowance.trial_seconds():
            return
        with started() as process:
            for start in starts:
                setting = portfolio.from_config(start.config) if start.engine == self.name else None
                if setting is not None:
                    setting_trials.tried(setting, trials, seed=seed)
            if not process.wait(lambda: trials.allowance.trial_seconds() > 0):
                trials.errors.append("AutoGluon: it was still being imported when the time was up")
                return
            with trials.turns.turn(self.name):
                seconds = trials.allowance.trial_seconds()
                if not seconds:
                    raise SearchOver("no time is left for AutoGluon")
                found = process.fit(trials.prepared, seconds=seconds, seed=seed, models=self._max_trials)
        for model in found:
            setting = setting_of(model)
            if setting is not None:
                setting_trials.tried(setting, trials, seed=seed)

    def refit(self, tried: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
        """Trained on all rows, with the rounds that AutoGluon stopped at."""
        return setting_trials.trained(tried, prepared, seconds, seed=seed)


def setting_of(model: Model) -> Setting | None:
    """One of AutoGluon's models as a setting of ours; None where it has a parameter that has no place there."""
    kind, names = _READ[model.kind]
    given = {name: value for name, value in model.params.items() if name not in _PASSING}
    if not set(given) <= set(names):
        return None
    params = {names[name]: value for name, value in given.items()}
    if kind in ("forest", "extra_trees"):
        params = {name: min(value, _MOST[name]) if name in _MOST else value for name, value in params.items()}
    return Setting(kind=kind, params=params)
