"""Are pseudo-labels refused when their labeller is bad, and used when they help?

    python benchmarks/pseudo_labels.py [--seeds 100] [--jobs N] [--quick]

Two moons with 20 labels: the teacher spreads labels over the graph of neighbours; one learner is trained without
and with its labels. A labeller that gets 30% of one class wrong: first its faults come after everything that
could see them, so that the three arms must refuse it, or the audit of its word on the holdout rows; then
they show on the calibration rows, and nothing should be selected. True gains are measured on rows the judge
never sees (breast cancer has none to spare: there on the holdout). --quick takes a tenth of the seeds.
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
from lightgbm import LGBMClassifier
from sklearn.datasets import load_breast_cancer, make_classification, make_moons
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from automl.arms import Arms, three_arms
from automl.graph_teacher import graph_teacher
from automl.judge import Rules, Scored, spent_alpha
from automl.metrics import metric
from automl.pseudo_labels import Audit, Judgement, PseudoRule, Selection, Teacher, audit, confident, select
from automl.task import Task, TaskKind

RULE = PseudoRule()
FLIPPED = 0.3
FIRST_LOOK = spent_alpha(0.05, 1)
TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="accuracy", classes=(0, 1))
METRICS = ("accuracy", "roc_auc", "log_loss")
GOOD = "The same teacher, nothing flipped"
TURNED = "A teacher's labels, 30% of class 1 flipped after selection"
KNOWING = "A labeller who knows the truth, 30% of class 1 flipped"


@dataclass(frozen=True)
class Scene:
    """One problem: rows of a known truth, and how many of them are labelled, unlabelled and judged on."""

    name: str
    make: Callable[[int, int], tuple[Any, Any]]
    true: int
    pool: int
    holdout: int
    test: int


def moons(n: int, seed: int, *, noise: float) -> tuple[Any, Any]:
    return make_moons(n, noise=noise, random_state=seed)


def columns(n: int, seed: int) -> tuple[Any, Any]:
    return make_classification(
        n, n_features=12, n_informative=6, n_clusters_per_class=3, class_sep=1.0, random_state=seed
    )


def tumours(n: int, seed: int) -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))[:n]
    return X[order], y[order]


FEW = Scene("two moons, 20 labels", partial(moons, noise=0.1), 20, 1000, 500, 5000)
MANY = (
    Scene("two moons, noise 0.25", partial(moons, noise=0.25), 300, 2000, 1000, 5000),
    Scene("12 columns, 6 clusters", columns, 300, 2000, 1000, 5000),
    Scene("breast cancer", tumours, 100, 219, 250, 250),
)


@dataclass(frozen=True)
class Parts:
    X: Any
    y: Any
    true: Any
    pool: Any
    holdout: Any
    test: Any


def parts(scene: Scene, seed: int) -> Parts:
    """A stratified draw. Where a data set has no rows to spare, the true gain is measured on the holdout."""
    X, y = scene.make(scene.true + scene.pool + scene.holdout + scene.test, seed)
    random = np.random.default_rng([7, seed])
    order = random.permutation(len(y))
    half = scene.true // 2
    true = np.concatenate([order[y[order] == c][:half] for c in (0, 1)])
    rest = order[~np.isin(order, true)]
    a, b = scene.pool, scene.pool + scene.holdout
    return Parts(X, y, true, rest[:a], rest[a:b], rest[b:] if len(rest) > b else rest[a:b])


# -- learners: the same one, with the same seed, in every arm ---------------------------------------------


def lightgbm(seed: int) -> Any:
    return LGBMClassifier(
        n_estimators=60, min_child_samples=3, learning_rate=0.1, n_jobs=1, verbose=-1, random_state=seed
    )


def forest(seed: int) -> Any:
    return RandomForestClassifier(60, random_state=seed)


def trees(seed: int) -> Any:
    return ExtraTreesClassifier(60, random_state=seed)


def logistic(seed: int) -> Any:
    return LogisticRegression(max_iter=500)


LEARNERS = {"LightGBM": lightgbm, "random forest": forest, "extra trees": trees}


def fitted(make: Callable[[int], Any], X: Any, y: Any, seed: int, weights: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM's about feature names
        model = make(seed)
        return model.fit(X, y) if weights is None else model.fit(X, y, sample_weight=weights)


def chances(model: Any, X: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.predict_proba(X)


# -- teachers and labellers -------------------------------------------------------------------------------


def by_graph(these: Parts, seed: int) -> tuple[Any, Any]:
    taught = graph_teacher(
        these.X[these.true], these.y[these.true], these.X[these.pool], classes=2, seed=seed
    )
    return taught.probabilities, taught.calibration


def by_folds(these: Parts, seed: int) -> tuple[Any, Any, Any]:
    """Five folds of each of three learners, what a search leaves behind: on the pool, out of fold, on the holdout."""
    X, y = these.X[these.true], these.y[these.true]
    makers = (lightgbm, trees, logistic)
    splits = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y))
    pool = np.zeros((len(makers), len(these.pool), 2))
    judged = np.zeros((len(makers), len(these.holdout), 2))
    held = np.zeros((len(makers), len(y), 2))
    for k, make in enumerate(makers):
        for train, test in splits:
            model = fitted(
                lambda s, make=make: make_pipeline(StandardScaler(), make(s)), X[train], y[train], seed
            )
            held[k, test] = chances(model, X[test])
            pool[k] += chances(model, these.X[these.pool]) / len(splits)
            judged[k] += chances(model, these.X[these.holdout]) / len(splits)
    return pool, held.mean(axis=0), judged


def flipped(labels: Any, seed: int) -> Any:
    """30% of class 1 called class 0."""
    turned = (labels == 1) & (np.random.default_rng([11, seed]).random(len(labels)) < FLIPPED)
    return np.where(turned, 0, labels)


def chosen(these: Parts, probabilities: Any, calibration: Any, seed: int) -> Selection:
    return select(
        probabilities,
        calibration,
        these.y[these.true],
        RULE,
        Teacher(version=1),
        true_rows=len(these.true),
        seed=seed,
    )


# -- the arms ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tried:
    """One seed: what was selected, and for each metric whether it was used and what it really does.

    ``by_arms`` is the three arms alone, ``used`` the three arms with the labeller's audit.
    """

    rows: int
    precision: float
    by_arms: Mapping[str, bool]
    used: Mapping[str, bool]
    without: Mapping[str, float]
    gain: Mapping[str, float]
    called_bad: bool


def tried(these: Parts, selection: Selection, labels: Any, seen: Audit, learner: str, seed: int) -> Tried:
    """Train the arms and ask; ``labels`` are those of the selected rows, as the labeller hands them in."""
    make, X, y, true = LEARNERS[learner], these.X, these.y, these.true
    rows = these.pool[selection.rows]
    both, given = np.concatenate([true, rows]), np.concatenate([y[true], labels])
    weights = np.concatenate([np.ones(len(true)), selection.weights])
    # the champion knows half of the true rows of each class
    early = true[np.arange(len(true)) % 2 == 0]
    models = (
        fitted(make, X[early], y[early], seed),
        fitted(make, X[true], y[true], seed),
        fitted(make, X[both], given, seed, weights),
    )
    scored = [Scored(predictions=chances(model, X[these.holdout])) for model in models]
    alone, helped = (chances(model, X[these.test]) for model in models[1:])
    truth, judged = y[these.test], y[these.holdout]
    by_arms = {name: arms(scored, judged, name, seed).uses_pseudo_labels for name in METRICS}
    called_bad = seen.judgement is Judgement.BAD
    return Tried(
        rows=len(rows),
        precision=float(np.mean(labels == y[rows])) if len(rows) else float("nan"),
        by_arms=by_arms,
        # a bad labeller leaves no third arm to judge
        used={name: by_arms[name] and not called_bad for name in METRICS},
        without={name: metric(name).score(truth, alone) for name in METRICS},
        gain={
            name: metric(name).gain(metric(name).score(truth, helped), metric(name).score(truth, alone))
            for name in METRICS
        },
        called_bad=called_bad,
    )


def arms(scored: Sequence[Scored], y: Any, name: str, seed: int) -> Arms:
    return three_arms(
        *scored,
        y,
        Rules(metric=name, alpha=FIRST_LOOK),
        truly_labelled=np.ones(len(y), dtype=bool),
        seed=seed,
        task=TASK,
        train_prior=np.array([0.5, 0.5]),
    )


def helping(seed: int) -> dict[str, Tried]:
    """Two moons with 20 labels and a good teacher, by learner."""
    these = parts(FEW, seed)
    selection = chosen(these, *by_graph(these, seed), seed)
    seen = audit(selection.classes[:0], selection.classes[:0], classes=2)  # no truth about it yet
    return {name: tried(these, selection, selection.classes, seen, name, seed) for name in LEARNERS}


def harming(seed: int, *, scene: Scene) -> dict[tuple[str, str], Tried]:
    """By labeller and learner. The audit is of the labeller's word on the holdout rows, which nobody was trained on."""
    these = parts(scene, seed)
    pool, held, judged = by_folds(these, seed)
    selection = chosen(these, pool, held, seed)
    sure, said = confident(judged, selection, RULE)
    truth, chosen_truth = these.y[these.holdout][sure], these.y[these.pool[selection.rows]]
    handed_in = {
        GOOD: (said, selection.classes),
        TURNED: (flipped(said, seed + 1), flipped(selection.classes, seed)),
        KNOWING: (flipped(truth, seed + 1), flipped(chosen_truth, seed)),
    }
    found = {}
    for labeller, (on_holdout, labels) in handed_in.items():
        seen = audit(on_holdout, truth, classes=2)
        for name in ("LightGBM", "random forest"):
            found[labeller, name] = tried(these, selection, labels, seen, name, seed)
    return found


