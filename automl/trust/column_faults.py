"""What a model loses when one column fails: is not there at all, or comes in another unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.trust.exhibit import Answers, Exhibit, drawn
from automl.trust.perturbation import Columns, in_other_units, without
from automl.trust.questions import affordable, asked_at_once, too_slow
from automl.trust.scores import Loss, Scale

MOST_COLUMNS = 40
"""Columns that are looked at one by one: the first so many of the schema."""
MOST_ROWS = 500
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFault:
    """One fault of one column, with what it costs each model."""

    column: str
    fault: str
    losses: Mapping[str, Loss]

    def to_json(self) -> dict[str, Any]:
        losses = {part: loss.to_json() for part, loss in self.losses.items()}
        return {"column": self.column, "fault": self.fault, **losses}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFaults:
    """Every fault, and the number of gate rows it was looked at on; ``skipped`` columns were too many. ``not_measured`` says
    why there is none."""

    faults: tuple[ColumnFault, ...]
    rows: int
    skipped: int
    not_measured: str | None = None

    def of(self, fault: str) -> list[ColumnFault]:
        """The faults of one kind, those that cost the challenger most first; those that nothing is known of last."""
        return sorted((one for one in self.faults if one.fault == fault), key=_cost, reverse=True)

    @property
    def top(self) -> ColumnFault | None:
        """The column that the challenger can spare least."""
        return next(iter(self.of("missing")), None)

    def to_json(self) -> dict[str, Any]:
        kinds = {fault: [one.to_json() for one in self.of(fault)] for fault in ("missing", "units")}
        return {"rows": self.rows, "skipped": self.skipped, "not_measured": self.not_measured, **kinds}


def column_faults(exhibit: Exhibit, columns: Columns, *, share: float) -> ColumnFaults:
    """Each column wholly missing, and each number a thousand times as large in all rows; every model is asked once, within
    ``share`` of the allowance."""
    looked = columns.every[:MOST_COLUMNS]
    numbers = [name for name in columns.numbers if name in looked]
    skipped, asked = len(columns.every) - len(looked), len(looked) + len(numbers)
    most = min(MOST_ROWS, affordable(exhibit, asked, share=share))
    if not most:
        return ColumnFaults(faults=(), rows=0, skipped=skipped, not_measured=too_slow(asked))
    picked = drawn(len(exhibit.y), most, seed=exhibit.seed)
    rows = exhibit.rows.iloc[picked]
    frames: list[tuple[str, str, pd.DataFrame]] = [
        *((name, "missing", without(rows, name)) for name in looked),
        *((name, "units", in_other_units(rows, name)) for name in numbers),
    ]
    scale = Scale.of(exhibit, picked)
    losses: dict[str, Sequence[Loss]] = {}
    for part, standing in exhibit.standings.items():
        answers = asked_at_once(standing, [frame for _, _, frame in frames])
        losses[part] = _losses(scale, standing.answers[picked], answers)
    faults = tuple(
        ColumnFault(column=column, fault=fault, losses={part: found[at] for part, found in losses.items()})
        for at, (column, fault, _) in enumerate(frames)
    )
    return ColumnFaults(faults=faults, rows=len(picked), skipped=skipped)


def _losses(scale: Scale, before: Answers, after: Sequence[Answers]) -> list[Loss]:
    """Estimates for all; bounds only where there is something to be sure of."""
    return [
        Loss(estimate=0.0, lower=0.0, upper=0.0)
        if np.array_equal(one, before)
        else scale.loss(before, one, alpha=ALPHA)
        for one in after
    ]


def _cost(fault: ColumnFault) -> float:
    estimate = fault.losses["challenger"].estimate
    return -np.inf if estimate is None else estimate
