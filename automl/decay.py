"""Has a model's live quality surely dropped below what it was promoted with?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """Live quality beside the reference. ``drop`` is positive when live is worse, in the metric's unit.

    ``sure_drop`` is its lower confidence bound: the normal one, from the bootstrap's standard error of the live
    score and that of the reference, which is taken to shrink with its rows like the live one.
    """

    score: float
    reference: float
    drop: float
    sure_drop: float
    error: float
    rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decay(
    y: npt.NDArray[Any],
    p: npt.NDArray[np.float64],
    *,
    metric_name: str,
    reference: float,
    reference_rows: int,
    alpha: float,
    seed: int,
    resamples: int = 200,
) -> Decay | None:
    """Compare answers ``p`` with their truth ``y`` (as :mod:`automl.metrics` takes them) to a reference score.

    None where the metric has no value on these rows (one class only, say). A label flip with unchanged
    features shows here, and nowhere before truth comes.
    """
    rule = metric(metric_name)
    score = float(rule.score(y, p)) if len(y) else math.nan
    if not math.isfinite(score):
        return None
    random = np.random.default_rng(seed)
    again = []
    for _ in range(resamples):
        drawn = random.integers(0, len(y), len(y))
        value = float(rule.score(y[drawn], p[drawn]))
        if math.isfinite(value):
            again.append(value)
    if len(again) < resamples // 2:
        return None
    live = float(np.std(again, ddof=1))
    error = math.sqrt(live**2 * (1 + len(y) / max(reference_rows, 1)))
    drop = reference - score if rule.greater_is_better else score - reference
    return Decay(
        score=score,
        reference=reference,
        drop=drop,
        sure_drop=drop - NormalDist().inv_cdf(1 - alpha) * error,
        error=error,
        rows=len(y),
    )
