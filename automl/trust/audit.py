"""How models treat the groups of sensitive columns: figures, gaps, and which gaps are surely too wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.task import Task
from automl.trust.entities import entity_codes
from automl.trust.fairness_report import column_report
from automl.trust.figures import Measured, Values, measured, told_classes
from automl.trust.gaps import LEAST_DRAWS, Gap, comparisons, gap
from automl.trust.groups import Grouping
from automl.trust.mode import Mode

RESAMPLES = 1_000
FEWEST_RESAMPLES = 100
_WORK = 500_000_000
"""Weighed values that are summed up: some five seconds of one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessRule:
    """``columns`` are features that are audited too, beside the task's sensitive columns. ``limits`` are the largest gaps
    allowed, by measure (see :data:`automl.trust.gaps.MEASURES`); a measure without one is told and not judged. ``margin`` is
    by how much a gap may be wider than the champion's. ``alpha`` is the chance of any wrong block. Groups below
    ``min_rows`` are told and never judged."""

    mode: Mode = Mode.REPORT
    columns: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    margin: float = 0.05
    min_rows: int = 100
    alpha: float = 0.05
    bins: int = 4
    intersections: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FairnessRule:
        """``max_X`` is the limit of ``X_difference``; null is none."""
        given = {
            f"{name.removeprefix('max_')}_difference": data[name] for name in data if name.startswith("max_")
        }
        ours = {
            name: data[name]
            for name in ("margin", "min_rows", "alpha", "bins", "intersections")
            if name in data
        }
        return cls(
            mode=Mode(data["mode"]),
            columns=tuple(data.get("columns") or ()),
            limits={measure: limit for measure, limit in given.items() if limit is not None},
            **ours,
        )

    def audited(self, task: Task) -> tuple[str, ...]:
        """The columns to group by."""
        return (*task.sensitive, *(name for name in self.columns if name not in task.sensitive))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One measure in one grouping: the gap of the judged model, its ``limit``, the gap of the one beside it (None where
    there is none), and by how much ours is wider: the estimate and the bound it is surely above (None where too few
    resamples have both)."""

    grouping: Grouping
    ours: Gap
    theirs: Gap | None
    limit: float | None
    wider: tuple[float, float] | None

    @property
    def exceeds(self) -> bool:
        """Surely more than is allowed."""
        return self.limit is not None and self.ours.low > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All that was found out about the judged model, the first of ``figures``, and one beside it on the same rows."""

    groupings: tuple[Grouping, ...]
    figures: Mapping[str, Sequence[Measured]]
    judged: tuple[Judged, ...]
    rows: int

    @property
    def of_entities(self) -> bool:
        """Whether entities were drawn, of which some have several rows."""
        first = next(iter(self.figures.values()))
        pairs = zip(first, self.groupings, strict=True)
        return any(bool((one.units != grouping.counts).any()) for one, grouping in pairs)


def audited(
    models: Mapping[str, Values],
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    groups: tuple[Grouping, ...],
    task: Task,
    rule: FairnessRule,
    *,
    seed: int,
) -> Audit:
    """The figures and gaps of one or two models, by name; the first is judged, the other stands beside it. ``groups``
    are those of the ``rows``, from which it is also seen what belongs together (the task's entities)."""
    units = entity_codes(rows, task)
    resamples = _resamples(len(y) * len(groups) * len(models) * len(told_classes(y, task)))
    figures = measured(models, y, groups, task, resamples=resamples, seed=seed, units=units)
    measures = _measures(task)
    judging = [measure for measure in measures if measure in rule.limits]
    judged = next(iter(figures.values()))
    count = comparisons(judged, groups, judging or measures, rule.min_rows)
    unit = 1.0 if task.is_classification else _mean_error(judged[0])
    looks = _Looks(
        rule=rule, alpha=rule.alpha / max(count, 1), looks=len(groups) * len(judging or measures), unit=unit
    )
    found = [
        looks.judged(place, grouping, measure, figures)
        for place, grouping in enumerate(groups)
        for measure in measures
    ]
    kept = tuple(one for one in found if one is not None)
    return Audit(groupings=groups, figures=figures, judged=kept, rows=len(y))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    """How sure each of several looks has to be."""

    rule: FairnessRule
    alpha: float
    looks: int
    unit: float

    def judged(
        self, place: int, grouping: Grouping, measure: str, figures: Mapping[str, Sequence[Measured]]
    ) -> Judged | None:
        gaps = [
            gap(found[place], grouping, measure, least=self.rule.min_rows, alpha=self.alpha, unit=self.unit)
            for found in figures.values()
        ]
        ours, theirs = gaps[0], gaps[1] if len(gaps) > 1 else None
        if ours is None:
            return None
        return Judged(
            grouping=grouping,
            ours=ours,
            theirs=theirs,
            limit=self.rule.limits.get(measure),
            wider=None if theirs is None else self._wider(ours, theirs),
        )

    def _wider(self, ours: Gap, theirs: Gap) -> tuple[float, float] | None:
        wider = ours.value - theirs.value
        drawn = ours.drawn - theirs.drawn
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) < LEAST_DRAWS:
            return None
        error = float(drawn.std(ddof=1))
        return wider, wider - NormalDist().inv_cdf(1 - self.rule.alpha / max(self.looks, 1)) * error


def audit_report(audit: Audit, rule: FairnessRule) -> dict[str, Any]:
    """All of it as JSON. ``edges`` make the same groups of other rows."""
    return {
        "mode": rule.mode.value,
        "rows": audit.rows,
        "min_rows": rule.min_rows,
        "alpha": rule.alpha,
        "margin": rule.margin,
        "limits": dict(rule.limits),
        "columns": [
            {
                **column_report(
                    grouping, {name: found[place] for name, found in audit.figures.items()}, rule.min_rows
                ),
                "gaps": [_told(one, audit) for one in audit.judged if one.grouping is grouping],
            }
            for place, grouping in enumerate(audit.groupings)
        ],
    }


def _told(one: Judged, audit: Audit) -> dict[str, Any]:
    """A row of the table of gaps, each model's under its name."""
    gaps = zip(audit.figures, (one.ours, one.theirs), strict=False)
    return {
        "column": one.grouping.name,
        "measure": one.ours.measure,
        **{name: None if each is None else each.to_json() for name, each in gaps},
        "limit": one.limit,
        "exceeds": one.exceeds,
        "wider": None if one.wider is None else {"value": one.wider[0], "low": one.wider[1]},
    }


def _measures(task: Task) -> tuple[str, ...]:
    if not task.is_classification:
        return ("error_difference", "bias_difference")
    return ("demographic_parity_difference", "equalized_odds_difference", "calibration_difference")


def _resamples(size: int) -> int:
    """As many as there is time for, by the work of each and not by the clock: the same rows give the same figures."""
    return max(FEWEST_RESAMPLES, min(RESAMPLES, _WORK // max(5 * size, 1)))


def _mean_error(found: Measured) -> float:
    """The mean absolute error over all rows; 1 where there is none to divide by."""
    place = next(place for place, one in enumerate(found.figures) if one.name == "error")
    rows = found.rests_on[place]
    return float(np.nansum(found.values[place] * rows) / rows.sum()) or 1.0
