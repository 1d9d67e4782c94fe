"""Do the watch's bounds hold when looked at after every row, and how soon does it see a worse model?

    python benchmarks/sequential.py [--histories 400] [--rows 2000] [--quick]

Coverage: streams of paired loss differences with known means, some of them moving or answering to the past;
a history fails when the true average so far lies outside the bounds at any row. Beside it a plain 95%
interval (mean ± 1.96 standard errors, from row 30 on) that is looked at as often. Power: rows of truth until
a model that got worse by so much is rolled back. Takes a few minutes on two cores; --quick a quarter of that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from automl.live_losses import LiveLoss
from automl.sequential import ConfidenceSequence
from automl.watch import Decision, Watch

ALPHA = 0.05
Stream = Callable[[Any, int], tuple[Any, Any]]
"""From a generator and a number of rows: differences, and the mean of each given those before it."""


def disagreeing(rate: float, worse: float) -> Stream:
    """Mistakes of two models that disagree on a share of the rows; the new one makes so many more."""

    def stream(random: Any, rows: int) -> tuple[Any, Any]:
        chances = [(rate - worse) / 2, 1 - rate, (rate + worse) / 2]
        return random.choice([-1.0, 0.0, 1.0], p=chances, size=rows), np.full(rows, worse)

    return stream


def moving(random: Any, rows: int) -> tuple[Any, Any]:
    """Better by day, worse by night: the mean swings, and is zero over a whole day of 200 rows."""
    means = 0.08 * np.sin(2 * np.pi * np.arange(rows) / 200)
    return np.where(random.random(rows) < (1 + means) / 2, 1.0, -1.0), means


def turning(random: Any, rows: int) -> tuple[Any, Any]:
    """Equal for a quarter of the rows, then worse."""
    means = np.where(np.arange(rows) < rows // 4, 0.0, 0.15)
    return np.where(random.random(rows) < (1 + means) / 2, 1.0, -1.0), means


def answering(random: Any, rows: int) -> tuple[Any, Any]:
    """The mean pulls the sum so far away from zero: rows depend on all rows before them."""
    differences, means, total = np.empty(rows), np.empty(rows), 0.0
    for i in range(rows):
        means[i] = 0.2 * np.tanh(total / 10)
        differences[i] = 1.0 if random.random() < (1 + means[i]) / 2 else -1.0
        total += differences[i]
    return differences, means


def skewed(random: Any, rows: int) -> tuple[Any, Any]:
    """Rarely a large loss, nearly always a small gain."""
    hit = random.random(rows) < 0.01
    return np.where(hit, 0.99, -0.01), np.zeros(rows)


def small(random: Any, rows: int) -> tuple[Any, Any]:
    """Differences of a hundredth of the bound: a bound stated far too large."""
    return np.clip(0.01 * random.normal(size=rows), -1, 1), np.zeros(rows)


COVERED: dict[str, Stream] = {
    "equal models, 6% disagreement": disagreeing(0.06, 0.0),
    "worse by 3 points, 6% disagreement": disagreeing(0.06, 0.03),
    "coin flips": disagreeing(1.0, 0.0),
    "rare large losses": skewed,
    "bound 100 times too large": small,
    "mean swings": moving,
    "mean turns": turning,
    "mean answers to the past": answering,
}


def coverage_table(histories: int, rows: int) -> list[tuple[str, ...]]:
    table = []
    for name, stream in COVERED.items():
        outside = plain = rolled = 0
        widths = []
        for seed in range(histories):
            differences, means = stream(np.random.default_rng([seed, 1]), rows)
            truth = np.cumsum(means) / np.arange(1, rows + 1)
            lower, upper = ConfidenceSequence(bound=1.0, alpha=ALPHA).path(differences)
            outside += bool(np.any((truth < lower - 1e-9) | (truth > upper + 1e-9)))
            rolled += bool(np.any(lower > 0))
            widths.append(upper[-1] - lower[-1])
            plain += leaves_plain(differences, truth)
        table.append(
            (
                name,
                f"{1 - outside / histories:.1%}",
                f"{1 - plain / histories:.1%}",
                f"{np.mean(widths):.4f}",
                f"{rolled / histories:.1%}",
            )
        )
    return table


def leaves_plain(differences: Any, truth: Any) -> bool:
    counts = np.arange(1, len(differences) + 1)
    mean = np.cumsum(differences) / counts
    error = np.sqrt(np.maximum(np.cumsum(differences**2) / counts - mean**2, 0) / counts)
    return bool(np.any(np.abs(mean - truth)[30:] > 1.96 * error[30:] + 1e-12))


def rows_to_roll_back(watched: Callable[[Any], Watch], histories: int) -> tuple[str, str, str]:
    """Median and 90th percentile of the rows until a rollback, and how many were rolled back."""
    waits = []
    for seed in range(histories):
        watch = watched(np.random.default_rng([seed, 2]))
        waits.append(watch.sequence.rows if watch.decision is Decision.ROLL_BACK else np.inf)
    middle, late = np.quantile(waits, [0.5, 0.9], method="inverted_cdf")
    share = f"{np.mean(np.isfinite(waits)):.0%}"
    return (*(f"{each:,.0f}" if np.isfinite(each) else "-" for each in (middle, late)), share)  # type: ignore[return-value]


def mistakes(rate: float, worse: float, rows: int) -> Callable[[Any], Watch]:
    def watched(random: Any) -> Watch:
        differences, _ = disagreeing(rate, worse)(random, rows)
        return Watch.over(bound=1.0, alpha=ALPHA).after(differences > 0, differences < 0)

    return watched


def scored(metric: str, noise: float, rows: int) -> Callable[[Any], Watch]:
    """Two models of one signal; so much more noise is on the new one's log odds once it is live."""

    def draw(random: Any, n: int, extra: float) -> tuple[Any, Any, Any]:
        y = (random.random(n) < 0.3).astype(int)
        signal = 1.5 * random.normal(size=n) + 1.5 * y - 1.5
        pair = []
        for spread in (0.5 + extra, 0.5):
            p = 1 / (1 + np.exp(-(signal + spread * random.normal(size=n))))
            pair.append(np.column_stack([1 - p, p]))
        return y, pair[0], pair[1]

    def watched(random: Any) -> Watch:
        y, new, old = draw(random, 2000, 0.0)
        loss = LiveLoss.fit(metric, y, new=new, old=old)
        y, new, old = draw(random, rows, noise)
        ours, theirs = loss.losses(y, new=new, old=old)
        return Watch.over(bound=loss.bound, alpha=ALPHA, tolerance=loss.tolerance).after(ours, theirs)

    return watched


