"""Models that answer for themselves: the fitted estimator, on a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.scorer import OnMatrix, Scorer
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]


class _Own(OnMatrix):
    def __init__(self, model: Any) -> None:
        self.description = name_of(model)
        self._answer = model.predict_proba if hasattr(model, "predict_proba") else model.predict

    def many(self, features: Floats) -> Floats:
        return np.asarray(self._answer(features), dtype=np.float64)


def compile_own(model: Any, features: int) -> Scorer:
    """From any fitted estimator that takes so many features."""
    if int(model.n_features_in_) != features:
        raise Unknown(f"{name_of(model)} takes {model.n_features_in_} features, {features} are made")
    return _Own(model)
