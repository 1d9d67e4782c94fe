"""How wrong is a regression on rows whose truth has not come? Its losses, learnt from the judged ones.

Direct loss estimation (DLE; NannyML's documentation, "How it works: estimation of performance"): a small
model learns the absolute and the squared loss of the champion from the features and its prediction; the mean
of what it says for new rows is their estimated mae and squared rmse. Where features say nothing about the
loss on rows held out, the mean loss is used: the estimate then never moves, and says so.

What it can't see: everything that :mod:`automl.estimation` can't. A price level that rises while the features
stay is silent here; and trees do not extrapolate, so rows beyond the reference's are given its outermost
losses. There is no r2: it needs the spread of labels that have not come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from automl.calibration import folds
from automl.estimation import Estimate, Spread, fitted_spread, lacking
from automl.metrics import Metric, metric
from automl.tallies import Sums, Values
from automl.task import TaskKind

ESTIMABLE = ("mae", "rmse")
_MOST_REFERENCE = 10_000
_ROUNDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionEstimator:
    """The quality of one regression without labels.

    ``trees`` holds for each metric LightGBM's texts of the models whose mean is the loss; none where the mean
    loss does better. Each was fitted without a part of the reference, on which what it says is measured:
    so new windows meet the very models that drew the bands. ``mean_losses`` are those of the reference.
    """

    trees: Mapping[str, tuple[str, ...]]
    mean_losses: Mapping[str, float]
    spreads: Mapping[str, Spread]
    columns: int
    rows: int

    @classmethod
    def fit(
        cls,
        features: npt.NDArray[Any],
        y: npt.NDArray[Any],
        predictions: npt.NDArray[Any],
        *,
        seed: int,
    ) -> Self:
        """From judged rows: the model's own numeric features (n, d), NaN allowed, labels and predictions (n,).

        The rows must not have been trained on. At most 10,000 are used, drawn by ``seed``; the same arguments
        give the same estimator. Raises ValueError where rows are lacking or don't fit each other.
        """
        labels, given = np.asarray(y, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
        reason = lacking(labels, TaskKind.REGRESSION)
        if reason is not None:
            raise ValueError(reason)
        metric("mae").tally(labels, given)  # raises where they don't fit
        columns = _columns(features, given)
        if len(labels) > _MOST_REFERENCE:
            drawn = np.random.default_rng(seed).choice(len(labels), _MOST_REFERENCE, replace=False)
            kept = np.sort(drawn)
            columns, labels, given = columns[kept], labels[kept], given[kept]
        trees, means, spreads = {}, {}, {}
        for name in ESTIMABLE:
            measure = metric(name)
            losses = measure.losses(labels, given)
            assert losses is not None
            held, trees[name] = _held_out(columns, losses, seed)
            means[name] = float(losses.mean())
            spread = Spread.of(
                _estimated(measure, held), measure.tally(labels, given), len(labels), seed=seed
            )
            assert spread is not None
            spreads[name] = spread
        return cls(
            trees=trees, mean_losses=means, spreads=spreads, columns=columns.shape[1], rows=len(labels)
        )

    def estimate(
        self, features: npt.NDArray[Any], predictions: npt.NDArray[Any], metric_name: str
    ) -> Estimate:
        """The estimated score on rows with these features (n, d) and predictions (n,) of the same model.

        Raises ValueError without rows, for another number of features, and for a metric other than mae
        and rmse.
        """
        spread = fitted_spread(self.spreads, metric_name)
        columns = _columns(features, np.asarray(predictions, dtype=np.float64))
        if not len(columns) or columns.shape[1] != self.columns:
            raise ValueError(f"rows of {self.columns - 1} features are needed, {np.shape(features)} came")
        losses = np.full(len(columns), self.mean_losses[metric_name])
        if self.sees(metric_name):
            losses = np.mean([_losses(text, columns) for text in self.trees[metric_name]], axis=0)
        value = float(_estimated(metric(metric_name), losses).scores(np.ones((1, len(losses))))[0])
        return Estimate.of(metric_name, value, spread, rows=len(losses), rows_reference=self.rows)

    def sees(self, metric_name: str) -> bool:
        """Whether features say anything about the loss; if not, the estimate is the same for all rows."""
        return bool(self.trees[metric_name])

    def to_json(self) -> dict[str, Any]:
        return {
            "trees": {name: list(texts) for name, texts in self.trees.items()},
            "mean_losses": dict(self.mean_losses),
            "spreads": {name: asdict(spread) for name, spread in self.spreads.items()},
            "columns": self.columns,
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            trees={name: tuple(texts) for name, texts in data["trees"].items()},
            mean_losses=dict(data["mean_losses"]),
            spreads={name: Spread(**spread) for name, spread in data["spreads"].items()},
            columns=data["columns"],
            rows=data["rows"],
        )


def _columns(features: npt.NDArray[Any], predictions: Values) -> Values:
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2 or predictions.shape != (len(matrix),):
        raise ValueError(f"features {matrix.shape} and predictions {predictions.shape} don't fit")
    return np.column_stack([matrix, predictions])


def _estimated(measure: Metric, losses: Values) -> Sums:
    """The metric of rows whose losses are only estimated."""
    terms = np.column_stack([losses, np.ones(len(losses))])
    root = measure.name == "rmse"

    def finish(sums: Values) -> Values:
        means: Values = sums[:, 0] / sums[:, 1]
        return np.sqrt(means) if root else means

    return Sums(terms=terms, finish=finish)


def _held_out(columns: Values, losses: Values, seed: int) -> tuple[Values, tuple[str, ...]]:
    """Losses said of rows held out in turn, and the models that said them; the mean loss where it is nearer."""
    parts = folds(np.zeros(len(losses), dtype=np.intp), seed=seed)
    learnt, plain, texts = np.empty(len(losses)), np.empty(len(losses)), []
    for part in np.unique(parts):
        out = parts == part
        texts.append(_text(columns[~out], losses[~out], seed))
        learnt[out] = _losses(texts[-1], columns[out])
        plain[out] = losses[~out].mean()
    if np.square(learnt - losses).mean() < np.square(plain - losses).mean():
        return learnt, tuple(texts)
    return np.full(len(losses), losses.mean()), ()


def _text(columns: Values, losses: Values, seed: int) -> str:
    from lightgbm import LGBMRegressor

    model = LGBMRegressor(
        n_estimators=_ROUNDS,
        learning_rate=0.08,
        num_leaves=8,
        min_child_samples=20,
        colsample_bytree=0.8,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        random_state=seed,
        verbosity=-1,
    ).fit(columns, losses)
    text: str = model.booster_.model_to_string()
    return text


def _losses(text: str, columns: Values) -> Values:
    """What the trees say; no loss is negative."""
    from lightgbm import Booster

    said: Values = np.asarray(Booster(model_str=text).predict(columns, num_threads=1), dtype=np.float64)
    return np.maximum(said, 0.0)
