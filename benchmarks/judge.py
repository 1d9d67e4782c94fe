"""How often does the judge promote noise, and how often does it see a real gain?

    python benchmarks/judge.py [--histories 400] [--looks 50] [--rows 2000] [--seeds 400] [--jobs N]
                                [--only null|power|hysteresis|blocks|slices] [--quick]

Null histories: one holdout, one champion, and challengers that are exactly as good as it, judged one after
the other on the same rows. Power: challengers that are better by twice the minimum effect, on holdouts of the
size that was planned for an 80% chance. Hysteresis: two kinds of model, of which now one and now the other is
better. Blocks: equal models whose errors come in spells. Slices: challengers that harm no part of the rows, or one.
Takes some minutes on two cores; --quick takes a tenth of that.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from automl.judge import Rules, Scored, Verdict, judge, naive_baseline, spent_alpha
from automl.metrics import metric
from automl.resampling import rows_to_decide
from automl.slices import Slice
from automl.task import Task, TaskKind

ALPHA = 0.05
POWER = 0.8
PARTS = ("null", "power", "hysteresis", "blocks", "slices")
BINARY = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="accuracy", classes=(0, 1))
NUMBER = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
Rows = tuple[Any, Any, Any]


def decide(rows: Rows, name: str, *, seed: int, **rules: Any) -> Verdict:
    y, champion, challenger = rows
    task = NUMBER if name == "rmse" else BINARY
    return judge(
        Scored(predictions=champion),
        Scored(predictions=challenger),
        y,
        Rules(metric=name, **rules),
        seed=seed,
        task=task,
        train_prior=naive_baseline(y, task, name),
    )


# -- rows of a known truth ------------------------------------------------------------------------------


def right_and_wrong(random: Any, right: Any, *, disagreement: float, gain: float) -> Any:
    """Where a second model is right, that disagrees on a share of the rows and gains so much accuracy."""
    lost, won = (disagreement - gain) / 2 / 0.8, (disagreement + gain) / 2 / 0.2
    chance = random.random(len(right))
    return np.where(right, chance >= lost, chance < won)


def accuracy_rows(random: Any, n: int, *, disagreement: float, gain: float) -> Rows:
    right = random.random(n) < 0.8
    other = right_and_wrong(random, right, disagreement=disagreement, gain=gain)
    return np.zeros(n, dtype=int), np.eye(2)[(~right).astype(int)], np.eye(2)[(~other).astype(int)]


def logit_rows(random: Any, n: int, *, champion_noise: float, challenger_noise: float) -> Rows:
    """Both models know the same signal, each through noise of its own: equal noise, equal models."""
    y = (random.random(n) < 0.3).astype(int)
    signal = random.normal(size=n) + 1.5 * y

    def probabilities(noise: float) -> Any:
        p = 1 / (1 + np.exp(-(signal + noise * random.normal(size=n))))
        return np.column_stack([1 - p, p])

    return y, probabilities(champion_noise), probabilities(challenger_noise)


def number_rows(random: Any, n: int, *, champion_noise: float, challenger_noise: float) -> Rows:
    y = random.normal(size=n)
    shared = 0.4 * random.standard_t(5, size=n)
    return (
        y,
        y + shared + champion_noise * random.normal(size=n),
        y + shared + challenger_noise * random.normal(size=n),
    )


# -- null histories -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """False promotions of one history, by rule."""

    higher_wins: int
    each_time: int
    spending: int
    default: int


def accuracy_history(seed: int, *, looks: int, rows: int) -> History:
    random = np.random.default_rng([1, seed])
    right = random.random(rows) < 0.8
    pairs = []
    for _ in range(looks):
        other = right_and_wrong(random, right, disagreement=0.06, gain=0.0)
        pairs.append(
            (np.zeros(rows, dtype=int), *(np.eye(2)[(~each).astype(int)] for each in (right, other)))
        )
    return history(pairs, "accuracy", seed)


def auc_history(seed: int, *, looks: int, rows: int) -> History:
    random = np.random.default_rng([2, seed])
    y, champion, _ = logit_rows(random, rows, champion_noise=0.0, challenger_noise=0.0)
    signal = np.log(champion[:, 1] / champion[:, 0])

    def model() -> Any:
        p = 1 / (1 + np.exp(-(signal + 0.5 * random.normal(size=rows))))
        return np.column_stack([1 - p, p])

    champion = model()
    return history([(y, champion, model()) for _ in range(looks)], "roc_auc", seed)


def history(pairs: Iterable[Rows], name: str, seed: int) -> History:
    counts = np.zeros(4, dtype=int)
    for look, rows in enumerate(pairs, start=1):
        asked = partial(decide, rows, name, seed=1000 * seed + look)
        each_time = asked(alpha=ALPHA, min_effect=0.0)
        higher = each_time.difference is not None and each_time.difference.estimate > 0
        # what is not shown at 5% is not shown at a part of it either, so those looks need no second judgement
        spent = spent_alpha(ALPHA, look)
        spending = each_time.promotes and asked(alpha=spent, min_effect=0.0).promotes
        default = spending and asked(alpha=spent).promotes
        counts += np.array([higher, each_time.promotes, spending, default], dtype=int)
    return History(*(int(count) for count in counts))


def null_table(histories: Sequence[History], looks: int) -> list[Sequence[str]]:
    rules = (
        ("higher score wins", [each.higher_wins for each in histories]),
        ("5% test at each look", [each.each_time for each in histories]),
        ("5% spent over all looks", [each.spending for each in histories]),
        ("the same, min effect 0.002 (default)", [each.default for each in histories]),
    )
    return [
        (name, f"{np.mean(np.array(counts) > 0):.1%}", f"{np.mean(counts):.2f} of {looks}")
        for name, counts in rules
    ]


# -- power ----------------------------------------------------------------------------------------------


def planned_rows(rows: Rows, name: str, *, gain: float, min_effect: float) -> int:
    """The holdout that shows ``gain`` at the first look with 80% chance, as the judge itself plans it."""
    difference = decide(rows, name, seed=0, alpha=spent_alpha(ALPHA, 1)).difference
    assert difference is not None
    sure = replace(difference, estimate=gain)
    planned = rows_to_decide(sure, rows=len(rows[0]), effect=min_effect, power=POWER)
    assert planned is not None
    return planned


def promoted(seed: int, *, make: Callable[..., Rows], n: int, name: str, min_effect: float) -> bool:
    rows = make(np.random.default_rng([3, seed]), n)
    return decide(rows, name, seed=seed, alpha=spent_alpha(ALPHA, 1), min_effect=min_effect).promotes


def true_gain(make: Callable[..., Rows], name: str) -> tuple[float, float]:
    """The gain on 16 million rows, known to some 2%, and what a minimum effect is a share of."""
    measure, gains, units = metric(name), [], []
    for seed in range(16):
        y, champion, challenger = make(np.random.default_rng([6, seed]), 1_000_000)
        gains.append(measure.gain(measure.score(y, challenger), measure.score(y, champion)))
        prior = naive_baseline(y, NUMBER, name) if measure.in_target_units else None
        units.append(1.0 if prior is None else measure.score(y, np.repeat(prior, len(y))))
    return float(np.mean(gains)), float(np.mean(units))


def power_cases() -> list[tuple[str, str, Callable[..., Rows], float, float]]:
    """Title, metric, rows, true gain and the minimum effect as the rules take it: half of the gain."""
    cases: list[tuple[str, str, Callable[..., Rows], float, float]] = []
    for min_effect, disagreement in ((0.002, 0.02), (0.005, 0.06), (0.01, 0.06)):
        make = partial(accuracy_rows, disagreement=disagreement, gain=2 * min_effect)
        title = f"accuracy, {disagreement:.0%} of rows disagreed on"
        cases.append((title, "accuracy", make, 2 * min_effect, min_effect))
    logits = partial(logit_rows, champion_noise=0.8, challenger_noise=0.6)
    numbers = partial(number_rows, champion_noise=0.5, challenger_noise=0.4)
    for name, make in (("roc_auc", logits), ("log_loss", logits), ("rmse", numbers)):
        gain, unit = true_gain(make, name)
        cases.append((name, name, make, gain, gain / 2 / unit))
    return cases


def power_table(run: Callable[..., Iterable[bool]], seeds: int) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for title, name, make, gain, min_effect in power_cases():
        unit = gain / 2 / min_effect
        pilot = make(np.random.default_rng(5), 100_000)
        n = planned_rows(pilot, name, gain=gain, min_effect=min_effect * unit)
        fraction = np.mean(
            list(run(partial(promoted, make=make, n=n, name=name, min_effect=min_effect), range(seeds)))
        )
        lines.append((title, f"{gain:.4f}", f"{gain / 2:.4f}", f"{n:,}", f"{fraction:.1%}"))
    return lines


# -- hysteresis -----------------------------------------------------------------------------------------


def alternating(seed: int, *, steps: int, rows: int, share: float, min_effect: float, factor: float) -> int:
    """Swaps in a history in which the other kind of model and the one that reigns are better in turn, by ``share`` of
    the minimum effect. Each step brings a fresh holdout; ``factor`` is asked of what was the champion before."""
    random = np.random.default_rng([7, seed])
    reigning, swaps, look = 0, 0, 1
    for step in range(steps):
        better = step % 2  # the kind that is better now
        gain = share * min_effect * (1 if better != reigning else -1)
        pair = accuracy_rows(random, rows, disagreement=0.06, gain=gain)
        verdict = decide(
            pair,
            "accuracy",
            seed=1000 * seed + step,
            alpha=spent_alpha(ALPHA, look),
            min_effect=min_effect,
            required_effect_factor=factor if swaps else 1.0,
        )
        look += 1
        if verdict.promotes:
            reigning, swaps, look = 1 - reigning, swaps + 1, 1
    return swaps


def hysteresis_table(run: Callable[..., Iterable[int]], seeds: int, steps: int) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for share in (0.5, 1.5):
        for factor in (1.0, 2.0):
            one = partial(alternating, steps=steps, rows=20_000, share=share, min_effect=0.01, factor=factor)
            swaps = np.array(list(run(one, range(seeds))))
            name = "none" if factor == 1 else f"{factor:g} times the minimum"
            lines.append(
                (f"±{share:g}", name, f"{swaps.mean():.2f}", f"{swaps.max()}", f"{np.mean(swaps > 1):.1%}")
            )
    return lines


# -- blocks and slices ----------------------------------------------------------------------------------


def spells(random: Any, n: int, shared: int) -> Rows:
    """Two models equally often right; ``shared`` rows in a row favour one of them."""
    mood = np.repeat(random.normal(size=n // shared + 1), shared)[:n] * (0.15 if shared > 1 else 0.0)
    right = [random.random(n) < 0.75 + sign * mood for sign in (1, -1)]
    return np.zeros(n, dtype=int), *(np.eye(2)[(~each).astype(int)] for each in right)


def falsely_promoted(seed: int, *, rows: int, shared: int, blocks: Any) -> tuple[bool, float]:
    """Whether an equal model is promoted in one look at 5%, and the distance of the bounds."""
    pair = spells(np.random.default_rng([8, seed]), rows, shared)
    verdict = decide(pair, "accuracy", seed=seed, alpha=ALPHA, min_effect=0.0, resamples=500, blocks=blocks)
    assert verdict.difference is not None
    return verdict.promotes, verdict.difference.upper - verdict.difference.lower


def blocks_table(run: Callable[..., Iterable[Any]], seeds: int) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for rows, shared in ((400, 1), (400, 20), (3_000, 1), (3_000, 100), (10_000, 1), (10_000, 300)):
        found: list[tuple[float, float]] = []
        for blocks in (None, "auto"):
            one = partial(falsely_promoted, rows=rows, shared=shared, blocks=blocks)
            results = np.array(list(run(one, range(seeds))), dtype=float)
            found.append((float(results[:, 0].mean()), float(results[:, 1].mean())))
        (alone, narrow), (blocked, wide) = found
        lines.append((f"{rows:,}", f"{shared:,}", f"{alone:.1%}", f"{blocked:.1%}", f"{wide / narrow:.2f}"))
    return lines


def stopped(seed: int, *, harm: float) -> bool:
    """Whether the slices gate stops a challenger that gains 2 points, but loses ``harm`` on one of 20 slices."""
    random = np.random.default_rng([9, seed])
    n = 10_000
    places = random.integers(0, 20, n)
    right = random.random(n) < 0.8
    gains = right_and_wrong(random, right, disagreement=0.06, gain=0.02)
    loses = right_and_wrong(random, right, disagreement=max(0.06, harm), gain=-harm)
    other = np.where(places == 0, loses, gains)
    y, champion, challenger = (
        np.zeros(n, dtype=int),
        np.eye(2)[(~right).astype(int)],
        np.eye(2)[(~other).astype(int)],
    )
    verdict = judge(
        Scored(predictions=champion),
        Scored(predictions=challenger),
        y,
        Rules(metric="accuracy", alpha=spent_alpha(ALPHA, 1)),
        seed=seed,
        task=BINARY,
        train_prior=naive_baseline(y, BINARY, "accuracy"),
        slices=tuple(Slice(column="place", value=str(k), rows=places == k) for k in range(20)),
    )
    return next(gate for gate in verdict.gates if gate.name == "slices").passed is False


def slices_table(run: Callable[..., Iterable[bool]], seeds: int) -> list[Sequence[str]]:
    return [
        (f"{harm:g}", f"{np.mean(list(run(partial(stopped, harm=harm), range(seeds)))):.1%}")
        for harm in (0.0, 0.02, 0.05, 0.08, 0.12)
    ]


# -- the command ----------------------------------------------------------------------------------------


def show(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
    print(f"\n{title}\n")
    for line in (head, ["-" * width for width in widths], *lines):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def timed() -> str:
    rows = logit_rows(np.random.default_rng(0), 10_000, champion_noise=0.8, challenger_noise=0.6)
    started = time.perf_counter()
    decide(rows, "roc_auc", seed=0)
    return f"2,000 resamples of 10,000 rows, roc_auc: {time.perf_counter() - started:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--histories", type=int, default=400)
    parser.add_argument("--looks", type=int, default=50)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the histories and seeds")
    options = parser.parse_args()
    part = 10 if options.quick else 1
    histories, seeds = options.histories // part, options.seeds // part
    print(timed())
    with ProcessPoolExecutor(options.jobs) as pool:
        run = partial(pool.map, chunksize=4)
        wanted = PARTS if options.only is None else (options.only,)
        if "null" in wanted:
            for name, one, count, rows in (
                ("accuracy", accuracy_history, histories, options.rows),
                ("roc_auc", auc_history, max(histories // 4, 1), options.rows // 4),
            ):
                results = list(run(partial(one, looks=options.looks, rows=rows), range(count)))
                show(
                    f"{count} null histories of {options.looks} equal challengers, {name}, {rows:,} rows",
                    ("rule", "histories with a false promotion", "noise promoted"),
                    null_table(results, options.looks),
                )
        if "power" in wanted:
            show(
                f"A gain of twice the minimum effect, holdout planned for {POWER:.0%}, {seeds} seeds",
                ("metric", "true gain", "min effect", "rows planned", "promoted"),
                power_table(run, seeds),
            )
        if "hysteresis" in wanted:
            show(
                f"Two kinds of model, better in turn, {seeds} histories of {options.looks} steps, 20,000 fresh rows each",
                ("effect / minimum", "asked of a reversal", "swaps", "most", "histories with more than one"),
                hysteresis_table(run, seeds, options.looks),
            )
        if "blocks" in wanted:
            show(
                f"Equal models whose errors come in spells, one look at 5%, {10 * seeds} seeds",
                (
                    "rows",
                    "rows a spell",
                    "promoted, rows drawn",
                    "promoted, blocks drawn",
                    "width of the bounds",
                ),
                blocks_table(run, 10 * seeds),
            )
        if "slices" in wanted:
            show(
                f"A gain of 2 points, but a loss on one of 20 slices of 500 rows (0.02 allowed), {seeds} seeds",
                ("loss on the slice", "stopped"),
                slices_table(run, seeds),
            )


if __name__ == "__main__":
    main()
