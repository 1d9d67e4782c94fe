"""Which unlabelled rows may train as if they were labelled, and as what.

A label a model gave is believed only where its calibrated confidence is above the threshold of its class
(adaptive as in FlexMatch, Zhang et al. 2021), the models of the teacher agree (uncertainty-aware selection,
UPS, Rizve et al. 2021), and the classes keep their true shares; and then it weighs less than a label a person
gave. Whether the rows help is not decided here but by :func:`automl.arms.three_arms`, and whether the teacher
was right by :func:`audit`, once truth arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.proportions import Proportion, wilson
from automl.pseudo_audit import Audit, Judgement, audit
from automl.pseudo_rule import PseudoRule, Reason, Teacher, suspension
from automl.quotas import places
from automl.tallies import Positions, Values
from automl.task import TaskKind
from automl.tempering import temperature, tempered

__all__ = [
    "Audit",
    "Judgement",
    "PseudoRule",
    "Reason",
    "Selection",
    "Teacher",
    "audit",
    "confident",
    "select",
    "suspension",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rows chosen, in ascending order, and what became of the others.

    ``rows`` are positions in the pool; ``classes`` (class positions; empty for numbers), ``values`` (the
    label: a class position or a number), ``confidence``, ``spread`` and ``weights`` belong to them.
    ``left_out`` counts all other rows by reason: together they are the pool. ``thresholds`` and
    ``reliability`` are by class. ``suspended`` says why nothing was selected at all, or is None.
    """

    rows: Positions
    values: Values
    confidence: Values
    spread: Values
    weights: Values
    left_out: Mapping[Reason, int]
    thresholds: tuple[float, ...] = ()
    reliability: tuple[Proportion, ...] = ()
    temperature: float | None = None
    suspended: str | None = None
    teacher: int = 0
    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def classes(self) -> Positions:
        return self.values.astype(np.intp)

    def to_json(self) -> dict[str, Any]:
        """The evidence, without the rows."""
        return {
            "teacher": self.teacher,
            "selected": len(self.rows),
            "by_class": {str(k): n for k, n in self.counts.items()},
            "left_out": {reason.value: n for reason, n in self.left_out.items() if n},
            "thresholds": list(self.thresholds),
            "reliability": [each.to_json() for each in self.reliability],
            "temperature": self.temperature,
            "weight": float(self.weights.sum()),
            "suspended": self.suspended,
        }


def select(
    probabilities: npt.NDArray[Any],
    calibration: npt.NDArray[Any],
    y: npt.NDArray[Any],
    rule: PseudoRule,
    teacher: Teacher,
    *,
    true_rows: int,
    seed: int,
    prior: npt.NDArray[Any] | None = None,
    drift_share: float | None = None,
) -> Selection:
    """Choose among n unlabelled rows those that may train, from the teacher's word on them.

    ``probabilities`` (M, n, K) are those of M models, or of one model's M folds, for the pool; rows with
    truth do not belong in it. ``calibration`` (m, K) are their mean probabilities for rows that none of the
    models used was trained on (out of fold), and ``y`` (m,) the true classes of these. ``prior`` (K,) are the true
    shares of the classes, by default those in ``y``. ``true_rows`` is the number of truly labelled rows
    that will train beside them. Where a class offers more than its quota the rows are drawn at random, so
    that they stay like those that could have been. The same arguments give the same selection. Raises
    ValueError on shapes that don't fit.
    """
    pool, held, truth, shares = _checked(probabilities, calibration, y, prior)
    n, k = pool.shape[1:]
    why = suspension(rule, teacher, kind=TaskKind.CLASSIFICATION, models=len(pool), drift_share=drift_share)
    if why is not None:
        return nothing(n, teacher, why)
    heat = temperature(held, truth)
    usable: npt.NDArray[np.bool_] = np.all(np.isfinite(pool), axis=(0, 2))
    each = tempered(np.where(usable[None, :, None], pool, 1.0 / k), heat)
    mean = each.mean(axis=0)
    classes = mean.argmax(axis=1)
    confidence = mean[np.arange(n), classes]
    spread = each[:, np.arange(n), classes].std(axis=0)
    thresholds = _thresholds(confidence[usable], classes[usable], shares, rule)
    reliability, reliable = _reliability(tempered(held, heat), truth, thresholds, rule)
    tests = (
        (Reason.NOT_FINITE, usable),
        (Reason.LOW_CONFIDENCE, confidence >= thresholds[classes]),
        (Reason.UNRELIABLE_CLASS, reliable[classes]),
        (Reason.SPREAD, spread <= rule.max_spread),
    )
    eligible, left_out = sifted(tests, n)
    rows = drawn(eligible, classes, shares, rule, true_rows=true_rows, seed=seed, left_out=left_out)
    chosen = classes[rows]
    return Selection(
        rows=rows,
        values=chosen.astype(np.float64),
        confidence=confidence[rows],
        spread=spread[rows],
        weights=rule.weights(confidence[rows], float(true_rows)),
        left_out=left_out,
        thresholds=tuple(thresholds.tolist()),
        reliability=reliability,
        temperature=heat,
        teacher=teacher.version,
        counts={c: int(np.sum(chosen == c)) for c in range(k)},
    )


