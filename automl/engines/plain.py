"""The pipeline that remains when its engine is gone: scikit-learn, LightGBM and XGBoost parts only.

This module is imported again wherever such a pipeline is read, so it knows neither flaml nor tpot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from automl.errors import SearchFailed

_NEEDED = ("scikit-learn", "numpy", "pandas")
_BOOSTERS = {"lightgbm": "lightgbm", "xgboost": "xgboost"}
SERVED = frozenset({"automl", "sklearn", "lightgbm", "xgboost"})
"""What a server has, whichever engines are installed."""
_PASSING = frozenset({"Passthrough", "SkipTransformer"})

Array = npt.NDArray[Any]


class AllClasses(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that was trained without some of the classes, but answers for all of them.

    ``classifier`` knows the positions ``present`` (ascending) as 0 .. len(present)-1. Probabilities have
    ``n_classes`` columns in order of position, zero where a class was never seen.
    """

    def __init__(self, classifier: Any = None, present: Any = (), n_classes: int = 0) -> None:
        self.classifier = classifier
        self.present = present
        self.n_classes = n_classes

    def fit(self, X: Array, y: Array, **fit_params: Any) -> Self:
        """Train anew; which classes are present is learnt from ``y``."""
        present, codes = np.unique(y, return_inverse=True)
        self.present = tuple(int(position) for position in present)
        self.classifier.fit(X, codes, **fit_params)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return len(self.present) > 0

    @property
    def classes_(self) -> npt.NDArray[np.int64]:
        return np.arange(self.n_classes, dtype=np.int64)

    def predict_proba(self, X: Array) -> npt.NDArray[np.float64]:
        return spread(self.classifier.predict_proba(X), self.present, self.n_classes)

    def predict(self, X: Array) -> npt.NDArray[np.int64]:
        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int64)


def spread(probabilities: Array, present: Any, n_classes: int) -> npt.NDArray[np.float64]:
    """Probabilities of the present classes, as columns among all ``n_classes``.

    >>> spread(np.array([[0.2, 0.8]]), (0, 2), 3).tolist()
    [[0.2, 0.0, 0.8]]
    """
    if len(present) == n_classes:
        return np.asarray(probabilities, dtype=np.float64)
    full = np.zeros((len(probabilities), n_classes))
    full[:, list(present)] = probabilities
    return full


def steps_of(estimator: Any) -> Iterator[Any]:
    """The steps of a pipeline, nested ones laid flat, without those that do nothing."""
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            yield from steps_of(step)
    elif estimator not in (None, "passthrough") and type(estimator).__name__ not in _PASSING:
        yield estimator


def plain(preprocessing: Pipeline, model: Any, *, present: Array, n_classes: int) -> Pipeline:
    """One pipeline from raw rows to predictions, out of two fitted parts.

    ``model`` is what an engine found (an estimator or a pipeline of them), trained on class codes
    0 .. len(present)-1; ``n_classes`` is 0 for regression. It predicts in one thread. Raises SearchFailed
    when a part is not scikit-learn's, LightGBM's, XGBoost's or our own, because a server could not read it.
    """
    steps = list(steps_of(model))
    for part in _parts(steps):
        if _package(part) not in SERVED:
            raise SearchFailed(f"{type(part).__name__} of {_package(part)} can't be served without it")
        if part.get_params(deep=False).get("n_jobs") not in (None, 1):
            part.set_params(n_jobs=1)
    *between, final = steps
    if len(present) < n_classes:
        final = AllClasses(final, tuple(int(position) for position in present), n_classes)
    named = [(f"{type(step).__name__.lower()}_{at}", step) for at, step in enumerate(between, start=1)]
    return Pipeline([*preprocessing.steps, *named, ("model", final)])


def requirements(pipeline: Pipeline) -> Mapping[str, str]:
    """The distributions, with the versions installed now, that reading this pipeline needs."""
    packages = {_package(part) for part in _parts([step for _, step in pipeline.steps])}
    boosters = [name for package, name in _BOOSTERS.items() if package in packages]
    return {name: version(name) for name in (*_NEEDED, *boosters)}


def _parts(steps: Iterable[Any]) -> Iterator[Any]:
    """The steps, and what is inside of those that hold others: members, a classifier, a regressor."""
    for step in steps:
        yield step
        inside = [
            *getattr(step, "members", ()),
            getattr(step, "classifier", None),
            getattr(step, "regressor_", None),
        ]
        for one in inside:
            yield from _parts(steps_of(one))


def _package(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]
