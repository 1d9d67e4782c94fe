"""How both models take rows that are not as they should be, and whether the challenger takes them worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.sentences import significant
from automl.trust.examined import Examined, trust_gate
from automl.trust.exhibit import Answers, Exhibit, Standing, drawn
from automl.trust.mode import Mode
from automl.trust.perturbation import SAID, Bad, Columns, applies, spoiled
from automl.trust.scores import Loss, Scale
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
LEAST_ROWS = 100
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessRule:
    """``max_loss`` is what the challenger may lose under any kind of fault (``hard``), ``margin`` by how much it may answer
    worse than the champion under the same fault (``non_inferior``): in the metric's unit, for rmse and mae as a share of
    the naive baseline's error. Both count only where they are surely exceeded."""

    mode: Mode = Mode.REPORT
    max_loss: float = 0.1
    margin: float = 0.02

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RobustnessRule:
        return cls(**{**data, "mode": Mode(data["mode"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One kind of fault at growing levels: the scores of both models, and the losses of the challenger at each."""

    kind: Bad
    levels: tuple[float, ...]
    answers: Mapping[str, tuple[Answers, ...]]

    def at(self, part: str, level: float) -> Answers:
        return self.answers[part][self.levels.index(level)]


def robustness_gates(exhibit: Exhibit, rule: RobustnessRule) -> Examined:
    """The degradation curves of both models, and one gate on the levels of :data:`JUDGED`."""
    columns = Columns.of(exhibit.schema, exhibit.features, exhibit.train)
    kinds = [kind for kind in Bad if applies(kind, columns)]
    asked = sum(len(LEVELS[kind]) for kind in kinds)
    picked = drawn(len(exhibit.y), _affordable(exhibit, asked), seed=exhibit.seed)
    scale = Scale.of(exhibit, picked)
    before = {part: one.answers[picked] for part, one in exhibit.standings.items()}
    curves = _curves(exhibit, columns, kinds, exhibit.rows.iloc[picked])
    report = {
        "metric": exhibit.metric,
        "rows": len(picked),
        "clean": {part: scale.score(answers) for part, answers in before.items()},
        "curves": [_told(curve, scale) for curve in curves],
    }
    return Examined(gates=(_gate(exhibit, rule, curves, scale, before),), report=report)


def _affordable(exhibit: Exhibit, asked: int) -> int:
    """So many rows can be asked about ``asked`` times within the allowance."""
    each = sum(one.row_seconds for one in exhibit.standings.values()) * max(asked, 1)
    return len(exhibit.y) if each <= 0 else max(LEAST_ROWS, int(exhibit.seconds / each))


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


def asked_at_once(standing: Standing, frames: Sequence[pd.DataFrame]) -> list[Answers]:
    """A model's answers to several frames, from one call."""
    if not frames:
        return []
    answers = standing.ask(pd.concat(frames, ignore_index=True))
    return np.split(answers, np.cumsum([len(one) for one in frames])[:-1])


def _told(curve: Curve, scale: Scale) -> dict[str, Any]:
    scores = {part: [scale.score(one) for one in given] for part, given in curve.answers.items()}
    judged = JUDGED[curve.kind]
    return {
        "kind": curve.kind.value,
        "said": SAID[curve.kind].format(level=judged),
        "judged": judged,
        "levels": list(curve.levels),
        **scores,
    }


def _gate(
    exhibit: Exhibit,
    rule: RobustnessRule,
    curves: Sequence[Curve],
    scale: Scale,
    before: Mapping[str, Answers],
) -> Gate:
    """Which fault costs the challenger most, and whether that is surely more than allowed."""
    against = "champion" if rule.mode is Mode.NON_INFERIOR else "itself"
    if rule.mode is Mode.NON_INFERIOR and exhibit.champion is None:
        reason = "there is no champion to be held against"
        return trust_gate("robustness", mode=rule.mode, passed=None, reason=reason)
    alpha = ALPHA / max(len(curves), 1)
    losses: dict[Bad, Loss] = {}
    for curve in curves:
        level = JUDGED[curve.kind]
        after = curve.at("challenger", level)
        held = before["challenger"] if against == "itself" else curve.at("champion", level)
        losses[curve.kind] = scale.loss(held, after, alpha=alpha)
    limit = rule.margin if rule.mode is Mode.NON_INFERIOR else rule.max_loss
    evidence = {"limit": limit, "against": against, "losses": _losses(losses), "rows": len(scale.y)}
    known = {kind: one for kind, one in losses.items() if one.estimate is not None}
    if not known:
        reason = "there is no column to change, or the metric has no value on these rows"
        return trust_gate("robustness", mode=rule.mode, passed=None, reason=reason, evidence=evidence)
    broken = [kind for kind, one in known.items() if (one.lower or 0.0) > limit]
    worst = max(broken or known, key=lambda kind: known[kind].estimate or 0.0)
    reason = _sentence(worst, known[worst], limit, against, bool(broken))
    return trust_gate("robustness", mode=rule.mode, passed=not broken, reason=reason, evidence=evidence)


def _losses(losses: Mapping[Bad, Loss]) -> dict[str, Any]:
    return {
        kind.value: {
            "level": JUDGED[kind],
            "estimate": one.estimate,
            "lower": one.lower,
            "upper": one.upper,
        }
        for kind, one in losses.items()
    }


def _sentence(worst: Bad, loss: Loss, limit: float, against: str, broken: bool) -> str:
    said = SAID[worst].format(level=JUDGED[worst])
    cost = significant(loss.estimate or 0.0)
    than = "costs" if against == "itself" else "the challenger is worse than the champion by"
    if broken:
        at_least = significant(loss.lower or 0.0)
        return f"with {said} {than} {cost}, surely at least {at_least}: more than the {significant(limit)} allowed"
    return f"at worst ({said}) {than} {cost}, which is not surely more than the {significant(limit)} allowed"
