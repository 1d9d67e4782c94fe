"""What becomes of a probation, given what was seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.contest import Contest
from registry.probations import Probation, ProbationMode, ProbationStatus
from registry.records import PromotionKind
from service.probation_guards import Evidence, objection


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """Its new status with the reason, and the change of champion that it brings."""

    status: ProbationStatus
    reason: str
    change: PromotionKind | None = None
    asks: bool = False
    """Whether people are asked for the change."""


def rule(probation: Probation, contest: Contest, evidence: Evidence, *, over: bool) -> Ruling:
    """``over`` says that the time of the watch is up. Truth outranks the guards."""
    words = contest.sentence(f"version {probation.champion}", f"version {probation.other}")
    if probation.mode is ProbationMode.CHALLENGER:
        return _of_challenger(probation, contest, words, over)
    if contest.champion_is_worse:
        return _deposed(probation, words)
    complaint = objection(probation.rule, evidence)
    if complaint is not None:
        return _deposed(probation, f"version {probation.champion} was not waited for: {complaint}")
    if contest.champion_holds:
        return Ruling(status=ProbationStatus.CONFIRMED, reason=f"Confirmed: {words}.")
    if over:
        reason = f"Confirmed: the watch is over without proof against it; {words}."
        return Ruling(status=ProbationStatus.CONFIRMED, reason=reason)
    return Ruling(status=ProbationStatus.OPEN, reason=f"Open: {words}.")


def told(project: str, probation: Probation, ruling: Ruling) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The events that an end raises, in order."""
    data = {"project": project, "reason": ruling.reason}
    ended = {
        **data,
        "probation": probation.number,
        "mode": probation.mode.value,
        "champion": probation.champion,
        "other": probation.other,
        "status": ruling.status.value,
    }
    events: tuple[tuple[str, Mapping[str, Any]], ...] = (("incumbent.probation.ended", ended),)
    if ruling.change is None:
        return events
    change = {**data, "from": probation.champion, "to": probation.other, "kind": ruling.change.value}
    return (("incumbent.champion.changed", change), *events)


def _of_challenger(probation: Probation, contest: Contest, words: str, over: bool) -> Ruling:
    if contest.champion_is_worse:
        if probation.rule["promote_mode"] == "manual":
            return Ruling(status=ProbationStatus.ANNOTATED, reason=f"Awaiting approval: {words}.", asks=True)
        return Ruling(
            status=ProbationStatus.PROMOTED,
            reason=f"Promoted out of the shadow: {words}.",
            change=PromotionKind.PROMOTION,
        )
    if contest.champion_holds:
        reason = f"Not promoted: it is not better by more than is asked for; {words}."
        return Ruling(status=ProbationStatus.EXPIRED, reason=reason)
    if over:
        reason = f"Not promoted: the watch is over without proof; {words}."
        return Ruling(status=ProbationStatus.EXPIRED, reason=reason)
    return Ruling(status=ProbationStatus.OPEN, reason=f"Open: {words}.")


def _deposed(probation: Probation, why: str) -> Ruling:
    if probation.rule["action"] == "annotate":
        reason = f"Worse, and by policy only noted: {why}."
        return Ruling(status=ProbationStatus.ANNOTATED, reason=reason)
    return Ruling(
        status=ProbationStatus.ROLLED_BACK,
        reason=f"Rolled back to version {probation.other}: {why}.",
        change=PromotionKind.ROLLBACK,
    )
