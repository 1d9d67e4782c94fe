"""How alike a model has to treat the groups of sensitive columns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.policy_part import Part, Share

Multiple = Annotated[float, Field(gt=0)]


class Fairness(Part):
    """Rates and errors by group of the task's ``sensitive`` columns, and of the features named in ``columns``.

    ``hard``: no gap between two groups may surely be wider than its limit; null sets none. ``non_inferior``: no gap with a
    limit may surely be wider than the champion's by more than ``margin``. Limits are differences of rates; those of
    ``max_error`` and ``max_bias``, for numbers, are shares of the mean absolute error over all rows. "Surely" is at
    confidence ``1 - alpha`` over all groups and measures together. Groups below ``min_rows`` are told and never judged;
    numbers and times are cut into ``bins`` groups of the same size, and ``intersections`` looks at each two columns
    together too. Live, each look is at the newest ``window`` answers whose truth has come.
    """

    mode: Literal["hard", "non_inferior", "report"] = "report"
    columns: list[str] = Field(default=[], max_length=20)
    max_demographic_parity: Share | None = 0.1
    max_equalized_odds: Share | None = 0.1
    max_calibration: Share | None = 0.1
    max_error: Multiple | None = 0.25
    max_bias: Multiple | None = 0.25
    margin: float = Field(default=0.05, ge=0)
    min_rows: int = Field(default=100, ge=30)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    bins: int = Field(default=4, ge=2, le=10)
    intersections: bool = False
    window: int = Field(default=2_000, ge=200, le=50_000)
