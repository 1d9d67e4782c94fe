"""A scikit-learn estimator whose model is the champion of a server: it predicts through the service."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from service.client import Incumbent

__all__ = ["RemoteClassifier", "RemoteRegressor", "remote_model"]


class _Remote(BaseEstimator):  # type: ignore[misc]
    """What both kinds share. ``url`` and ``key`` as for :class:`service.client.Incumbent`; with ``log`` the rows that
    are predicted go to the project's prediction log, and truth may come for them."""

    _task: Literal["classification", "regression"]

    def __init__(
        self, project: str, *, url: str | None = None, key: str | None = None, log: bool = False
    ) -> None:
        self.project = project
        self.url = url
        self.key = key
        self.log = log

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Looks at the project; nothing is trained here, and ``X`` and ``y`` are not read: the server learns from what
        it is sent (``Incumbent.upload``). Raises ValueError for a project of another kind, IncumbentError."""
        with Incumbent(self.url, self.key) as server:
            found = server.project(self.project)
            columns = server.schema(self.project)["columns"]
        if found["task"] != self._task:
            raise ValueError(
                f"project {self.project!r} is a {found['task']}, not a {self._task}; use remote_model({self.project!r})"
            )
        beside = {found["id_column"], found["entity_column"], *found["sensitive"]}
        names = [column["name"] for column in columns]
        self.target_ = str(found["target"])
        self.beside_ = tuple(name for name in names if name in beside)
        names = [name for name in names if name not in beside]
        self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = len(names)
        self._learnt(found)
        return self

    def _learnt(self, project: dict[str, Any]) -> None: ...

    def _answers(self, X: Any) -> pd.DataFrame:
        check_is_fitted(self, "feature_names_in_")
        with Incumbent(self.url, self.key) as server:
            return server.predict_frame(self.project, self._frame(X), log=self.log)

    def _frame(self, X: Any) -> pd.DataFrame:
        """A frame goes as it is, without the target; a matrix gets the names of the features, in the schema's order.
        Columns that no model learns from (ids, entities, sensitive ones) may be left out, and are sent empty."""
        if isinstance(X, pd.DataFrame):
            asked = X.drop(columns=self.target_, errors="ignore")
            return asked.assign(**{name: None for name in self.beside_ if name not in X.columns})
        matrix = np.asarray(X)
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has shape {matrix.shape}, but {type(self).__name__} expects {self.n_features_in_} columns: "
                f"{', '.join(self.feature_names_in_[:12])}; send a DataFrame to name them"
            )
        return self._frame(pd.DataFrame(matrix, columns=self.feature_names_in_).infer_objects())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_in_")


class RemoteClassifier(ClassifierMixin, _Remote):  # type: ignore[misc]
    """A classification project as an estimator: ``predict``, ``predict_proba``, ``score``, in pipelines, in
    cross-validation. ``classes_`` are the project's, in its order.

        RemoteClassifier("churn", url="http://127.0.0.1:8000").fit().predict_proba(frame)
    """

    _task = "classification"

    def _learnt(self, project: dict[str, Any]) -> None:
        self.classes_ = np.array(project["classes"])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        return self._answers(X)["value"].to_numpy().astype(self.classes_.dtype)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """(n, classes), in the order of ``classes_``. A class that the champion does not know yet has probability 0."""
        answers = self._answers(X)
        known = {label: at for at, label in enumerate(answers.attrs["classes"])}
        chances = answers.loc[:, answers.columns.str.startswith("probability_")].to_numpy(dtype=np.float64)
        found = np.zeros((len(answers), len(self.classes_)))
        for place, label in enumerate(self.classes_.tolist()):
            if label in known:
                found[:, place] = chances[:, known[label]]
        return found


class RemoteRegressor(RegressorMixin, _Remote):  # type: ignore[misc]
    """A regression project as an estimator."""

    _task = "regression"

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        return self._answers(X)["value"].to_numpy(dtype=np.float64)


def remote_model(
    project: str, *, url: str | None = None, key: str | None = None, log: bool = False
) -> RemoteClassifier | RemoteRegressor:
    """The fitted estimator of a project, of its kind. Raises IncumbentError."""
    with Incumbent(url, key) as server:
        task = server.project(project)["task"]
    kind = RemoteClassifier if task == "classification" else RemoteRegressor
    return kind(project, url=url, key=key, log=log).fit()
