"""Can a classifier tell the new rows from those a model was trained on?

Columns looked at one by one miss what moves between them: two that lose their correlation, a value that only
comes with another. A classifier of old against new rows sees any of it. Its out-of-fold AUC is a two-sample
statistic (Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests, ICLR; compared with others by
Rabanser, Günnemann & Lipton 2019, Failing loudly, NeurIPS): 0.5 says nothing, 1 that every row can be told.

The AUC is the mean of the folds', each a Mann-Whitney statistic with DeLong's variance (DeLong, DeLong &
Clarke-Pearson 1988). Folds learn from each other's rows, so the mean of k of them varies by 1/k + 1/(k - 1) of
that, not by 1/k (Nadeau & Bengio 2003, Inference for the generalization error): bounds made with 1/k were passed
without any change in 14% of windows where 5% were allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.model_selection import StratifiedKFold

from automl.drift_columns import JENSEN_SHANNON, MISSING_SHARE, ComparedColumn

Values = npt.NDArray[np.float64]

LEAST_ROWS = 50
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class JointRule:
    """From where on a joint shift counts: the AUC surely (at confidence ``1 - alpha``) above ``auc``.

    A mean that moves by 0.2 standard deviations in one column gives 0.556. At most ``rows`` of either side
    are used, the newest of the current ones.
    """

    auc: float = 0.55
    alpha: float = 0.01
    rows: int = 2_000
    folds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPart:
    """A column and the share of the classifier's gain that its splits brought."""

    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domain:
    """What the classifier found. ``lower`` and ``upper`` are one-sided bounds of the AUC at the rule's confidence.

    ``columns`` are those it told the rows apart by, the most telling first. ``row_scores`` says of the newest
    current rows, in their order, how much each belongs to where the rows have moved: 0 as any row of the
    reference, 1 like none there; out of fold, both sides of equal weight.
    """

    auc: float
    lower: float
    upper: float
    threshold: float
    drifted: bool
    columns: tuple[ColumnPart, ...]
    rows_reference: int
    rows_current: int
    row_scores: Values

    def to_json(self) -> dict[str, Any]:
        return {
            "auc": self.auc,
            "lower": self.lower,
            "upper": self.upper,
            "threshold": self.threshold,
            "drifted": self.drifted,
            "columns": [asdict(column) for column in self.columns],
            "rows_reference": self.rows_reference,
            "rows_current": self.rows_current,
        }


def domain(columns: Sequence[ComparedColumn], rule: JointRule, *, seed: int) -> Domain | None:
    """Tell current rows from the reference by all columns whose values are compared.

    None where there is no such column, or fewer than LEAST_ROWS rows on a side. The same arguments give the
    same answer.
    """
    used = [column for column in columns if column.method != MISSING_SHARE]
    if not used or min(len(used[0].old), len(used[0].new)) < LEAST_ROWS:
        return None
    old, new = _rows(len(used[0].old), len(used[0].new), rule.rows, seed)
    X = np.column_stack([column.as_numbers() for column in used])[np.concatenate([old, new])]
    y = np.concatenate([np.zeros(len(old), dtype=np.int8), np.ones(len(new), dtype=np.int8)])
    categorical = [i for i, column in enumerate(used) if column.method == JENSEN_SHANNON]
    chances, gains, tests = _out_of_fold(X, y, categorical, rule.folds, seed)
    each = [_auc(chances[test][y[test] == 1], chances[test][y[test] == 0]) for test in tests]
    auc = float(np.mean([value for value, _ in each]))
    shared = 1 / rule.folds + 1 / (rule.folds - 1)
    error = float(np.sqrt(np.mean([variance for _, variance in each]) * shared))
    reach = NormalDist().inv_cdf(1 - rule.alpha) * error
    lower = max(auc - reach, 0.0)
    return Domain(
        auc=auc,
        lower=lower,
        upper=min(auc + reach, 1.0),
        threshold=rule.auc,
        drifted=lower > rule.auc,
        columns=_named({column.name: float(gain) for column, gain in zip(used, gains, strict=True)}),
        rows_reference=len(old),
        rows_current=len(new),
        row_scores=_moved(chances[y == 1], len(new) / len(y)),
    )


def _rows(old: int, new: int, most: int, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions in both windows, laid one behind the other: a sample of the reference, the newest of the current."""
    random = np.random.default_rng(seed)
    kept = np.sort(random.choice(old, size=min(old, most), replace=False))
    return kept.astype(np.intp), np.arange(old + max(0, new - most), old + new, dtype=np.intp)


def _out_of_fold(
    X: Values, y: npt.NDArray[np.int8], categorical: list[int], folds: int, seed: int
) -> tuple[Values, Values, list[npt.NDArray[np.intp]]]:
    from lightgbm import Dataset, train  # not needed where no report is made

    settings = {
        "objective": "binary",
        "num_leaves": 8,
        "learning_rate": 0.1,
        "min_data_in_leaf": 20,
        "num_threads": 1,
        "deterministic": True,
        "seed": seed % (1 << 31),
        "verbosity": -1,
    }
    chances, gains, tests = np.empty(len(y)), np.zeros(X.shape[1]), []
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed % (1 << 31))
    for learn, test in splits.split(X, y):
        data = Dataset(X[learn], y[learn], categorical_feature=categorical)
        model = train(settings, data, num_boost_round=40)
        chances[test] = model.predict(X[test], num_threads=1)
        gains += model.feature_importance("gain")
        tests.append(test)
    return chances, gains, tests


def _auc(new: Values, old: Values) -> tuple[float, float]:
    """The chance that a new row scores above an old one (ties half), and DeLong's variance of it."""
    m, n = len(new), len(old)
    ranks = rankdata(np.concatenate([new, old]))
    above = (ranks[:m] - rankdata(new)) / n
    below = 1 - (ranks[m:] - rankdata(old)) / m
    return float(above.mean()), float(above.var(ddof=1) / m + below.var(ddof=1) / n)


def _named(gains: Mapping[str, float]) -> tuple[ColumnPart, ...]:
    total = sum(gains.values()) or 1.0
    order = sorted(gains.items(), key=lambda each: -each[1])
    return tuple(ColumnPart(name=name, share=gain / total) for name, gain in order[:_NAMED] if gain > 0)


def _moved(chances: Values, prior: float) -> Values:
    new, old = chances / prior, (1 - chances) / (1 - prior)
    return np.asarray(np.clip(2 * new / (new + old) - 1, 0.0, 1.0), dtype=np.float64)
