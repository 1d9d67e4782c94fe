"""Was the teacher right? Pseudo-labels against the truth that came after them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.proportions import Proportion, evidence_below, wilson


class Judgement(StrEnum):
    """``bad``: less precise than asked, shown. ``good``: as precise as asked, shown. Else ``undecided``."""

    BAD = "bad"
    GOOD = "good"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAudit:
    """One class the teacher gave. ``evidence`` is the e-value against its being as precise as asked."""

    position: int
    precision: Proportion
    evidence: float
    bad: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the truth says about one teacher. ``classes`` are those it gave to rows whose truth is known."""

    judgement: Judgement
    reason: str
    overall: Proportion
    classes: tuple[ClassAudit, ...]
    waiting: int

    @property
    def bad_classes(self) -> tuple[int, ...]:
        return tuple(each.position for each in self.classes if each.bad)

    def to_json(self) -> dict[str, Any]:
        return {
            "judgement": self.judgement.value,
            "reason": self.reason,
            "overall": self.overall.to_json(),
            "classes": [
                {
                    "position": each.position,
                    "precision": each.precision.to_json(),
                    "evidence": min(each.evidence, 1e300),
                    "bad": each.bad,
                }
                for each in self.classes
            ],
            "waiting": self.waiting,
        }


def audit(
    given: npt.NDArray[Any],
    truths: npt.NDArray[Any],
    *,
    classes: int,
    least_precision: float = 0.9,
    alpha: float = 0.05,
) -> Audit:
    """One teacher's pseudo-labels ``given`` (n,) against ``truths`` (n,), both class positions; truth -1 is unknown.

    A class is bad where the evidence that fewer than ``least_precision`` of its labels are right reaches
    ``2 * classes / alpha``; a bad class, or evidence of ``2 / alpha`` over all, makes a bad teacher. This
    holds at any time and for any number of looks: a teacher that is precise enough in every class is ever
    called bad with a chance of at most ``alpha``. It is good where the Wilson interval (95%, for one look)
    of every class lies above. Rows count alike: where truth comes for some kind of rows only, this speaks
    for those. Raises ValueError on labels outside the classes.
    """
    said, true = np.asarray(given, dtype=np.intp), np.asarray(truths, dtype=np.intp)
    if said.shape != true.shape or said.ndim != 1:
        raise ValueError(f"{said.shape} labels for {true.shape} truths")
    if len(said) and (said.min() < 0 or said.max() >= classes or true.min() < -1 or true.max() >= classes):
        raise ValueError(f"a label lies outside the {classes} classes")
    known = true >= 0
    said, right = said[known], (said == true)[known]
    found = []
    for position in np.unique(said).tolist():
        of_it = right[said == position]
        evidence = evidence_below(int(of_it.sum()), len(of_it), least_precision)
        found.append(
            ClassAudit(
                position=position,
                precision=wilson(int(of_it.sum()), len(of_it)),
                evidence=evidence,
                bad=evidence >= 2 * classes / alpha,
            )
        )
    overall = wilson(int(right.sum()), len(right))
    bad_overall = evidence_below(overall.hits, overall.of, least_precision) >= 2 / alpha
    judgement, reason = _concluded(tuple(found), overall, bad_overall, least_precision)
    return Audit(
        judgement=judgement,
        reason=reason,
        overall=overall,
        classes=tuple(found),
        waiting=int(np.sum(~known)),
    )


def _concluded(
    found: tuple[ClassAudit, ...], overall: Proportion, bad_overall: bool, asked: float
) -> tuple[Judgement, str]:
    bad = [each for each in found if each.bad]
    if bad:
        worst = max(bad, key=lambda each: each.evidence).precision
        named = ", ".join(str(each.position) for each in bad)
        return Judgement.BAD, (
            f"of the labels of class {named} too few are right: at worst {worst.hits:,} of {worst.of:,}, "
            f"{asked:.0%} were asked for"
        )
    share = f"{overall.hits:,} of {overall.of:,} labels are right, {asked:.0%} were asked for"
    if bad_overall:
        return Judgement.BAD, f"only {share}"
    if found and all(each.precision.lower >= asked for each in found):
        return Judgement.GOOD, share
    return (
        Judgement.UNDECIDED,
        f"{share}, which decides nothing yet" if overall.of else "no truth has come yet",
    )
