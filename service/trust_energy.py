"""What a challenger's predictions may cost in energy."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from service.policy_part import Part


class EnergyCost(Part):
    """Both models answer the same rows; their processor time, times ``watts_per_core``, is what a thousand predictions
    cost: an estimate.

    ``hard``: the challenger may not cost more than ``max_wh_per_1000``. ``non_inferior``: not more than the champion and
    ``margin`` (a share of it) besides. A limit is broken where every measurement breaks it.
    """

    mode: Literal["hard", "non_inferior", "report"] = "report"
    max_wh_per_1000: float | None = Field(default=None, gt=0)
    margin: float = Field(default=0.5, ge=0)
    watts_per_core: float = Field(default=3.5, gt=0, le=1_000)

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.mode == "hard" and self.max_wh_per_1000 is None:
            raise ValueError(
                "the mode 'hard' needs max_wh_per_1000, the watt-hours that 1,000 predictions may cost"
            )
        return self
