"""Do unchanged windows stay unpaged, are real changes seen, and how long does a report take?

    python benchmarks/drift.py [--windows 1000] [--quick] [--only null|change|loss|seconds|unit]

Null windows: mixed tables of 9 to 20 columns (skewed, heavy-tailed, counted, mostly zero, rare and many categories,
texts, gaps; half of them moving together), a window of 1,000 rows against a reference of 5,000 and of 1,000, all
drawn alike. Paged is what raises `incumbent.drift.detected`. Beside it the rules that others page by: any column
whose effect size reaches 0.1, any column with p < 0.05. The distances are our own, equal to Evidently's
(tests/unit/automl/test_distances.py); the seconds of a report are with Evidently. A unit error of 1,000 times goes
through the triggers of a policy that retrains on everything. Takes some ten minutes on a core, --quick a tenth.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from automl.adwin import Adwin
from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.drift import DriftReport, DriftRule, drift, own_distances
from automl.task import TaskKind
from service.facts import moved_too_far
from service.policy import Contract, Policy
from service.trigger_facts import DriftFact, Facts
from service.triggers import due

WINDOW = 1000
Draw = Callable[[Any, Any], Any]
"""A column from a generator and a hidden factor of the rows."""

NUMBERS: dict[str, Draw] = {
    "normal": lambda random, f: f + random.normal(size=len(f)),
    "lognormal": lambda random, f: np.exp(f + 0.5 * random.normal(size=len(f))),
    "heavy": lambda random, f: random.standard_t(3, len(f)),
    "count": lambda random, f: random.poisson(np.exp(0.5 * f)).astype(float),
    "mostly zero": lambda random, f: np.where(
        random.random(len(f)) < 0.9, 0.0, random.exponential(50, len(f))
    ),
    "two humps": lambda random, f: np.where(f > 0, 4, -4) + random.normal(size=len(f)),
    "gaps": lambda random, f: np.where(random.random(len(f)) < 0.4, np.nan, f),
}
CATEGORIES: dict[str, Draw] = {
    "three": lambda random, f: random.choice(["red", "green", "blue"], len(f), p=[0.7, 0.2, 0.1]),
    "many": lambda random, f: (random.zipf(1.3, len(f)) % 500).astype(str),
    "by factor": lambda random, f: np.digitize(f, [-1, 0, 1]).astype(str),
    "rare": lambda random, f: np.where(random.random(len(f)) < 0.003, "yes", "no"),
}
TEXTS: dict[str, Draw] = {
    "note": lambda random, f: np.array(["w" * n for n in random.integers(1, 90, len(f))], dtype=object)
}
PARTS = [
    (kind, name, draw)
    for kind, parts in (
        (ColumnKind.NUMERIC, NUMBERS),
        (ColumnKind.CATEGORICAL, CATEGORIES),
        (ColumnKind.TEXT, TEXTS),
    )
    for name, draw in parts.items()
]


class Table:
    """A random choice of columns, and rows of them drawn alike."""

    def __init__(self, seed: int, columns: int | None = None) -> None:
        random = np.random.default_rng([seed, 0])
        count = int(random.integers(9, 21)) if columns is None else columns
        picked = [PARTS[int(i)] for i in random.integers(0, len(PARTS), count)]
        self.parts = [
            (f"{name} {i}", kind, draw, bool(random.random() < 0.5))
            for i, (kind, name, draw) in enumerate(picked)
        ]
        self.schema = Schema(
            columns=tuple(Column(name=name, kind=kind) for name, kind, _, _ in self.parts),
            target=TargetSpec(kind=TaskKind.REGRESSION, type="number"),
        )

    @property
    def numeric(self) -> list[str]:
        return [name for name, kind, _, _ in self.parts if kind is ColumnKind.NUMERIC]

    def rows(self, count: int, random: Any) -> pd.DataFrame:
        shared = random.normal(size=count)
        return pd.DataFrame(
            {
                name: draw(random, shared if joined else random.normal(size=count))
                for name, _, draw, joined in self.parts
            }
        )


def report(table: Table, old: pd.DataFrame, new: pd.DataFrame, seed: int) -> DriftReport:
    return drift(old, new, table.schema, DriftRule(), seed=seed, measure=own_distances)


def pages(found: DriftReport) -> bool:
    return found.drifted or (found.joint is not None and found.joint.drifted)


def null_table(windows: int) -> list[tuple[str, ...]]:
    table = []
    for reference in (5000, 1000):
        counts, started = np.zeros(5), time.perf_counter()
        for seed in range(windows // 2):
            one, random = Table(seed), np.random.default_rng([seed, reference])
            found = report(one, one.rows(reference, random), one.rows(WINDOW, random), seed)
            counts += [
                pages(found),
                bool(found.drifted_columns),
                found.joint is not None and found.joint.drifted,
                any(column.score >= column.threshold for column in found.columns),
                any(column.p_value < 0.05 for column in found.columns),
            ]
        each = (time.perf_counter() - started) / (windows // 2)
        shares = [f"{share:.1%}" for share in counts / (windows // 2)]
        table.append((f"{reference:,}", f"{windows // 2:,}", *shares, f"{each:.2f}"))
    return table


def shifted(by: float, share: float) -> Callable[[Table, pd.DataFrame, Any], pd.DataFrame]:
    def change(table: Table, rows: pd.DataFrame, random: Any) -> pd.DataFrame:
        for name in table.numeric[: max(1, round(share * len(rows.columns)))]:
            rows[name] = rows[name] + by * rows[name].std()
        return rows

    return change


def unlinked(table: Table, rows: pd.DataFrame, random: Any) -> pd.DataFrame:
    """Each column shuffled by itself: nothing moves alone, what belonged together no longer does."""
    return pd.DataFrame({name: random.permutation(rows[name].to_numpy()) for name in rows.columns})


CHANGES: dict[str, Callable[[Table, pd.DataFrame, Any], pd.DataFrame]] = {
    "one number by 0.2 deviations": shifted(0.2, 0.0),
    "one number by 0.5 deviations": shifted(0.5, 0.0),
    "35% of the columns by 0.3": shifted(0.3, 0.35),
    "columns no longer belong together": unlinked,
}


def power_table(windows: int) -> list[tuple[str, ...]]:
    table = []
    for title, change in CHANGES.items():
        counts, tried = np.zeros(3), 0
        for seed in range(windows):
            one, random = Table(seed + 10_000), np.random.default_rng([seed, 7])
            if len(one.numeric) < 0.35 * len(one.parts):
                continue
            tried += 1
            found = report(one, one.rows(5000, random), change(one, one.rows(WINDOW, random), random), seed)
            joint = found.joint is not None and found.joint.drifted
            counts += [bool(found.drifted_columns), found.drifted, joint]
        table.append((title, f"{tried}", *(f"{share:.0%}" for share in counts / tried)))
    return table


def loss_table(streams: int) -> list[tuple[str, ...]]:
    """Losses of 0 and 1: alarms in 5,000 answers without change, answers until a rise is told."""
    table = []
    for before, after in ((0.05, 0.05), (0.2, 0.2), (0.2, 0.25), (0.2, 0.3), (0.2, 0.5), (0.05, 0.15)):
        waits = []
        for seed in range(streams):
            random = np.random.default_rng([seed, 3])
            window = Adwin(delta=0.002)
            calm = window.add((random.random(1000) < before).astype(float).tolist())
            later = window.add((random.random(4000) < after).astype(float).tolist())
            waits.append(later[0].at - 1000 if later and not calm else np.inf)
        told = np.mean(np.isfinite(waits))
        middle = np.quantile(waits, 0.5, method="inverted_cdf")
        wait = f"{middle:,.0f}" if np.isfinite(middle) else "-"
        table.append((f"{before:.2f}", f"{after:.2f}", f"{streams}", f"{told:.0%}", wait))
    return table


def seconds_table(widths: Sequence[int]) -> list[tuple[str, ...]]:
    table = []
    for columns in widths:
        one, random = Table(1, columns), np.random.default_rng(0)
        old, new = one.rows(5000, random), one.rows(WINDOW, random)
        started = time.perf_counter()
        drift(old, new, one.schema, DriftRule(), seed=0)
        table.append((f"{columns:,}", f"{time.perf_counter() - started:.1f}"))
    return table


def unit_error() -> str:
    one, random = Table(3), np.random.default_rng(0)
    new = one.rows(WINDOW, random)
    new[one.numeric[0]] *= 1000
    found = report(one, one.rows(5000, random), new, 0)
    everything = {"action": "retrain", "share": 0.01, "joint": {"action": "retrain"}}
    policy = Policy.model_validate({"triggers": {"drift": everything}, "min_fresh_labels": 1})
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert found.joint is not None
    facts = Facts(
        champion=1,
        truths=9000,
        truths_at_last_run=1000,
        drift=DriftFact(share=found.share, drifted=found.drifted_columns, joint=found.joint.drifted, at=at),
        broken=moved_too_far(found.to_json(), Contract()),
    )
    answer = due(policy, facts, at)
    return f"{type(answer).__name__}: {answer.reason}"


def show(title: str, head: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [head, *table]) for i in range(len(head))]
    print(f"\n{title}\n", flush=True)
    for row in [head, ["-" * width for width in widths], *table]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="a tenth of the windows")
    parts = ("null", "change", "loss", "seconds", "unit")
    parser.add_argument("--only", choices=parts, help="one part")
    options = parser.parse_args()
    windows = max(options.windows // 10, 20) if options.quick else options.windows
    started = time.perf_counter()
    for part in parts if options.only is None else (options.only,):
        run_part(part, windows)
    print(f"\n{time.perf_counter() - started:.0f} s")


def run_part(part: str, windows: int) -> None:
    if part == "null":
        rules = ("paged", "any column called", "joint flag", "effect >= 0.1 alone", "p < 0.05 alone")
        show(
            f"{windows:,} windows of {WINDOW:,} rows without any change",
            ("reference", "windows", *rules, "s a window"),
            null_table(windows),
        )
    elif part == "change":
        show(
            "Windows with a change, reference 5,000",
            ("change", "windows", "any column called", "share reached", "joint flag"),
            power_table(max(windows // 20, 5)),
        )
    elif part == "loss":
        show(
            "Mean loss followed, 1,000 answers before and 4,000 after a change",
            ("before", "after", "streams", "told", "median answers until then"),
            loss_table(windows // 5),
        )
    elif part == "seconds":
        show(
            "A whole report with Evidently; the first one imports it",
            ("columns", "s"),
            seconds_table((9, 9, 20, 100, 500)),
        )
    else:
        print(f"\nA unit error of 1,000 times, everything set to retrain\n\n{unit_error()}")


if __name__ == "__main__":
    main()
