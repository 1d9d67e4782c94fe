"""No part of the rows may pay for a gain on the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.comparison import Case
from automl.resampling import Draws, holm
from automl.sentences import significant
from automl.slices import Slice
from automl.verdict import Gate

_NAME = "slices"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """One slice: both scores on it and the gain with its bounds (None where it has no score), and how surprising it
    were if the slice had lost no more than the margin."""

    part: Slice
    case: Case
    draws: Draws | None
    p: float


def slices_gate(case: Case, slices: Sequence[Slice], *, seed: int) -> Gate:
    """Fails where a slice is surely worse than with the champion by more than ``rules.slice_margin``.

    Each slice is put to the same paired bootstrap as the whole, and the p-values are adjusted for their number
    (Holm), so that a challenger which harms no slice by more than the margin is stopped with a chance of at most
    ``rules.slice_alpha``. A slice too small for the metric (of one class, say) is shown and not decided.
    """
    if case.champion is None:
        return Gate(name=_NAME, passed=None, reason="there is no champion to hold the slices against")
    if not slices:
        reason = f"no part of the rows has {case.rules.slice_rows:,} of them or more"
        return Gate(name=_NAME, passed=None, reason=reason)
    margin = case.in_units(case.rules.slice_margin)
    looked = [_look(case, part, margin, seed) for part in slices]
    decided = [one for one in looked if one.draws is not None]
    adjusted = dict(zip(map(id, decided), holm([one.p for one in decided]), strict=True))
    harmed = [one for one in decided if adjusted[id(one)] <= case.rules.slice_alpha]
    evidence = {
        "margin": margin,
        "alpha": case.rules.slice_alpha,
        "slices": [_row(one, adjusted.get(id(one)), margin) for one in looked],
    }
    if not decided:
        reason = f"none of {len(looked):,} slices has enough rows for {case.rules.metric}"
        return Gate(name=_NAME, passed=None, reason=reason, evidence=evidence)
    worst = min(harmed or decided, key=lambda one: one.draws.estimate if one.draws else 0.0)
    return Gate(
        name=_NAME, passed=not harmed, reason=_reason(worst, harmed, decided, margin), evidence=evidence
    )


def _look(case: Case, part: Slice, margin: float, seed: int) -> _Looked:
    some = case.part(part.rows)
    enough = some.units >= case.rules.min_groups and (not case.measure.per_class or len(some.judged) > 1)
    draws = some.draws(seed) if enough else None
    return _Looked(part=part, case=some, draws=draws, p=1.0 if draws is None else draws.p_below(-margin))


def _reason(worst: _Looked, harmed: Sequence[_Looked], decided: Sequence[_Looked], margin: float) -> str:
    assert worst.draws is not None
    lost = -worst.draws.estimate
    where = f"{worst.part.name} ({len(worst.case.y):,} rows)"
    if harmed:
        others = "" if len(harmed) == 1 else f", and so are {len(harmed) - 1} other slices"
        allowed = f"surely more than the {significant(margin)} that a slice may lose"
        return f"where {where} it is worse by {significant(lost)}, {allowed}{others}"
    kept = f"none of {len(decided):,} slices is surely worse by more than {significant(margin)}"
    if lost <= 0:
        return kept
    return f"{kept}; the worst is {where}, by {significant(lost)}"


def _row(one: _Looked, adjusted: float | None, margin: float) -> Mapping[str, Any]:
    gain = None if one.draws is None else one.draws.estimate
    return {
        "column": one.part.column,
        "value": one.part.value,
        "sensitive": one.part.sensitive,
        "rows": len(one.case.y),
        "champion": one.case.score(one.case.champion),
        "challenger": one.case.score(one.case.challenger),
        "gain": gain,
        "error": None if one.draws is None else one.draws.error,
        "p": None if one.draws is None else one.p,
        "p_adjusted": adjusted,
    }
