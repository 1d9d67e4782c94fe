"""Does the gate ``data_health`` name what was planted, and let clean rows be?

    python -m benchmarks.data_health [--seeds 20] [--rows 1500]

For each seed a table of its own: five numbers of which three say something, a category, a label that noise decides in
part. One copy is left clean; in the others one fault is planted: a column that knows the label, 5% of the labels flipped, a
tenth of the rows that judge copied from those trained on. The challenger is the quick model, every check ``hard``, and
the verdict before the vector a promotion. Told is how often the verdict is rejected, and how often the fault is what is
named.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.quick import quick_model
from automl.scoring import predictions
from automl.task import Task, TaskKind
from automl.trust.data_health import DataHealthRule, data_health_gates
from automl.trust.exhibit import Exhibit, Standing
from automl.trust.mode import Mode
from automl.trust.vector import guarded
from automl.verdict import Outcome, Verdict

TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=("no", "yes"))
TARGET = TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("no", "yes"))
FAULTS = {
    "clean": None,
    "leaking column": "leakage",
    "5% flipped": "label_errors",
    "copied rows": "duplicates",
}
PROMOTED = Verdict(
    outcome=Outcome.PROMOTED,
    reason="Promoted.",
    gates=(),
    metric="roc_auc",
    champion_score=None,
    challenger_score=None,
    baseline_score=None,
    difference=None,
    min_effect=0.002,
    rows=300,
    rows_needed=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of one table: whether the verdict was rejected, and which checks failed."""

    rejected: bool
    failed: tuple[str, ...]


def table(rows: int, seed: int) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(seed)
    x = pd.DataFrame({f"c{at}": random.normal(size=rows) for at in range(5)})
    x["city"] = pd.Series(random.choice(["Rome", "Oslo", "Lima"], rows), dtype="str")
    signal = x["c0"] + x["c1"] - x["c2"] + (x["city"] == "Rome") + 0.4 * random.normal(size=rows)
    return x, (signal > 0.3).to_numpy().astype(int)


def planted(x: pd.DataFrame, y: Any, fault: str, held: int, seed: int) -> tuple[pd.DataFrame, Any]:
    random, x, y = np.random.default_rng([1, seed]), x.copy(), y.copy()
    if fault == "leaking column":
        x["refund"] = 20.0 * y + random.normal(size=len(y))
    elif fault == "5% flipped":
        y = np.where(random.random(len(y)) < 0.05, 1 - y, y)
    elif fault == "copied rows":
        x.iloc[-held : -held + held // 10] = x.iloc[: held // 10].to_numpy()
    return x, y


def exhibit(x: pd.DataFrame, y: Any, held: int, seed: int, *, task: Task = TASK) -> Exhibit:
    """The quick model of all rows but the last ``held``, before these. What is no number is a category."""
    columns = tuple(
        Column(name=name, kind=ColumnKind.NUMERIC if is_numeric_dtype(x[name]) else ColumnKind.CATEGORICAL)
        for name in x
    )
    schema = Schema(columns=columns, target=TARGET)
    train, judge = x.iloc[:-held].reset_index(drop=True), x.iloc[-held:].reset_index(drop=True)
    model = quick_model(train, y[:-held], schema=schema, task=task, seed=seed)

    def ask(rows: pd.DataFrame) -> Any:
        return predictions(model, rows, task)

    answers = ask(judge)
    return Exhibit(
        task=task,
        schema=schema,
        metric="roc_auc",
        rows=judge,
        y=y[-held:],
        whole=judge,
        whole_y=y[-held:],
        train=train,
        train_y=y[:-held],
        champion=None,
        challenger=Standing(answers=answers, whole=answers, ask=ask, pipeline=model),
        seed=seed,
    )


def seen(x: pd.DataFrame, y: Any, held: int, seed: int) -> Seen:
    found = data_health_gates(exhibit(x, y, held, seed), DataHealthRule(mode=Mode.HARD))
    verdict = guarded(PROMOTED, found.gates)
    return Seen(rejected=verdict.outcome is Outcome.REJECTED, failed=tuple(found.gates[0].evidence["failed"]))


def measured(seeds: int, rows: int) -> dict[str, list[Seen]]:
    held, found = rows // 5, {fault: [] for fault in FAULTS}
    for seed in range(seeds):
        x, y = table(rows, seed)
        for fault in FAULTS:
            found[fault].append(seen(*planted(x, y, fault, held, seed), held, seed))
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--rows", type=int, default=1_500)
    given = asked.parse_args()
    print("| planted | rejected | named |")
    print("|---|---|---|")
    for fault, told in measured(given.seeds, given.rows).items():
        rejected, wanted = sum(one.rejected for one in told), FAULTS[fault]
        named = "" if wanted is None else f"{sum(wanted in one.failed for one in told)} of {len(told)}"
        print(f"| {fault} | {rejected} of {len(told)} | {named} |")


if __name__ == "__main__":
    main()
