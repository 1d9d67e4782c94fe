"""The fairness gate: whether the challenger treats the groups of sensitive columns alike, or less so than the champion."""

from __future__ import annotations

from collections.abc import Sequence

from automl.sentences import significant
from automl.trust.audit import Audit, FairnessRule, Judged, audit_report, audited
from automl.trust.examined import Examined, trust_gate
from automl.trust.exhibit import Exhibit
from automl.trust.fairness_words import exceeding, more, said
from automl.trust.gaps import LEAST_UNITS
from automl.trust.groups import groupings
from automl.trust.mode import Mode

NAME = "fairness"


def fairness_gates(exhibit: Exhibit, rule: FairnessRule) -> Examined:
    """One gate about all sensitive columns, on the whole holdout; none where the task names none.

    ``hard``: no gap is surely wider than its limit. ``non_inferior``: no judged gap is surely wider than the champion's by
    more than the margin. A measure is judged that has a limit.
    """
    names = rule.audited(exhibit.task)
    if not names:
        return Examined(gates=(), report={})
    unknown = [name for name in names if name not in exhibit.schema.by_name]
    if unknown:
        raise ValueError(f"the schema has no column {unknown[0]!r}, which gates.trust.fairness.columns names")
    groups = groupings(exhibit.whole, exhibit.schema, names, bins=rule.bins, crossed=rule.intersections)
    models = {
        name: standing.whole for name, standing in reversed(exhibit.standings.items())
    }  # the challenger first
    audit = audited(models, exhibit.whole, exhibit.whole_y, groups, exhibit.task, rule, seed=exhibit.seed)
    passed, reason, against = ruling(audit, rule)
    report = audit_report(audit, rule)
    evidence = {
        "rows": audit.rows,
        "margin": rule.margin,
        "against": [_named(one) for one in against],
        "gaps": [row for column in report["columns"] for row in column["gaps"]],
    }
    gate = trust_gate(NAME, mode=rule.mode, passed=passed, reason=reason, evidence=evidence)
    return Examined(gates=(gate,), report={**report, "reason": reason, "passed": passed})


def ruling(audit: Audit, rule: FairnessRule) -> tuple[bool | None, str, list[Judged]]:
    """Whether the gate is passed, why, and the gaps that speak against it."""
    judged = [one for one in audit.judged if one.limit is not None]
    columns = ", ".join(grouping.name for grouping in audit.groupings)
    if not judged:
        entities = f", of {LEAST_UNITS} entities," if audit.of_entities else ""
        short = f"no two groups of {columns} have the {rule.min_rows:,} rows{entities} that each needs"
        return None, short if rule.limits else "the policy sets no limit", []
    if rule.mode is Mode.NON_INFERIOR:
        return _against_champion(judged, rule)
    against = sorted((one for one in judged if one.exceeds), key=_excess, reverse=True)
    if against:
        return False, exceeding(against), against
    worst = max(judged, key=_excess)
    kept = f"none of {len(judged):,} gaps between groups of {columns} is surely wider than allowed"
    limit = significant(worst.limit or 0.0)
    told = f"{kept}; nearest: {said(worst, worst.ours.widest)}, {limit} is allowed"
    return True, told, []


def _against_champion(judged: Sequence[Judged], rule: FairnessRule) -> tuple[bool | None, str, list[Judged]]:
    compared = [one for one in judged if one.wider is not None]
    if not compared and any(one.theirs is not None for one in judged):
        return None, "too few resamples have figures of both models to compare them", []
    if not compared:
        return None, "there is no champion to hold the groups against", []
    against = [one for one in compared if one.wider is not None and one.wider[1] > rule.margin]
    worst = max(against or compared, key=lambda one: one.wider[0] if one.wider else 0.0)
    assert worst.wider is not None
    assert worst.theirs is not None
    margin = significant(rule.margin)
    told = f"{said(worst, worst.ours.widest)}, where the champion's gap is {significant(worst.theirs.value)}"
    if against:
        return False, f"{told}: surely wider by more than the {margin} allowed{more(against)}", against
    return True, f"no gap is surely wider than the champion's by more than {margin}; nearest: {told}", []


def _excess(one: Judged) -> float:
    return one.ours.low - (one.limit or 0.0)


def _named(one: Judged) -> str:
    return f"{one.grouping.name}: {one.ours.measure}"
