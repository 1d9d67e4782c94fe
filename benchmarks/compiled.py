"""What a row costs through the pipeline and through its compiled form, side by side.

    python benchmarks/compiled.py [--quick]

A table of 10 numeric and 4 categorical columns with holes. For each model the median microseconds a row in calls of 1,
32 and 1,000 rows: from a typed table through pandas and scikit-learn, and from tuples of JSON values through the
compiled form, measured in turn. Figures of one machine mean little, their ratios do.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from lightgbm import LGBMClassifier
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from automl.compiled import Compiled, NotCompiled
from automl.compiled.compiling import compile_pipeline
from automl.compiled.parity import json_rows, parity
from automl.features import preprocessor
from automl.schema import Schema, check, frame, infer
from automl.scoring import predictions
from automl.task import Task, TaskKind

SIZES = (1, 32, 1000)


def rows(count: int) -> pa.Table:
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {
        f"n{at}": np.where(random.random(count) < 0.05, np.nan, random.normal(size=count)) for at in range(10)
    }
    for at, values in enumerate((5, 12, 19, 100)):
        columns[f"c{at}"] = random.choice([f"v{value}" for value in range(values)], count)
    table = pd.DataFrame(columns)
    score = table["n0"].fillna(0) + table["n1"].fillna(0) * table["n2"].fillna(0) + (table["c0"] == "v1")
    table["y"] = np.where(score + random.normal(size=count) > 0, "yes", "no")
    return pa.Table.from_pandas(table, preserve_index=False)


def models(trees: int) -> dict[str, Any]:
    return {
        "LightGBM": LGBMClassifier(n_estimators=trees, n_jobs=1, verbose=-1),
        "XGBoost": XGBClassifier(n_estimators=trees, n_jobs=1),
        "random forest": RandomForestClassifier(trees // 3, max_leaf_nodes=512, n_jobs=1, random_state=0),
        "extra trees": ExtraTreesClassifier(trees // 3, max_leaf_nodes=512, n_jobs=1, random_state=0),
        "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=trees // 3),
        "logistic": LogisticRegression(max_iter=300),
    }


def turns(calls: list[Callable[[], Any]], seconds: float) -> list[float]:
    """The median seconds of each call, made in turn."""
    taken: list[list[float]] = [[] for _ in calls]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(taken[0]) < 3:
        for call, times in zip(calls, taken, strict=True):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return [float(np.median(times)) for times in taken]


def told(name: str, pipeline: Pipeline, table: pa.Table, schema: Schema, task: Task, seconds: float) -> None:
    began = time.perf_counter()
    form = compile_pipeline(pipeline, schema, task)
    built = time.perf_counter() - began
    if isinstance(form, NotCompiled):
        print(f"{name:22} {form.reason}")
        return
    compiled: Compiled = form
    found = parity(compiled, pipeline, table, schema, task)
    values = json_rows(compiled.columns, table.slice(0, max(SIZES)))
    cells = []
    for size in SIZES:
        some, typed = values[:size], table.slice(0, size)
        long, quick = turns(
            [
                lambda typed=typed: predictions(pipeline, frame(typed, schema), task),
                lambda some=some: compiled.quick(some),
            ],
            seconds,
        )
        cells.append(f"{long / size * 1e6:9.1f} {quick / size * 1e6:7.1f} {long / quick:6.0f}x")
    same = "bitwise" if found.bitwise else f"{found.gap:.0e}"
    print(f"{name:22}" + " |".join(cells) + f" | {built * 1000:6.0f} ms | {same}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore", module="sklearn")
    raw = rows(2_000 if quick else 10_000)
    asked = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="log_loss")
    schema, task = infer(raw, asked)
    checked = check(raw, schema, task)
    y = np.array([task.encode(label) for label in checked.labels.to_pylist()])
    preprocessing = preprocessor(schema, task, seed=0)
    with threadpool_limits(1):
        X = preprocessing.fit_transform(frame(checked.table, schema), y)
        head = " |".join(f"{f'{size:,} rows':>25}" for size in SIZES)
        print(f"µs a row: pipeline, compiled, ratio; {X.shape[1]} features")
        print(f"{'':22}{head} | to compile | apart")
        for name, model in models(90 if quick else 300).items():
            pipeline = Pipeline([*preprocessing.steps, ("model", model.fit(X, y))])
            told(name, pipeline, checked.table, schema, task, 0.2 if quick else 2.0)


if __name__ == "__main__":
    main()
