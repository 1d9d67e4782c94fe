"""The gate ``explanation``: does the challenger lean on the columns that the champion leans on?

A model that scores as well by other columns is another model: it may be right, but somebody should know which columns
decide now. By default this is told and nothing blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.explain import Explainer, Method
from automl.explain.sampling import ASKED_A_ROW
from automl.frames import frame, typed
from automl.trust.dependence import CURVES, GRID, dependence
from automl.trust.dependence import ROWS as CURVE_ROWS
from automl.trust.examined import Examined, trust_gate
from automl.trust.exhibit import Exhibit, drawn
from automl.trust.leaning import Change, Leaning, change, leaning
from automl.trust.mode import Mode
from automl.trust.questions import too_slow
from automl.verdict import Gate

NAME = "explanation"
ASKED = 40_000
"""Shuffled rows that a model is asked about at most."""
FEWEST = 50
_LOOKED_AT = 2_000
_EXPLAINED = 30
_BACKGROUND = 200
_NAMED = 3
_METHOD = "mean movement of the answers when the column is shuffled among the gate rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationRule:
    """``max_change`` is the part of what a challenger leans on that may lie on other columns than the champion's; ``top``
    columns are told by their curves."""

    mode: Mode = Mode.REPORT
    max_change: float = 0.3
    top: int = 5

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExplanationRule:
        return cls(**{**data, "mode": Mode(data["mode"])})


def explanation_gates(exhibit: Exhibit, rule: ExplanationRule) -> Examined:
    """Both models' leanings, how far they differ, the curves of the foremost columns, and whether contributions add up."""
    found = _leanings(exhibit)
    if found is None:
        reason = f"not measured: one of the models is too slow to be asked {FEWEST} times for each column"
        gate = trust_gate(NAME, mode=rule.mode, passed=None, reason=reason)
        return Examined(gates=(gate,), report={"reason": reason})
    moved = None
    if "champion" in found:
        moved = change(found["challenger"], found["champion"], seed=exhibit.seed)
    gate = _gate(found, moved, rule)
    rows = _curve_rows(exhibit, rule.top)
    report = {
        "method": _METHOD,
        "rows": len(found["challenger"].moved),
        "columns": _columns(found),
        "change": None if moved is None else moved.share,
        "interval": None if moved is None else [moved.lower, moved.upper],
        "max_change": rule.max_change,
        "dependence": _curves(exhibit, found, rule.top, rows) if rows else [],
        "dependence_not_measured": None if rows else too_slow(GRID * rule.top, least=CURVES),
        "contributions": _contributions(exhibit),
    }
    return Examined(gates=(gate,), report=report)