def power_table(histories: int, rows: int) -> list[tuple[str, ...]]:
    table: list[tuple[str, ...]] = []
    for rate, worse in (
        (0.06, 0.0),
        (0.06, 0.01),
        (0.06, 0.02),
        (0.06, 0.04),
        (0.2, 0.05),
        (0.2, 0.1),
        (0.5, 0.3),
    ):
        name = f"accuracy, {rate:.0%} disagreement"
        table.append((name, f"{worse:.0%}", *rows_to_roll_back(mistakes(rate, worse, rows), histories)))
    for metric in ("roc_auc", "log_loss"):
        for noise in (0.0, 0.5, 1.0, 2.0):
            waits = rows_to_roll_back(scored(metric, noise, rows), histories)
            table.append((f"{metric}, noise on the log odds", f"+{noise:g}", *waits))
    return table


def show(title: str, head: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [head, *table]) for i in range(len(head))]
    print(f"\n{title}\n")
    for row in [head, ["-" * width for width in widths], *table]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--histories", type=int, default=400)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="a quarter of the histories")
    options = parser.parse_args()
    histories = max(options.histories // 4, 10) if options.quick else options.histories
    started = time.perf_counter()
    show(
        f"{histories} histories looked at after each of {options.rows:,} rows, alpha {ALPHA:.0%}",
        ("differences", "covered at every row", "plain interval", "width at the end", "rolled back"),
        coverage_table(histories, options.rows),
    )
    show(
        f"Rows of truth until a rollback, {histories // 4} histories of at most {5 * options.rows:,} rows",
        ("loss", "got worse by", "median", "90th percentile", "rolled back"),
        power_table(histories // 4, 5 * options.rows),
    )
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
