"""Models that answer for themselves: the fitted estimator, on a matrix."""

from __future__ import annotations

from collections.abc import Sequence
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


class OwnSteps(OnMatrix):
    """All that follows the preprocessing, as it was fitted: what costs most of a pipeline's time is left out all the
    same."""

    def __init__(self, steps: Sequence[Any], *, classes: bool) -> None:
        self.description = " → ".join(name_of(step) for step in steps)
        *self._between, model = steps
        self._answer = model.predict_proba if classes else model.predict

    def many(self, features: Floats) -> Floats:
        for step in self._between:
            features = step.transform(features)
        return np.asarray(self._answer(features), dtype=np.float64)


def own_steps(steps: Sequence[Any], *, classes: bool) -> OwnSteps:
    """From any fitted steps of a pipeline with a model at their end. Raises Unknown for one that can't tell
    probabilities where ``classes`` are asked for."""
    used = [step for step in steps if step not in (None, "passthrough")]
    if classes and not hasattr(used[-1], "predict_proba"):
        raise Unknown(f"{name_of(used[-1])} gives no probabilities")
    return OwnSteps(used, classes=classes)


def compile_own(model: Any, features: int) -> Scorer:
    """From any fitted estimator that takes so many features."""
    if int(model.n_features_in_) != features:
        raise Unknown(f"{name_of(model)} takes {model.n_features_in_} features, {features} are made")
    return _Own(model)