def _leanings(exhibit: Exhibit) -> dict[str, Leaning] | None:
    """None where a model is so slow that too few rows could be asked about."""
    columns = [name for name in exhibit.features if name in exhibit.rows]
    slowest = max(standing.row_seconds for standing in exhibit.standings.values())
    within = exhibit.seconds / (2 * len(exhibit.standings) * max(slowest, 1e-9))
    most = int(min(max(ASKED, FEWEST * len(columns)), within) // max(len(columns), 1))
    if not columns or most < min(FEWEST, len(exhibit.rows)):
        return None
    picked = drawn(len(exhibit.rows), min(most, _LOOKED_AT), seed=exhibit.seed)
    rows, y = exhibit.rows.iloc[picked].reset_index(drop=True), exhibit.y[picked]
    return {
        part: leaning(standing.ask, rows, y, columns, measure=exhibit.metric, seed=exhibit.seed)
        for part, standing in exhibit.standings.items()
    }


def _gate(found: Mapping[str, Leaning], moved: Change | None, rule: ExplanationRule) -> Gate:
    new = found["challenger"]
    evidence: dict[str, Any] = {"limit": rule.max_change, "columns": _columns(found)[:_NAMED]}
    if moved is None:
        reason = f"it leans most on {_most(new)}; there is no champion to compare it with"
        return trust_gate(NAME, mode=rule.mode, passed=None, reason=reason, evidence=evidence)
    evidence |= {"change": moved.share, "interval": [moved.lower, moved.upper]}
    if moved.lower <= rule.max_change:
        reason = (
            f"{moved.share:.0%} of what it leans on lies on other columns than the champion's, "
            f"{rule.max_change:.0%} may; most on {_most(new)}"
        )
        return trust_gate(NAME, mode=rule.mode, passed=True, reason=reason, evidence=evidence)
    moves = ", ".join(_move(name, found) for name in _most_moved(found))
    reason = (
        f"it leans on other columns than the champion: {moved.share:.0%} lies elsewhere, surely more than the "
        f"{rule.max_change:.0%} allowed ({moves})"
    )
    evidence["moved"] = _most_moved(found)
    return trust_gate(NAME, mode=rule.mode, passed=False, reason=reason, evidence=evidence)


def _most(one: Leaning) -> str:
    order = np.argsort(-one.shares, kind="stable")[:_NAMED]
    return (
        ", ".join(f"{one.columns[at]} ({one.shares[at]:.0%})" for at in order if one.shares[at] > 0)
        or "nothing"
    )


def _most_moved(found: Mapping[str, Leaning]) -> list[str]:
    apart = np.abs(found["challenger"].shares - found["champion"].shares)
    order = np.argsort(-apart, kind="stable")[:_NAMED]
    return [found["challenger"].columns[at] for at in order if apart[at] > 0]


def _move(name: str, found: Mapping[str, Leaning]) -> str:
    at = found["challenger"].columns.index(name)
    return f"{name} {found['champion'].shares[at]:.0%} → {found['challenger'].shares[at]:.0%}"


def _columns(found: Mapping[str, Leaning]) -> list[dict[str, Any]]:
    """Every column by what each model has of it, the one that a model leans on most first."""
    names = found["challenger"].columns
    most = np.max([one.shares for one in found.values()], axis=0)
    return [
        {
            "column": names[at],
            **{
                part: {
                    "share": float(one.shares[at]),
                    "moved": float(one.mean[at]),
                    "worth": float(one.worth[at]) if np.isfinite(one.worth[at]) else None,
                }
                for part, one in found.items()
            },
        }
        for at in np.argsort(-most, kind="stable")
    ]


def _curve_rows(exhibit: Exhibit, top: int) -> int:
    """How many rows there is time to draw curves of, within a quarter of the allowance; 0 where too few."""
    each = sum(one.row_seconds for one in exhibit.standings.values()) * GRID * max(top, 1)
    most = CURVE_ROWS if each <= 0 else int(min(exhibit.seconds / 4 / each, CURVE_ROWS))
    return most if most >= min(CURVES, len(exhibit.rows)) else 0


def _curves(exhibit: Exhibit, found: Mapping[str, Leaning], top: int, most_rows: int) -> list[dict[str, Any]]:
    names = found["challenger"].columns
    most = np.max([one.shares for one in found.values()], axis=0)
    rows = exhibit.rows.iloc[drawn(len(exhibit.rows), most_rows, seed=exhibit.seed)].reset_index(drop=True)
    models = {part: standing.ask for part, standing in exhibit.standings.items()}
    told: list[dict[str, Any]] = []
    for at in np.argsort(-most, kind="stable"):
        if len(told) == top or most[at] == 0:
            break
        curve = dependence(models, rows, exhibit.schema.by_name[names[at]], task=exhibit.task)
        if curve is not None:
            told.append(curve.to_json(exhibit.task.classes))
    return told


def _contributions(exhibit: Exhibit) -> dict[str, Any]:
    """How the challenger's single answers are explained, and how far the sums are off its raw scores: as
    ``?explain=true`` does it."""
    schema, model = exhibit.schema, exhibit.challenger
    background = exhibit.train.iloc[drawn(len(exhibit.train), _BACKGROUND, seed=exhibit.seed)]
    explainer = Explainer(
        model.pipeline,
        schema,
        exhibit.task,
        typed(background, schema),
        lambda asked: model.ask(frame(asked, schema)),
    )
    rows = _EXPLAINED
    if explainer.method is Method.SAMPLED:
        rows = int(np.clip(exhibit.seconds / (4 * ASKED_A_ROW * max(model.row_seconds, 1e-9)), 1, _EXPLAINED))
    told = explainer.explain(typed(exhibit.rows.head(rows), schema))
    sums = told.base + told.contributions.sum(axis=1)
    gap = float(np.max(np.abs(sums - told.raw) / np.maximum(1.0, np.abs(told.raw)), initial=0.0))
    return {
        "method": told.method.value,
        "scale": told.scale.value,
        "rows": len(told.raw),
        "gap": gap,
        "why_sampled": explainer.why_sampled or None,
    }
