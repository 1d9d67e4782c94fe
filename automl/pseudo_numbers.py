"""Pseudo-labels for regression: off unless the rule asks for them, and sure in the conformal sense.

A number has no confidence of its own. Here it is the share of calibration rows whose error, in units of how far
the models differed on them, would have stayed within a tolerance on this row (normalised conformal
prediction, Papadopoulos et al. 2002).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.pseudo_labels import Selection, drawn, nothing, sifted
from automl.pseudo_rule import PseudoRule, Reason, Teacher, suspension
from automl.tallies import Positions, Values
from automl.task import TaskKind

_STRATA = 4
_LEAST = 20


def select_numbers(
    predictions: npt.NDArray[Any],
    calibration: npt.NDArray[Any],
    y: npt.NDArray[Any],
    rule: PseudoRule,
    teacher: Teacher,
    *,
    true_rows: int,
    seed: int,
    tolerance: float = 0.25,
    drift_share: float | None = None,
) -> Selection:
    """Choose among n unlabelled rows those whose number may train, and which number.

    ``predictions`` (M, n) are those of M models for the pool, ``calibration`` (M, m) the same models' for
    rows with true numbers ``y`` (m,) that none of them was trained on. A row is confident where
    ``rule.threshold`` of the calibration errors would lie within ``tolerance`` standard deviations of ``y``
    on it; its label is the models' mean. Quarters of the range (the quartiles of ``y``) take the place of
    classes in the quota. ``spread`` is in standard deviations of ``y``. At least 20 calibration rows of
    different numbers are needed, or nothing is selected. Raises ValueError on shapes that don't fit.
    """
    pool, held = np.asarray(predictions, dtype=np.float64), np.asarray(calibration, dtype=np.float64)
    truth = np.asarray(y, dtype=np.float64)
    if pool.ndim != 2 or held.shape != (len(pool), len(truth)):
        raise ValueError(f"predictions of shape {pool.shape} and {held.shape} for {len(truth):,} labels")
    if not (np.isfinite(held).all() and np.isfinite(truth).all()):
        raise ValueError("calibration predictions and labels must be finite")
    n = pool.shape[1]
    why = suspension(rule, teacher, kind=TaskKind.REGRESSION, models=len(pool), drift_share=drift_share)
    unit = float(truth.std()) if len(truth) else 0.0
    if why is None and (len(truth) < _LEAST or unit == 0.0):
        why = f"at least {_LEAST} calibration rows of different numbers are needed"
    if why is not None:
        return nothing(n, teacher, why)
    usable: npt.NDArray[np.bool_] = np.all(np.isfinite(pool), axis=0)
    known = np.where(usable, pool, 0.0)
    values, spread = known.mean(axis=0), known.std(axis=0) / unit
    confidence = _confidence(spread, held, truth, unit, tolerance)
    edges = np.quantile(truth, np.arange(1, _STRATA) / _STRATA)
    strata: Positions = np.searchsorted(edges, values, side="right").astype(np.intp)
    prior = np.bincount(np.searchsorted(edges, truth, side="right"), minlength=_STRATA) / len(truth)
    tests = (
        (Reason.NOT_FINITE, usable),
        (Reason.LOW_CONFIDENCE, confidence >= rule.threshold),
        (Reason.SPREAD, spread <= rule.max_spread),
    )
    eligible, left_out = sifted(tests, n)
    rows = drawn(eligible, strata, prior, rule, true_rows=true_rows, seed=seed, left_out=left_out)
    return Selection(
        rows=rows,
        values=values[rows],
        confidence=confidence[rows],
        spread=spread[rows],
        weights=rule.weights(confidence[rows], float(true_rows)),
        left_out=left_out,
        teacher=teacher.version,
        counts={s: int(np.sum(strata[rows] == s)) for s in range(_STRATA)},
    )


def _confidence(spread: Values, held: Values, truth: Values, unit: float, tolerance: float) -> Values:
    """Of m + 1 errors, this row's own among them, how many lie within the tolerance for sure."""
    apart = held.std(axis=0) / unit
    # models that agree by chance must not pass for certain: nowhere less than a tenth of the usual spread
    least = max(0.1 * float(np.median(apart)), 1e-9)
    ratios = np.sort(np.abs(held.mean(axis=0) - truth) / unit / (apart + least))
    within = np.searchsorted(ratios, tolerance / (spread + least), side="right")
    return np.asarray(within / (len(ratios) + 1), dtype=np.float64)