def confident(
    probabilities: npt.NDArray[Any], selection: Selection, rule: PseudoRule
) -> tuple[Positions, Positions]:
    """The rows of another (M, n, K) that this teacher would have been sure of, and their classes.

    By the temperature, thresholds and spread of ``selection``, without quota and cap. On truly labelled rows
    that the teacher was not trained on, their :func:`audit` shows a bad teacher before its labels train
    anything. None where the selection was suspended.
    """
    if selection.temperature is None:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    each = tempered(probabilities, selection.temperature)
    mean = each.mean(axis=0)
    classes = mean.argmax(axis=1)
    rows = np.arange(len(classes))
    sure = mean[rows, classes] >= np.array(selection.thresholds)[classes]
    sure &= each[:, rows, classes].std(axis=0) <= rule.max_spread
    return np.flatnonzero(sure).astype(np.intp), classes[sure].astype(np.intp)


def nothing(n: int, teacher: Teacher, why: str) -> Selection:
    """No rows at all, and the one reason."""
    none = np.zeros(0)
    return Selection(
        rows=np.zeros(0, dtype=np.intp),
        values=none,
        confidence=none,
        spread=none,
        weights=none,
        left_out={Reason.SUSPENDED: n},
        suspended=why,
        teacher=teacher.version,
    )


def sifted(
    tests: tuple[tuple[Reason, npt.NDArray[np.bool_]], ...], n: int
) -> tuple[npt.NDArray[np.bool_], dict[Reason, int]]:
    """The rows that pass all tests, and how many fell at each, counted at the first."""
    standing, left_out = np.ones(n, dtype=bool), {}
    for reason, passed in tests:
        left_out[reason] = int(np.sum(standing & ~passed))
        standing &= passed
    return standing, left_out


def drawn(
    eligible: npt.NDArray[np.bool_],
    classes: Positions,
    prior: Values,
    rule: PseudoRule,
    *,
    true_rows: int,
    seed: int,
    left_out: dict[Reason, int],
) -> Positions:
    """Rows within the quotas and the cap, drawn at random; what falls to either is added to ``left_out``."""
    offered = np.bincount(classes[eligible], minlength=len(prior)).astype(np.intp)
    allowed = rule.rows_allowed(true_rows)
    within = places(offered, prior, limit=int(offered.sum()), slack=rule.slack)
    taken = places(offered, prior, limit=allowed, slack=rule.slack)
    left_out[Reason.QUOTA] = int(offered.sum() - within.sum())
    left_out[Reason.CAP] = int(within.sum() - taken.sum())
    random = np.random.default_rng(seed)
    picks = [
        random.permutation(np.flatnonzero(eligible & (classes == c)))[: taken[c]] for c in range(len(prior))
    ]
    return np.sort(np.concatenate(picks)).astype(np.intp)


def _checked(
    probabilities: npt.NDArray[Any],
    calibration: npt.NDArray[Any],
    y: npt.NDArray[Any],
    prior: npt.NDArray[Any] | None,
) -> tuple[Values, Values, Positions, Values]:
    pool, held = np.asarray(probabilities, dtype=np.float64), np.asarray(calibration, dtype=np.float64)
    truth = np.asarray(y, dtype=np.intp)
    if pool.ndim != 3 or pool.shape[2] < 2:
        raise ValueError(f"probabilities of shape (models, rows, classes) were expected, not {pool.shape}")
    k = pool.shape[2]
    if held.shape != (len(truth), k) or not np.isfinite(held).all():
        raise ValueError(f"calibration must be finite numbers of shape {(len(truth), k)}, not {held.shape}")
    if len(truth) and not 0 <= truth.min() <= truth.max() < k:
        raise ValueError(f"a label lies outside the {k} classes")
    counted = np.bincount(truth, minlength=k) if prior is None else np.asarray(prior, dtype=np.float64)
    if counted.shape != (k,) or counted.min() < 0 or not np.isfinite(counted).all():
        raise ValueError(f"the prior must be {k} numbers of zero or more")
    return pool, held, truth, counted / max(float(counted.sum()), 1e-300)


def _thresholds(confidence: Values, classes: Positions, prior: Values, rule: PseudoRule) -> Values:
    """The confidence asked of each class: less where fewer of its rows have been learnt (FlexMatch, eq. 5-7, 11).

    FlexMatch counts the confident rows of each class; here they are counted against what the class's true
    share promises, or every rare class would pass for a hard one.
    """
    sure = confidence >= rule.threshold
    expected = np.maximum(prior * max(len(classes), 1), 1e-300)
    learnt = np.bincount(classes[sure], minlength=len(prior)) / expected
    unused = 1.0 - float(sure.mean()) if len(sure) else 1.0
    status = learnt / max(float(learnt[prior > 0].max(initial=0.0)), unused, 1e-300)
    eased = rule.threshold * np.clip(status, 0, 1) / (2.0 - np.clip(status, 0, 1))
    return np.asarray(np.clip(eased, rule.floor, rule.threshold), dtype=np.float64)


def _reliability(
    held: Values, truth: Positions, thresholds: Values, rule: PseudoRule
) -> tuple[tuple[Proportion, ...], npt.NDArray[np.bool_]]:
    """How often each class was right among its confident calibration rows, and which classes may be believed."""
    given = held.argmax(axis=1) if len(held) else np.zeros(0, dtype=np.intp)
    sure = held.max(axis=1, initial=0.0) >= thresholds[given]
    shares, reliable = [], []
    for c in range(len(thresholds)):
        of_it = (given == c) & sure
        share = wilson(int(np.sum(truth[of_it] == c)), int(of_it.sum()), alpha=0.1)  # 95% on each side
        shares.append(share)
        reliable.append(share.upper >= rule.least_precision and np.sum(given == c) >= rule.min_calibration)
    return tuple(shares), np.array(reliable, dtype=bool)
