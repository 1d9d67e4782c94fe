"""Steps between the features and the model, from matrix to matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.scorer import OnMatrix, Scorer
from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]
Step = Callable[[Floats], Floats]


class Chained(OnMatrix):
    """A scorer behind some steps."""

    def __init__(self, steps: Sequence[tuple[str, Step]], scorer: Scorer) -> None:
        self.description = " → ".join([*(name for name, _ in steps), scorer.description])
        self._steps = [step for _, step in steps]
        self.tolerance = scorer.tolerance
        self._scorer = scorer

    def one(self, features: bytes) -> Floats:
        return self._scorer.one(self._through(np.frombuffer(features).reshape(1, -1)).tobytes())

    def many(self, features: Floats) -> Floats:
        return self._scorer.many(np.ascontiguousarray(self._through(features)))

    def _through(self, features: Floats) -> Floats:
        for step in self._steps:
            features = step(features)
        return features


def compile_step(step: Any, features: int) -> tuple[Step, int]:
    """What a fitted step does to a matrix of so many features, and how many it makes. Raises Unknown for steps that
    the engines don't use."""
    kind = type(step)
    made = _STEPS.get(kind.__name__) if kind.__module__.partition(".")[0] == "sklearn" else None
    if made is None:
        raise Unknown(f"there is no compiled form of {name_of(step)}")
    if int(step.n_features_in_) != features:
        raise Unknown(f"{name_of(step)} takes {step.n_features_in_} features, {features} are made")
    act = made(step)
    return act, int(act(np.zeros((1, features))).shape[1])


def _standard(step: Any) -> Step:
    return partial(_moved, step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None)


def _robust(step: Any) -> Step:
    center = step.center_ if step.with_centering else None
    return partial(_moved, center, step.scale_ if step.with_scaling else None)


def _moved(center: Floats | None, scale: Floats | None, features: Floats) -> Floats:
    moved = features.copy() if center is None else features - center
    if scale is not None:
        moved /= scale
    return moved


def _pca(step: Any) -> Step:
    weights = step.components_.T
    center = step.mean_.reshape(1, -1) @ weights
    if not step.whiten:
        return partial(_turned, weights, center, None)
    scale = np.sqrt(step.explained_variance_)
    scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps
    return partial(_turned, weights, center, scale)


def _turned(weights: Floats, center: Floats, scale: Floats | None, features: Floats) -> Floats:
    turned: Floats = features @ weights
    turned -= center
    if scale is not None:
        turned /= scale
    return turned


def _choosing(step: Any) -> Step:
    return partial(_chosen, np.flatnonzero(step.get_support()))


def _chosen(kept: npt.NDArray[np.intp], features: Floats) -> Floats:
    return features[:, kept]


def _quantiles(step: Any) -> Step:
    from automl.compiled.quantiles import Quantiles  # late: brings SciPy, which other forms do without

    return Quantiles(step)


_STEPS: Mapping[str, Callable[[Any], Step]] = {
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "PCA": _pca,
    "SelectPercentile": _choosing,
    "QuantileTransformer": _quantiles,
}
