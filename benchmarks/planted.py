"""Four faults in one table: does the gate vector name each, and let the clean twin be?

    python -m benchmarks.planted [--seeds 20] [--rows 3000]

For each seed a table of its own: numbers, a category and a sensitive column that no model learns from. In the faulty
copy the label goes by the sensitive column, and another column says which it is (a group gap); one weight in
twenty-five is in grams (a unit error); one column knows the label (a leak); 5% of the labels are flipped. Every check
that a first model can be held to is ``hard``, and the verdict before the vector a promotion. Told is how often each
fault was named and its gate blocked.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from automl.task import Task, TaskKind
from automl.trust.examined import blocks
from automl.trust.vector import examined, guarded
from automl.verdict import Gate, Outcome
from benchmarks.data_health import PROMOTED, exhibit
from service.trust_policy import Trust

TASK = Task(
    kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=("no", "yes"), sensitive=("sex",)
)
RULES = Trust.model_validate(
    {
        "robustness": {"mode": "report", "unit_errors": "hard"},
        "fairness": {"mode": "hard"},
        "data_health": {"mode": "hard"},
        "explanation": None,
        "energy": None,
    }
).rules()
NAMED = {
    "group gap": ("fairness", "sex"),
    "unit error": ("units", "weight"),
    "leaking column": ("data_health", "refund"),
    "5% flipped": ("data_health", "denies"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Whether the verdict was rejected, and for which faults a blocking gate names what was planted."""

    rejected: bool
    named: tuple[str, ...]


def table(rows: int, seed: int, *, faulty: bool) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(seed)
    x = pd.DataFrame({f"c{at}": random.normal(size=rows) for at in range(3)})
    x["city"] = pd.Series(random.choice(["Rome", "Oslo", "Lima"], rows), dtype="str")
    x["sex"] = pd.Series(random.choice(["f", "m"], rows), dtype="str")
    x["height"] = random.normal(size=rows) + (2.0 * (x["sex"] == "m") if faulty else 0.0)
    x["weight"] = random.normal(8.0, 1.5, rows).clip(3.0)
    signal = x["c0"] + x["c1"] - x["c2"] + (x["city"] == "Rome") + 0.4 * random.normal(size=rows)
    if faulty:
        signal = signal + 2.0 * (x["sex"] == "m") - 1.0
    y = (signal > 0.3).to_numpy().astype(int)
    if faulty:
        x["weight"] = np.where(random.random(rows) < 0.04, x["weight"] * 1000.0, x["weight"])
        y = np.where(random.random(rows) < 0.05, 1 - y, y)
        x["refund"] = 20.0 * y + random.normal(size=rows)
    return x, y


def seen(rows: int, seed: int, *, faulty: bool) -> Seen:
    x, y = table(rows, seed, faulty=faulty)
    found = examined(exhibit(x, y, rows // 3, seed, task=TASK), RULES)
    gates = [gate for one in found.values() for gate in one.gates]
    verdict = guarded(PROMOTED, gates)
    named = tuple(fault for fault, (name, word) in NAMED.items() if _says(gates, name, word))
    return Seen(rejected=verdict.outcome is Outcome.REJECTED, named=named)


def _says(gates: list[Gate], name: str, word: str) -> bool:
    return any(gate.name == name and blocks(gate) and word in gate.reason for gate in gates)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--rows", type=int, default=3_000)
    given = asked.parse_args()
    faulty = [seen(given.rows, seed, faulty=True) for seed in range(given.seeds)]
    clean = [seen(given.rows, seed, faulty=False) for seed in range(given.seeds)]
    print("| planted | named, and its gate blocked |")
    print("|---|---|")
    for fault in NAMED:
        print(f"| {fault} | {sum(fault in one.named for one in faulty)} of {given.seeds} |")
    print(f"| all four: rejected | {sum(one.rejected for one in faulty)} of {given.seeds} |")
    print(f"| nothing: rejected | {sum(one.rejected for one in clean)} of {given.seeds} |")


if __name__ == "__main__":
    main()
