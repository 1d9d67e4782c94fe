"""May the challenger take the champion's place?

Both are scored on the same rows, which neither was trained on. The challenger is promoted only where the
paired bootstrap shows a gain above the minimum effect at the alpha left for this look, no slice of the rows
pays for it, and every guard gate passes. Where the rows can't tell, the verdict says how many would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.comparison import Case
from automl.cross_checks import cross_checks_gate
from automl.floor_gate import floor_gate
from automl.gates import guard_gates, holdout_gate, improvement_gate, predictions_gate
from automl.resampling import Difference
from automl.sentences import Comparison
from automl.slice_gate import slices_gate
from automl.slices import Slice
from automl.tallies import Values
from automl.task import Task
from automl.verdict import Gate, Outcome, Rules, Scored, Verdict

__all__ = [
    "Difference",
    "Gate",
    "Outcome",
    "Rules",
    "Scored",
    "Verdict",
    "judge",
    "naive_baseline",
    "spent_alpha",
]


def spent_alpha(alpha: float, look: int) -> float:
    """The part of ``alpha`` that the ``look``-th look (1, 2, …) at one holdout may spend.

    The parts sum to at most ``alpha`` over any number of looks, so a challenger that is no better is
    promoted with at most that chance however often the same rows are asked.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return alpha * 6.0 / (math.pi * look) ** 2


def naive_baseline(y: npt.NDArray[Any], task: Task, metric_name: str) -> Values:
    """What one would say knowing only the training labels: the classes' shares, or the mean (median for mae).

    Of shape (K,) or (1,); :func:`judge` repeats it for every row.
    """
    if task.is_classification:
        counts = np.bincount(np.asarray(y, dtype=np.intp), minlength=len(task.classes))
        return np.asarray(counts / counts.sum(), dtype=np.float64)
    middle = np.median if metric_name == "mae" else np.mean
    return np.asarray([middle(y)], dtype=np.float64)


def judge(
    champion: Scored | None,
    challenger: Scored,
    y: npt.NDArray[Any],
    rules: Rules,
    *,
    seed: int,
    task: Task,
    train_prior: npt.NDArray[Any],
    groups: npt.NDArray[Any] | None = None,
    slices: Sequence[Slice] = (),
) -> Verdict:
    """Judge a challenger on the holdout's labels ``y`` (class positions, or numbers).

    Without a champion the challenger has to beat the naive baseline, by anything above zero. ``train_prior``
    is that baseline, see :func:`naive_baseline` (a prediction for each row is taken too). With ``groups``,
    one for each row, whole groups are resampled. ``slices`` are parts of these rows that may not get worse, see
    :func:`automl.slices.slices`. The same arguments give the same verdict. Raises ValueError where labels,
    predictions of the baseline, groups or slices don't fit each other.
    """
    if any(len(part.rows) != len(y) for part in slices):
        raise ValueError(f"slices of other rows than the {len(y):,} judged")
    case = Case.of(champion, challenger, y, rules, task=task, train_prior=train_prior, groups=groups)
    sane = predictions_gate(case)
    holdout = holdout_gate(case)
    difference, comparison = None, None
    if sane.passed and holdout.passed:
        draws = case.draws(seed)
        if draws is None:
            holdout = Gate(name="holdout", passed=False, reason=f"{rules.metric} has no value on these rows")
        else:
            difference = draws.difference(rules.alpha)
            comparison = case.compared(difference)
    floor = floor_gate(case, difference, seed=seed)
    gates = (
        holdout,
        sane,
        improvement_gate(case, comparison),
        floor,
        _slices(case, comparison, slices, seed),
        *guard_gates(challenger, rules),
        cross_checks_gate(case, difference),
    )
    outcome, reason = _conclude(gates, comparison, rules)
    scored = bool(sane.passed)
    return Verdict(
        outcome=outcome,
        reason=reason,
        gates=gates,
        metric=rules.metric,
        champion_score=case.score(case.champion),
        challenger_score=case.score(case.challenger) if scored else None,
        baseline_score=case.score(case.baseline),
        difference=difference,
        min_effect=case.asked,
        rows=len(case.y),
        rows_needed=comparison.rows_needed if comparison and outcome is Outcome.INCONCLUSIVE else None,
    )


def _slices(case: Case, comparison: Comparison | None, slices: Sequence[Slice], seed: int) -> Gate:
    if comparison is None:
        return Gate(name="slices", passed=None, reason="not decided: the models could not be compared")
    return slices_gate(case, slices, seed=seed)


def _conclude(gates: tuple[Gate, ...], comparison: Comparison | None, rules: Rules) -> tuple[Outcome, str]:
    """The outcome that follows from the gates, and its sentence."""
    holdout, predictions, improvement, floor, *guards = gates
    lead = "" if comparison is None else comparison.lead
    broken = [gate for gate in (predictions, *guards) if gate.passed is False]
    if broken:
        faults = " and ".join(f"{gate.name}: {gate.reason}" for gate in broken)
        return Outcome.REJECTED, f"Rejected: {faults}" + (f" ({lead})." if lead else ".")
    if not holdout.passed:
        return Outcome.INCONCLUSIVE, f"Inconclusive: {holdout.reason}."
    shown = improvement if improvement.passed or not floor.passed else floor
    if shown.passed is None:
        return Outcome.INCONCLUSIVE, f"Inconclusive: {lead}; {improvement.reason}."
    if not shown.passed:
        return Outcome.REJECTED, f"Rejected: {lead}; {improvement.reason}."
    if rules.needs_approval:
        return Outcome.AWAITING_APPROVAL, f"Awaiting approval: {lead}; {shown.reason}."
    return Outcome.PROMOTED, f"Promoted: {lead}; {shown.reason}."
