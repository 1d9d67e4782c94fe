"""How both models take rows that are not as they should be, and whether the challenger takes them worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.sentences import significant
from automl.trust.column_faults import ColumnFaults, column_faults
from automl.trust.examined import Examined, trust_gate
from automl.trust.exhibit import Answers, Exhibit, drawn
from automl.trust.label_noise import label_noise
from automl.trust.mode import Mode
from automl.trust.perturbation import SAID, Bad, Columns, applies, spoiled
from automl.trust.questions import affordable, asked_at_once, too_slow
from automl.trust.scores import Loss, Scale
from automl.trust.unit_errors import UnitError, unit_errors
from automl.trust.worst_slices import worst_slices
from automl.verdict import Gate

LEVELS: Mapping[Bad, tuple[float, ...]] = {
    Bad.NOISE: (0.05, 0.1, 0.2, 0.4),
    Bad.MISSING: (0.05, 0.1, 0.2, 0.4),
    Bad.UNSEEN: (0.05, 0.1, 0.2, 0.4),
    Bad.UNITS: (0.01, 0.05, 0.1, 0.2),
    Bad.TIME: (7.0, 30.0, 90.0, 365.0),
}
"""The levels of each curve."""
JUDGED: Mapping[Bad, float] = {
    Bad.NOISE: 0.1,
    Bad.MISSING: 0.1,
    Bad.UNSEEN: 0.1,
    Bad.UNITS: 0.01,
    Bad.TIME: 30.0,
}
"""The level of each that the gate looks at."""
ALPHA = 0.05
_COLUMNS, _CURVES, _LABELS = 0.25, 0.35, 0.4
"""How the allowance is shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessRule:
    """``max_loss`` is what the challenger may lose under any kind of fault (``hard``), ``margin`` by how much it may answer
    worse than the champion under the same fault (``non_inferior``): in the metric's unit, for rmse and mae as a share of
    the naive baseline's error. Both count only where they are surely exceeded. ``unit_errors`` is the mode of the gate on
    values that came in another unit, None for no such gate; ``label_noise`` says whether to train on flipped labels."""

    mode: Mode = Mode.REPORT
    max_loss: float = 0.1
    margin: float = 0.02
    unit_errors: Mode | None = Mode.REPORT
    label_noise: bool = True

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RobustnessRule:
        told = {**data, "mode": Mode(data["mode"])}
        if told.get("unit_errors") is not None:
            told["unit_errors"] = Mode(told["unit_errors"])
        return cls(**told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One kind of fault at growing levels, with the answers of both models at each."""

    kind: Bad
    levels: tuple[float, ...]
    answers: Mapping[str, tuple[Answers, ...]]

    def at(self, part: str, level: float) -> Answers:
        return self.answers[part][self.levels.index(level)]

    def to_json(self, scale: Scale) -> dict[str, Any]:
        scores = {part: [scale.score(one) for one in given] for part, given in self.answers.items()}
        judged = JUDGED[self.kind]
        told = {"kind": self.kind.value, "said": SAID[self.kind].format(level=judged), "judged": judged}
        return {**told, "levels": list(self.levels), **scores}


def robustness_gates(exhibit: Exhibit, rule: RobustnessRule) -> Examined:
    """The degradation curves of both models, what each column's failing costs, label noise, the worst slices; a gate on the
    levels of :data:`JUDGED` and one on values in other units."""
    columns = Columns.of(exhibit.schema, exhibit.features, exhibit.train)
    alone = column_faults(exhibit, columns, share=_COLUMNS)
    kinds = [kind for kind in Bad if applies(kind, columns)]
    asked = sum(len(LEVELS[kind]) for kind in kinds)
    most = affordable(exhibit, asked, share=_CURVES)
    not_measured = None if most else too_slow(asked)
    picked = drawn(len(exhibit.y), most or len(exhibit.y), seed=exhibit.seed)
    scale = Scale.of(exhibit, picked)
    before = {part: one.answers[picked] for part, one in exhibit.standings.items()}
    curves = _curves(exhibit, columns, kinds, exhibit.rows.iloc[picked]) if most else ()
    suspects = unit_errors(pd.concat([exhibit.train, exhibit.rows], ignore_index=True), columns)
    gates = [_gate(exhibit, rule, curves, scale, before, alone, not_measured)]
    if rule.unit_errors is not None:
        gates.append(_units_gate(rule.unit_errors, suspects))
    report = {
        "metric": exhibit.metric,
        "rows": len(picked),
        "not_measured": not_measured,
        "clean": {part: scale.score(answers) for part, answers in before.items()},
        "curves": [curve.to_json(scale) for curve in curves],
        "columns": alone.to_json(),
        "unit_errors": [one.to_json() for one in suspects],
        "label_noise": label_noise(exhibit, share=_LABELS).to_json() if rule.label_noise else None,
        "worst_slices": worst_slices(exhibit),
    }
    return Examined(gates=tuple(gates), report=report)


def _curves(
    exhibit: Exhibit, columns: Columns, kinds: Sequence[Bad], rows: pd.DataFrame
) -> tuple[Curve, ...]:
    """Every kind at every level, asked of each model in one call."""
    random = np.random.default_rng(exhibit.seed)
    frames = [spoiled(kind, rows, columns, level, random) for kind in kinds for level in LEVELS[kind]]
    answers = {part: asked_at_once(one, frames) for part, one in exhibit.standings.items()}
    curves, at = [], 0
    for kind in kinds:
        until = at + len(LEVELS[kind])
        found = {part: tuple(given[at:until]) for part, given in answers.items()}
        curves.append(Curve(kind=kind, levels=LEVELS[kind], answers=found))
        at = until
    return tuple(curves)


def _gate(
    exhibit: Exhibit,
    rule: RobustnessRule,
    curves: Sequence[Curve],
    scale: Scale,
    before: Mapping[str, Answers],
    alone: ColumnFaults,
    not_measured: str | None,
) -> Gate:
    """Which fault costs the challenger most, and whether that is surely more than allowed."""
    beside = rule.mode is Mode.NON_INFERIOR
    if beside and exhibit.champion is None:
        reason = "there is no champion to be held against"
        return trust_gate("robustness", mode=rule.mode, passed=None, reason=reason)
    if not_measured is not None:
        reason = f"not measured: {not_measured}"
        return trust_gate("robustness", mode=rule.mode, passed=None, reason=reason)
    alpha = ALPHA / max(len(curves), 1)
    losses: dict[Bad, Loss] = {}
    for curve in curves:
        level = JUDGED[curve.kind]
        held = curve.at("champion", level) if beside else before["challenger"]
        losses[curve.kind] = scale.loss(held, curve.at("challenger", level), alpha=alpha)
    limit = rule.margin if beside else rule.max_loss
    evidence = {
        "limit": limit,
        "against": "champion" if beside else "itself",
        "losses": {kind.value: {"level": JUDGED[kind], **one.to_json()} for kind, one in losses.items()},
        "top_column": None if alone.top is None else alone.top.to_json(),
        "rows": len(scale.y),
    }
    known = {kind: one for kind, one in losses.items() if one.estimate is not None}
    if not known:
        reason = (
            "there is no column to change, or the metric has no value on these rows or too few of a class"
        )
        return trust_gate("robustness", mode=rule.mode, passed=None, reason=reason, evidence=evidence)
    broken = [kind for kind, one in known.items() if (one.lower or 0.0) > limit]
    worst = max(broken or known, key=lambda kind: known[kind].estimate or 0.0)
    reason = _sentence(worst, known[worst], limit, beside=beside, broken=bool(broken))
    return trust_gate("robustness", mode=rule.mode, passed=not broken, reason=reason, evidence=evidence)


def _sentence(worst: Bad, loss: Loss, limit: float, *, beside: bool, broken: bool) -> str:
    said, cost = SAID[worst].format(level=JUDGED[worst]), significant(loss.estimate or 0.0)
    allowed, least = significant(limit), significant(loss.lower or 0.0)
    if beside and broken:
        return (
            f"with {said} it is worse than the champion by {cost}, surely by {least}: {allowed} are allowed"
        )
    if beside:
        return f"under no fault is it surely worse than the champion by more than {allowed} (at worst with {said}: {cost})"
    if broken:
        return f"{said} costs it {cost}, surely at least {least}: {allowed} are allowed"
    return f"no fault surely costs it more than {allowed} (at worst {said}: {cost})"


def _units_gate(mode: Mode, suspects: Sequence[UnitError]) -> Gate:
    """Whether values came in another unit, and in which column."""
    evidence = {"columns": [one.to_json() for one in suspects]}
    if not suspects:
        reason = "no column holds values that seem to be in another unit"
        return trust_gate("units", mode=mode, passed=True, reason=reason, evidence=evidence)
    told = [
        f"{one.column}: {one.values:,} of {one.of:,} values ({one.example:,.6g}, say) are some "
        f"{'1,000 times' if one.factor > 1 else 'thousandth of'} what is usual "
        f"({one.usual[0]:,.4g} to {one.usual[1]:,.4g})"
        for one in suspects[:3]
    ]
    more = f"; and {len(suspects) - 3} more columns" if len(suspects) > 3 else ""
    reason = "values in another unit? " + "; ".join(told) + more
    return trust_gate("units", mode=mode, passed=False, reason=reason, evidence=evidence)
