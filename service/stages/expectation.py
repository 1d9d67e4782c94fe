"""What is expected of a model once it serves: its answers to the rows that judged it, and an estimator of its quality.

Parameters only, as JSON: nothing that is read here later is ever unpickled.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from automl.estimation import ClassificationEstimator, lacking
from automl.loss_estimation import ESTIMABLE, RegressionEstimator
from automl.scoring import encoded
from automl.task import Task
from service.desk import Desk

KEPT_ANSWERS = 5_000


def write_expectation(
    desk: Desk,
    pipeline: Pipeline,
    rows: pd.DataFrame,
    answers: npt.NDArray[np.float64],
    y: npt.NDArray[Any],
    task: Task,
) -> None:
    """Leaves ``expectation.json``: ``predictions`` (of at most 5,000 judged rows), ``estimator`` or None, and why
    there is none (``lacking``)."""
    seed = desk.spec["seed"]
    why = _why_not(answers, y, task)
    estimator: dict[str, Any] | None = None
    if why is None and task.is_classification:
        estimator = ClassificationEstimator.fit(y, answers, seed=seed, metrics=(task.metric,)).to_json()
    elif why is None:
        estimator = RegressionEstimator.fit(encoded(pipeline, rows), y, answers, seed=seed).to_json()
    kept = np.random.default_rng(seed).permutation(len(answers))[:KEPT_ANSWERS]
    expectation = {
        "predictions": np.nan_to_num(answers[np.sort(kept)]).tolist(),
        "estimator": estimator,
        "lacking": why,
    }
    (desk.folder / "expectation.json").write_text(json.dumps(expectation))


def _why_not(answers: npt.NDArray[np.float64], y: npt.NDArray[Any], task: Task) -> str | None:
    if not np.isfinite(answers).all():
        return "the model answers with numbers that are not finite"
    if not task.is_classification and task.metric not in ESTIMABLE:
        return f"{task.metric} can't be estimated without truth; {' and '.join(ESTIMABLE)} can"
    return lacking(y, task.kind)