def showing(seed: int, *, scene: Scene) -> int:
    """The number of rows selected from a labeller whose flips show on the calibration rows as well."""
    these = parts(scene, seed)
    pool, held, _ = by_folds(these, seed)
    for given in (*pool, held):
        turned = (given[:, 1] > 0.5) & (np.random.default_rng([13, seed]).random(len(given)) < FLIPPED)
        given[turned] = given[turned][:, ::-1]
    return len(chosen(these, pool, held, seed).rows)


def chosen_by_search(seed: int) -> tuple[float, float]:
    """Accuracy on two moons without and with, of the best of four learners by cross-validation on the true rows."""
    these = parts(FEW, seed)
    selection = chosen(these, *by_graph(these, seed), seed)
    rows = these.pool[selection.rows]
    X, y, true = these.X, these.y, these.true
    makers = (lightgbm, forest, trees, logistic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [cross_val_score(make(seed), X[true], y[true], cv=4).mean() for make in makers]
    make = makers[int(np.argmax(scores))]
    weights = np.concatenate([np.ones(len(true)), selection.weights])
    both, labels = np.concatenate([true, rows]), np.concatenate([y[true], selection.classes])
    pair = (fitted(make, X[true], y[true], seed), fitted(make, X[both], labels, seed, weights))
    without, with_them = (
        float(np.mean(chances(m, X[these.test]).argmax(axis=1) == y[these.test])) for m in pair
    )
    return without, with_them


# -- the command ------------------------------------------------------------------------------------------


def lines_of(data: str, learner: str, found: Sequence[Tried], *, bad: bool) -> list[Sequence[str]]:
    lines = []
    for name in METRICS:
        by_arms, used = (
            np.mean([getattr(each, which)[name] for each in found]) for which in ("by_arms", "used")
        )
        gains = np.array([each.gain[name] for each in found])
        worse = np.mean([each.by_arms[name] and each.gain[name] <= 0 for each in found])
        lines.append(
            (
                data,
                learner,
                name,
                f"{1 - by_arms if bad else by_arms:.0%}",
                f"{1 - used if bad else used:.0%}",
                f"{worse:.0%}",
                f"{np.mean([each.without[name] for each in found]):.3f}",
                f"{gains.mean():+.3f}",
                f"{np.mean(gains > 0):.0%}",
                f"{np.mean([each.called_bad for each in found]):.0%}",
                f"{np.mean([each.rows for each in found]):.0f}",
                f"{np.nanmean([each.precision for each in found]):.1%}",
            )
        )
    return lines


def head(word: str) -> Sequence[str]:
    return (
        *("data", "learner", "metric", f"{word} by three arms", f"{word}, audit too", "used though worse"),
        *("score without", "true gain with", "gain above 0", "audit says bad", "rows", "right"),
    )


def show(title: str, heading: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in (heading, *lines)) for i in range(len(heading))]
    print(f"\n{title}\n")
    for row in (heading, ["-" * width for width in widths], *lines):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="a tenth of the seeds")
    options = parser.parse_args()
    seeds = range(max(options.seeds // (10 if options.quick else 1), 1))
    with ProcessPoolExecutor(options.jobs) as pool:

        def run(one: Callable[[int], Any]) -> list[Any]:
            return list(pool.map(one, seeds))

        good = run(helping)
        show(
            f"A good teacher: two moons, 20 labels, 1,000 unlabelled, 500 judged on; {len(seeds)} seeds",
            head("used"),
            [
                row
                for name in LEARNERS
                for row in lines_of(FEW.name, name, [g[name] for g in good], bad=False)
            ],
        )
        pairs = np.array(run(chosen_by_search))
        print(
            f"\n  accuracy of the best of four learners by cross-validation: {pairs[:, 0].mean():.3f} without, "
            f"{pairs[:, 1].mean():.3f} with ({np.mean(pairs[:, 1] > pairs[:, 0]):.0%} of seeds better)"
        )
        found = {scene.name: run(partial(harming, scene=scene)) for scene in MANY}
        for labeller in (TURNED, KNOWING, GOOD):
            rows: list[Sequence[str]] = []
            for name, each in found.items():
                for learner in ("LightGBM", "random forest"):
                    rows += lines_of(
                        name, learner, [one[labeller, learner] for one in each], bad=labeller != GOOD
                    )
            show(f"{labeller}; {len(seeds)} seeds", head("used" if labeller == GOOD else "refused"), rows)
        show(
            f"30% of class 1 flipped, and the calibration rows show it; {len(seeds)} seeds",
            ("data", "seeds in which nothing was selected", "rows selected on average"),
            [
                (scene.name, f"{np.mean(np.array(rows) == 0):.0%}", f"{np.mean(rows):.0f}")
                for scene in MANY
                for rows in [run(partial(showing, scene=scene))]
            ],
        )


if __name__ == "__main__":
    main()
