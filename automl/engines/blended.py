"""Several fitted models that answer as one. Imported again wherever such a model is read: knows no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import has_fit_parameter

from automl.calibration import Calibration

Array = npt.NDArray[Any]


class _Blend(BaseEstimator):  # type: ignore[misc]
    """``members`` are estimators on the same matrix, ``weights`` their shares of the answer, summing to 1."""

    def __init__(
        self,
        members: Sequence[Any] = (),
        weights: Sequence[float] = (),
        calibration: Mapping[str, Any] | None = None,
    ) -> None:
        self.members = members
        self.weights = weights
        self.calibration = calibration

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:
        """Train the members anew, each in place; those that can weigh rows do. The calibration stays as it is."""
        for member in self.members:
            member.fit(X, y, **weighed(member, sample_weight))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def n_features_in_(self) -> int:
        return int(self.members[0].n_features_in_)

    def _mean(self, answers: Sequence[Array]) -> npt.NDArray[np.float64]:
        return np.asarray(np.average(np.asarray(answers), axis=0, weights=self.weights), dtype=np.float64)


class BlendClassifier(ClassifierMixin, _Blend):  # type: ignore[misc]
    """The weighted mean of the members' probabilities, through a calibration where there is one."""

    @property
    def classes_(self) -> Array:
        return np.asarray(self.members[0].classes_)

    def predict_proba(self, X: Array) -> npt.NDArray[np.float64]:
        mean = self._mean([member.predict_proba(X) for member in self.members])
        return mean if self.calibration is None else Calibration.from_json(self.calibration)(mean)

    def predict(self, X: Array) -> Array:
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class BlendRegressor(RegressorMixin, _Blend):  # type: ignore[misc]
    """The weighted mean of the members' numbers."""

    def predict(self, X: Array) -> npt.NDArray[np.float64]:
        return self._mean([member.predict(X) for member in self.members])


def weighed(member: Any, weights: Array | None) -> dict[str, Any]:
    """What a model's ``fit`` is given to weigh the rows; nothing where it can't, or there are no weights."""
    if weights is None:
        return {}
    steps = getattr(member, "steps", None)
    last = steps[-1][1] if steps else member
    if not has_fit_parameter(last, "sample_weight"):
        return {}
    return {f"{steps[-1][0]}__sample_weight" if steps else "sample_weight": weights}
