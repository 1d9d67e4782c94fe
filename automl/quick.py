"""One fixed gradient-boosted model: what learns when no search is wanted, in seconds and without chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from automl.engines.plain import plain
from automl.errors import SearchFailed
from automl.features import preprocessor
from automl.schema import Schema
from automl.task import Task

ROUNDS = 100
_SETTINGS = {"n_estimators": ROUNDS, "learning_rate": 0.1, "num_leaves": 31, "min_child_samples": 20}


def quick_model(
    X: pd.DataFrame, y: npt.NDArray[np.generic], *, schema: Schema, task: Task, seed: int
) -> Pipeline:
    """A fitted pipeline from raw rows to predictions: the preprocessing, then LightGBM with 100 trees.

    ``X`` is typed by the schema, ``y`` holds class positions or numbers. The same rows and seed give the same
    model. Raises SearchFailed when the rows have one class only or no column that varies.
    """
    from lightgbm import LGBMClassifier, LGBMRegressor

    present = np.unique(y) if task.is_classification else np.empty(0, dtype=np.int64)
    if task.is_classification and len(present) < 2:
        raise SearchFailed("the training rows have one class only: there is nothing to tell apart")
    prepared = preprocessor(schema, task, seed=seed)
    try:
        matrix = np.asarray(prepared.fit_transform(X, y), dtype=np.float64)
    except ValueError as fault:
        raise SearchFailed(f"the features can't be prepared: {fault}") from fault
    common = {"n_jobs": 1, "random_state": seed, "deterministic": True, "force_col_wise": True, "verbose": -1}
    if task.is_classification:
        model = LGBMClassifier(**_SETTINGS, **common).fit(matrix, np.searchsorted(present, y))
        return plain(prepared, model, present=present, n_classes=len(task.classes))
    model = LGBMRegressor(**_SETTINGS, **common).fit(matrix, y)
    return plain(prepared, model, present=present, n_classes=0)
