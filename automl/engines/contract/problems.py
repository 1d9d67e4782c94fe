"""Real tables, read as an upload would be, and a reader of stored models where no engine can be imported."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.model_selection import KFold, StratifiedKFold

from automl.candidate import Candidate
from automl.engines.protocol import Folds, Problem
from automl.engines.trials import quiet
from automl.metrics import metric
from automl.schema import check, frame, infer
from automl.task import Task, TaskKind


def problem_of(
    rows: pd.DataFrame,
    labels: npt.NDArray[Any],
    *,
    metric: str,
    kind: TaskKind = TaskKind.CLASSIFICATION,
    folds: int = 3,
    weights: npt.NDArray[np.float64] | None = None,
) -> Problem:
    """Infer the schema, read the rows by it, and fold them in random order."""
    order = np.random.default_rng(7).permutation(len(rows))
    rows, labels = rows.iloc[order].reset_index(drop=True), labels[order]
    table = pa.Table.from_pandas(rows.assign(target=labels), preserve_index=False)
    schema, task = infer(table, Task(kind=kind, target="target", metric=metric))
    X = frame(check(table, schema, task).table, schema)
    if task.is_classification:
        y = np.array([task.classes.index(label) for label in labels.tolist()], dtype=np.int64)
        splits = StratifiedKFold(folds).split(X, y)
    else:
        y = labels.astype(np.float64)
        splits = KFold(folds).split(X)
    at: Folds = tuple((train.astype(np.intp), valid.astype(np.intp)) for train, valid in splits)
    return Problem(task=task, schema=schema, X=X, y=y, folds=at, weights=weights)


def binary(*, metric: str = "roc_auc", weights: npt.NDArray[np.float64] | None = None) -> Problem:
    data = load_breast_cancer(as_frame=True)
    return problem_of(data.data, data.target.to_numpy(), metric=metric, weights=weights)


def multiclass() -> Problem:
    data = load_wine(as_frame=True)
    return problem_of(data.data, data.target.to_numpy(), metric="log_loss")


def regression() -> Problem:
    data = load_diabetes(as_frame=True)
    return problem_of(data.data, data.target.to_numpy(), metric="rmse", kind=TaskKind.REGRESSION)


def mixed(rows: int = 600) -> Problem:
    """Every kind of column, with holes, and text classes that depend on all of them."""
    rng = np.random.default_rng(3)
    size = rng.normal(size=rows)
    city = rng.choice(["Rome", "Oslo", "Lima"], rows)
    street = np.array([f"street {number}" for number in rng.integers(0, 60, rows)])
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 365 * 24, rows), unit="h")
    member = rng.random(rows) < 0.4
    words = np.array(["late parcel broken box", "thank you all is well", "please call me back today"])
    said = rng.integers(0, 3, rows)
    note = [f"{words[kind]} order {number} of the spring list" for number, kind in enumerate(said)]
    risk = size + (city == "Oslo") + 0.8 * member + (said == 0) + (when.month < 4) + rng.normal(size=rows)
    frame_ = pd.DataFrame(
        {"size": size, "city": city, "street": street, "when": when, "member": member, "note": note}
    )
    for column in ("size", "city", "note"):
        frame_.loc[rng.random(rows) < 0.1, column] = None
    return problem_of(frame_, np.where(risk > 1.5, "bad", "good"), metric="log_loss")


def fitted_anew(candidate: Candidate, problem: Problem, rows: Any) -> Any:
    """With one thread, as engines do: the last digits of a factorisation depend on it."""
    with quiet():
        return clone(candidate.pipeline).fit(problem.X.iloc[rows], problem.y[rows])


def naive_score(problem: Problem) -> float:
    measure = metric(problem.task.metric)
    scores = []
    for train, valid in problem.folds:
        if problem.task.is_classification:
            shares = np.bincount(problem.y[train], minlength=len(problem.task.classes)) / len(train)
            p = np.tile(shares, (len(valid), 1))
        else:
            p = np.full(len(valid), problem.y[train].mean())
        scores.append(measure.score(problem.y[valid], p))
    return float(np.mean(scores))


READER = textwrap.dedent(
    """
    import importlib.abc, pickle, sys

    BLOCKED = {"flaml", "tpot", "dask", "distributed", "ConfigSpace", *sys.argv[2:]}

    class Blocker(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path=None, target=None):
            if fullname.partition(".")[0] in BLOCKED:
                raise ImportError(f"{fullname} is blocked")

    sys.meta_path.insert(0, Blocker())
    with open(sys.argv[1], "rb") as stored:
        rows, models = pickle.load(stored)
    for pipeline, expected in models:
        assert abs(pipeline.predict_proba(rows) - expected).max() < 1e-12
    assert not BLOCKED & set(sys.modules)
    print("ok")
    """
)
