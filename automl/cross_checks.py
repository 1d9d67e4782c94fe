"""Other tests of the same question, beside the bootstrap: evidence for the reader, they decide nothing.

Both take rows as independent of each other. Where the bootstrap drew groups or blocks it knows better, and a
cross-check that is surer of itself is no reason to doubt it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts come when they are first used

from automl.comparison import Case
from automl.resampling import Difference
from automl.sentences import significant
from automl.tallies import Positions, Values
from automl.verdict import Gate

_BY_DECISION = ("accuracy", "balanced_accuracy", "f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedAuc:
    """The difference of two models' areas under the ROC curve on the same rows, and its standard error."""

    challenger: float
    champion: float
    error: float

    @property
    def estimate(self) -> float:
        return self.challenger - self.champion

    def p_above(self, bound: float) -> float:
        """One-sided: small where the difference is surely above ``bound``."""
        if self.error == 0.0:
            return 0.0 if self.estimate > bound else 1.0
        return float(scipy.special.ndtr(-(self.estimate - bound) / self.error))


def delong(y: Positions, challenger: Values, champion: Values) -> PairedAuc | None:
    """DeLong, DeLong and Clarke-Pearson (1988) by the ranks of Sun and Xu (2014), in O(n log n).

    ``y`` is 1 for positives; scores are those of the positive class. None with fewer than two of either class.
    """
    positive = np.asarray(y) == 1
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    areas, high, low = zip(*(_placements(positive, score) for score in (challenger, champion)), strict=True)
    variance = (high[0] - high[1]).var(ddof=1) / len(high[0]) + (low[0] - low[1]).var(ddof=1) / len(low[0])
    return PairedAuc(challenger=areas[0], champion=areas[1], error=float(np.sqrt(variance)))


def _placements(positive: npt.NDArray[np.bool_], score: Values) -> tuple[float, Values, Values]:
    """The area; which share of the negatives each positive beats; by which share of positives each negative is beaten."""
    ranks, count, others = _midranks(score), int(positive.sum()), int((~positive).sum())
    high = (ranks[positive] - _midranks(score[positive])) / others
    low = 1.0 - (ranks[~positive] - _midranks(score[~positive])) / count
    return float(high.mean()), high, low


def _midranks(values: Values) -> Values:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[inverse], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discordant:
    """Rows that one model alone got right: ``won`` by the challenger, ``lost`` to the champion."""

    won: int
    lost: int

    @property
    def p_better(self) -> float:
        """McNemar's exact test, one-sided: the chance of so many won, or more, were both models equally often right."""
        return 1.0 if self.won == 0 else float(scipy.special.bdtrc(self.won - 1, self.won + self.lost, 0.5))

    @property
    def p_different(self) -> float:
        """The same, two-sided."""
        other = Discordant(won=self.lost, lost=self.won)
        return min(2.0 * min(self.p_better, other.p_better), 1.0)


def mcnemar(y: Positions, challenger: Positions, champion: Positions) -> Discordant:
    """Counts the rows on which two models' decisions disagree about being right."""
    ours, theirs = np.asarray(challenger) == y, np.asarray(champion) == y
    return Discordant(won=int(np.sum(ours & ~theirs)), lost=int(np.sum(~ours & theirs)))


def cross_checks_gate(case: Case, difference: Difference | None) -> Gate:
    """``passed`` is always None: the tests here say whether they agree, and decide nothing."""
    name = "cross_checks"
    if difference is None:
        return Gate(name=name, passed=None, reason="nothing to check: the models could not be compared")
    alone = "" if case.codes is None else f", taking rows as independent where {case.unit} are not"
    if case.task.is_binary and case.rules.metric == "roc_auc":
        found = delong(case.y, case.challenger[:, 1], case.rival[:, 1])
        if found is not None:
            reason, evidence = _told_of_delong(found, case, difference)
            return Gate(name=name, passed=None, reason=reason + alone, evidence=evidence)
    if case.rules.metric in _BY_DECISION:
        rows = mcnemar(case.y, case.challenger.argmax(axis=1), case.rival.argmax(axis=1))
        reason, evidence = _told_of_mcnemar(rows)
        return Gate(name=name, passed=None, reason=reason + alone, evidence=evidence)
    return Gate(name=name, passed=None, reason=f"there is no second test for {case.rules.metric}")


def _told_of_delong(found: PairedAuc, case: Case, difference: Difference) -> tuple[str, Mapping[str, Any]]:
    reach = found.error * float(scipy.special.ndtri(1.0 - difference.alpha))
    lower, upper = found.estimate - reach, found.estimate + reach
    same = _side(lower, upper, case.asked) == _side(difference.lower, difference.upper, case.asked)
    p = found.p_above(case.asked)
    evidence = {
        "delong": {
            "estimate": found.estimate,
            "error": found.error,
            "lower": lower,
            "upper": upper,
            "p": p,
            "above": case.asked,
            "agrees": same,
        }
    }
    verb = "agrees" if same else "does not agree"
    says = f"a gain of {significant(found.estimate)} ± {significant(found.error)}"
    return f"DeLong's test {verb}: {says}, p = {told_p(p)} for more than {significant(case.asked)}", evidence


def _told_of_mcnemar(rows: Discordant) -> tuple[str, Mapping[str, Any]]:
    evidence = {
        "mcnemar": {
            "won": rows.won,
            "lost": rows.lost,
            "p_better": rows.p_better,
            "p_different": rows.p_different,
        }
    }
    counted = f"the challenger alone is right on {rows.won:,} rows, wrong on {rows.lost:,}"
    return f"McNemar's exact test: {counted}, p = {told_p(rows.p_better)} for any gain in accuracy", evidence


def _side(lower: float, upper: float, asked: float) -> int:
    return 1 if lower > asked else -1 if upper < asked else 0


def told_p(p: float) -> str:
    """A p-value as it may stand in a sentence.

    >>> told_p(0.0312), told_p(0.000004), told_p(1.0)
    ('0.031', 'less than 0.001', '1')
    """
    if math.isnan(p) or p >= 0.001:
        return f"{p:.3f}".rstrip("0").rstrip(".")
    return "less than 0.001"
