"""How good is the champion on rows whose truth has not come yet? An estimate, and when it should alarm.

Classification: confidence-based estimation (see :mod:`automl.expected`), from probabilities calibrated on the
judged holdout rows, which the model was not trained on. Regression: see :mod:`automl.loss_estimation`.

What it can't see. An estimate knows rows by their features and predictions only. Where the same features
come to mean another label (a label flip, a new fraud pattern, a changed price level, a base rate that moves
with the season), the rows look as they did and the estimate stays silent, however wrong the model has become;
the stated error does not hold it either. Only truth shows that. It is also blind where rows come from a
region that the reference did not hold, and it takes the reference's rows for independent ones: rows of few
customers make its bands too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from automl.calibration import Calibration, chosen
from automl.expected import expected_score, expected_tally
from automl.metrics import metric, metrics_for
from automl.tallies import Tally, Values
from automl.task import TaskKind

MIN_REFERENCE = 100
MIN_CLASS = 10
"""Reference rows (of a class) below which nothing is estimated."""
REACH = 3.0
"""Standard errors that make a band, as in NannyML: a good one in a thousand unchanged windows falls below."""
_MOST_REFERENCE = 10_000
_RESAMPLES = 200
_CELLS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is known of one metric on the reference rows.

    ``realized`` is its true score there, ``estimated`` what the estimator says of rows held out from its
    fitting. ``moves`` and ``misses`` are standard deviations for a single row: of the estimate, and of the
    estimate minus the truth. For n rows they shrink with the square root of n.
    """

    realized: float
    estimated: float
    moves: float
    misses: float

    @classmethod
    def of(cls, expected: Tally, truth: Tally, rows: int, *, seed: int) -> Spread | None:
        """From both tallies on the same rows by the bootstrap; None where the metric has no value there."""
        whole = np.ones((1, rows))
        realized, estimated = float(truth.scores(whole)[0]), float(expected.scores(whole)[0])
        if np.isnan(realized) or np.isnan(estimated):
            return None
        random = np.random.default_rng(seed)
        drawn, missed = [], []
        block = max(1, _CELLS // rows)
        for start in range(0, _RESAMPLES, block):
            weights = _weights(random, rows, min(block, _RESAMPLES - start))
            scores = expected.scores(weights)
            drawn.append(scores)
            missed.append(scores - truth.scores(weights))
        root = float(np.sqrt(rows))
        return cls(
            realized=realized,
            estimated=estimated,
            moves=root * float(np.nanstd(np.concatenate(drawn))),
            misses=root * float(np.nanstd(np.concatenate(missed))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimated score on some rows, in the metric's own sign.

    ``error`` is the standard error of ``value`` as a forecast of the score that the truth will show for these
    rows; ``lower`` to ``upper`` is three of them to each side. ``usual`` is what the estimator says of the
    reference, and ``usual_lower`` to ``usual_upper`` where it lands for as many rows if nothing changed.
    ``realized`` is the true score on the reference.
    """

    metric: str
    value: float
    error: float
    usual: float
    usual_lower: float
    usual_upper: float
    realized: float
    rows: int
    rows_reference: int

    @classmethod
    def of(cls, name: str, value: float, spread: Spread, *, rows: int, rows_reference: int) -> Estimate:
        width = float(np.sqrt(1.0 / rows + 1.0 / rows_reference))
        reach = REACH * spread.moves * width
        return cls(
            metric=name,
            value=value,
            error=spread.misses * width,
            usual=spread.estimated,
            usual_lower=spread.estimated - reach,
            usual_upper=spread.estimated + reach,
            realized=spread.realized,
            rows=rows,
            rows_reference=rows_reference,
        )

    @property
    def lower(self) -> float:
        return self.value - REACH * self.error

    @property
    def upper(self) -> float:
        return self.value + REACH * self.error

    @property
    def loss(self) -> float:
        """How much worse than usual the estimate is, in the metric's units; negative where it is better."""
        return metric(self.metric).gain(self.usual, self.value)

    @property
    def decayed(self) -> bool:
        """Whether the estimate is worse than unchanged rows would make it."""
        if self.loss <= 1e-9 * abs(self.usual):  # rounding, where the band has no width
            return False
        if metric(self.metric).greater_is_better:
            return self.value < self.usual_lower
        return self.value > self.usual_upper

    @property
    def reason(self) -> str:
        """One sentence that a person reads."""
        verb = "is worse than" if self.decayed else "is not worse than"
        return (
            f"estimated {self.metric} {self.value:.4g} ± {self.error:.2g} on {self.rows:,} rows without truth "
            f"{verb} the {self.usual_lower:.4g} to {self.usual_upper:.4g} of as many unchanged rows "
            f"({self.realized:.4g} was true on {self.rows_reference:,} judged rows)"
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "decayed": self.decayed, "loss": self.loss, "reason": self.reason}


def lacking(y: npt.NDArray[Any], kind: TaskKind) -> str | None:
    """Why reference rows with these labels (class positions, numbers) can't carry an estimate, or None."""
    if len(y) < MIN_REFERENCE:
        return f"an estimate needs {MIN_REFERENCE} judged rows, there are {len(y)}"
    if kind is TaskKind.CLASSIFICATION:
        counts = np.bincount(np.asarray(y, dtype=np.intp))
        enough = int(np.count_nonzero(counts >= MIN_CLASS))
        if enough < 2:
            return f"an estimate needs {MIN_CLASS} judged rows in each of two classes, {enough} has them"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationEstimator:
    """The quality of one classifier without labels.

    ``brier`` holds the Brier score of each way of calibrating, on reference rows held out from it.
    """

    calibration: Calibration
    brier: Mapping[str, float]
    spreads: Mapping[str, Spread]
    rows: int

    @classmethod
    def fit(
        cls,
        y: npt.NDArray[Any],
        probabilities: npt.NDArray[Any],
        *,
        seed: int,
        metrics: Sequence[str] | None = None,
    ) -> Self:
        """From judged rows: class positions (n,) and the model's probabilities (n, K).

        The rows must not have been trained on. At most 10,000 are used, drawn by ``seed``. ``metrics`` are
        those to be estimated later, by default all of classification; one that has no value on these rows is
        left out. The same arguments give the same estimator. Raises ValueError where rows are
        :func:`lacking`, don't fit each other, or a metric is unknown or one of numbers.
        """
        reason = lacking(y, TaskKind.CLASSIFICATION)
        if reason is not None:
            raise ValueError(reason)
        labels, given = np.asarray(y, dtype=np.intp), np.asarray(probabilities, dtype=np.float64)
        names = tuple(metrics) if metrics is not None else metrics_for(TaskKind.CLASSIFICATION)
        if names:
            metric(names[0]).tally(labels, given)  # raises where they don't fit
        if len(labels) > _MOST_REFERENCE:
            kept = np.random.default_rng(seed).choice(len(labels), _MOST_REFERENCE, replace=False)
            labels, given = labels[np.sort(kept)], given[np.sort(kept)]
        calibration, held, brier = chosen(labels, given, seed=seed)
        spreads = {}
        for name in names:
            measure = metric(name)
            expected, truth = expected_tally(measure, given, held), measure.tally(labels, given)
            spread = Spread.of(expected, truth, len(labels), seed=seed)
            if spread is not None:
                spreads[name] = spread
        return cls(calibration=calibration, brier=brier, spreads=spreads, rows=len(labels))

    def estimate(self, probabilities: npt.NDArray[Any], metric_name: str) -> Estimate:
        """The estimated score on rows with these probabilities (n, K), all by the model this was fitted for.

        Raises ValueError without rows, and for a metric that was not fitted.
        """
        spread = fitted_spread(self.spreads, metric_name)
        given = np.asarray(probabilities, dtype=np.float64)
        if not len(given):
            raise ValueError("there are no rows to estimate on")
        value = expected_score(metric(metric_name), given, self.calibration(given))
        return Estimate.of(metric_name, value, spread, rows=len(given), rows_reference=self.rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "calibration": self.calibration.to_json(),
            "brier": dict(self.brier),
            "spreads": {name: asdict(spread) for name, spread in self.spreads.items()},
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            calibration=Calibration.from_json(data["calibration"]),
            brier=dict(data["brier"]),
            spreads={name: Spread(**spread) for name, spread in data["spreads"].items()},
            rows=data["rows"],
        )


def fitted_spread(spreads: Mapping[str, Spread], name: str) -> Spread:
    """The spread of a metric. Raises ValueError with the names there are."""
    if name not in spreads:
        raise ValueError(f"{name!r} can't be estimated here; there are {', '.join(spreads) or 'none'}")
    return spreads[name]


def _weights(random: np.random.Generator, rows: int, resamples: int) -> Values:
    """How often each row was drawn in each resample."""
    drawn = random.integers(0, rows, size=(resamples, rows), dtype=np.intp)
    drawn += (np.arange(resamples, dtype=np.intp) * rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * rows).reshape(resamples, rows).astype(np.float64)
