"""The checks a challenger has to pass, each with the reason a person reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from automl.comparison import Case, class_counts, fault_of
from automl.sentences import Comparison, significant, size
from automl.task import Label
from automl.verdict import Gate, Rules, Scored


def predictions_gate(case: Case) -> Gate:
    fault = fault_of(Scored(predictions=case.challenger), case.measure, case.task, len(case.y))
    if fault is not None:
        return Gate(name="predictions", passed=False, reason=f"the challenger can't be scored: {fault}")
    if case.champion_fault is not None:
        reason = (
            f"the champion can't be scored ({case.champion_fault}), so the naive baseline stands in for it"
        )
        return Gate(name="predictions", passed=True, reason=reason)
    return Gate(name="predictions", passed=True, reason="every prediction is a usable number")


def holdout_gate(case: Case) -> Gate:
    """Do these rows allow a judgement at all?"""
    rows, rules = len(case.y), case.rules
    drawn = None if case.codes is None else case.units
    evidence: dict[str, Any] = {"rows": rows, "groups": None, "blocks": None}
    if drawn is not None:
        evidence[case.unit] = drawn
    if rows < rules.min_rows:
        reason = f"the holdout has {rows:,} rows, at least {rules.min_rows:,} are needed"
        return Gate(name="holdout", passed=False, reason=reason, evidence=evidence)
    if drawn is not None and drawn < rules.min_groups:
        reason = f"the holdout has rows of {drawn:,} {case.unit}, at least {rules.min_groups:,} are needed"
        return Gate(name="holdout", passed=False, reason=reason, evidence=evidence)
    size_of_it = f"{rows:,} rows" + ("" if drawn is None else f" of {drawn:,} {case.unit}")
    if drawn is not None and case.unit == "blocks":
        evidence["block_rows"] = rows // drawn
        size_of_it = f"{rows:,} rows in {drawn:,} blocks of about {rows // drawn:,} consecutive ones"
    if not case.measure.per_class:
        return Gate(name="holdout", passed=True, reason=size_of_it, evidence=evidence)
    return _classes_gate(case, size_of_it, evidence)


def _classes_gate(case: Case, size_of_it: str, evidence: dict[str, Any]) -> Gate:
    counts = class_counts(case.y, case.codes, case.task)
    evidence["classes"] = {_word(label): int(n) for label, n in zip(case.task.classes, counts, strict=True)}
    rare = [_word(label) for k, label in enumerate(case.task.classes) if k not in case.judged]
    least, unit = case.rules.min_class_rows, "rows" if case.codes is None else f"{case.unit} with rows"
    if len(case.judged) < 2:
        named = ", ".join(f"{name!r} has {evidence['classes'][name]:,}" for name in rare[:3])
        reason = f"{case.rules.metric} needs at least {least} {unit} of two classes: in {size_of_it}, {named}"
        return Gate(name="holdout", passed=False, reason=reason, evidence=evidence)
    if not rare:
        return Gate(
            name="holdout", passed=True, reason=f"{size_of_it}, all classes among them", evidence=evidence
        )
    names = ", ".join(repr(name) for name in rare[:3]) + (
        "" if len(rare) <= 3 else f" and {len(rare) - 3} more"
    )
    reason = f"{size_of_it}; left out of the mean over classes for having fewer than {least} {unit}: {names}"
    return Gate(name="holdout", passed=True, reason=reason, evidence=evidence)


def _word(label: Label) -> str:
    """A class as its owner writes it."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def improvement_gate(case: Case, comparison: Comparison | None) -> Gate:
    """Named for what the challenger was held against: ``improvement`` (the champion) or ``baseline``."""
    name = "baseline" if case.champion is None else "improvement"
    if comparison is None:
        return Gate(name=name, passed=None, reason="not decided: the models could not be compared")
    difference = comparison.difference
    evidence = {**difference.to_json(), "min_effect": comparison.asked, "factor": comparison.factor}
    if difference.lower > comparison.asked:
        return Gate(name=name, passed=True, reason=comparison.shown, evidence=evidence)
    if difference.upper < comparison.asked:
        return Gate(name=name, passed=False, reason=comparison.excluded, evidence=evidence)
    return Gate(name=name, passed=None, reason=comparison.open, evidence=evidence)


def guard_gates(challenger: Scored, rules: Rules) -> tuple[Gate, ...]:
    return (
        _limit_gate(
            "latency",
            "predicting one row takes",
            challenger.latency_ms,
            rules.max_latency_ms,
            lambda value: f"{significant(value)} ms",
        ),
        _limit_gate(
            "size",
            "the model takes",
            challenger.size_bytes,
            rules.max_size_bytes,
            lambda value: size(int(value)),
        ),
        _golden_gate(challenger.golden_gap, rules.golden_tolerance),
    )


def _golden_gate(gap: float | None, tolerance: float) -> Gate:
    """Does the model answer as it did when its stored bytes are loaded anew?"""
    if gap is None:
        return Gate(name="golden", passed=None, reason="no answers after a reload were compared")
    evidence = {"gap": gap if math.isfinite(gap) else None, "tolerance": tolerance}
    if gap <= tolerance:
        reason = "stored and loaded anew, it gives the same answers on the golden rows"
        return Gate(name="golden", passed=True, reason=reason, evidence=evidence)
    off = f"answers that differ by {significant(gap)}" if math.isfinite(gap) else "no usable answers"
    reason = f"stored and loaded anew, it gives {off} on the golden rows"
    return Gate(name="golden", passed=False, reason=reason, evidence=evidence)


def _limit_gate(
    name: str, subject: str, value: float | None, limit: float | None, show: Callable[[float], str]
) -> Gate:
    evidence = {"value": value, "limit": limit}
    if limit is None:
        return Gate(name=name, passed=None, reason="no limit is set", evidence=evidence)
    if value is None or not math.isfinite(value):
        reason = f"at most {show(limit)} are allowed, but it was not measured"
        return Gate(name=name, passed=False, reason=reason, evidence={"value": None, "limit": limit})
    kept = value <= limit
    verb = "within the" if kept else "more than the"
    reason = f"{subject} {show(value)}, {verb} {show(limit)} allowed"
    return Gate(name=name, passed=kept, reason=reason, evidence=evidence)
