"""What a run may spend on its search, and on what."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from automl.engines import catalogue
from service.policy_part import Part, is_stored

QUICK = "portfolio"
"""The engine that has a first good model within seconds."""


class Blend(Part):
    """A weighted mean of several models stands where it beats the best single one by more than ``margin`` (in the
    metric's unit) on folds that took no part in choosing it. Its members together take at most half of
    ``gates.max_latency_ms``. ``calibrate``: a curve on its probabilities where the metric is log_loss and it helps."""

    margin: float = Field(default=0.0, ge=0)
    members: int = Field(default=6, ge=2, le=20)
    calibrate: bool = True


class Search(Part):
    """``engines`` search at once and share the machine: weights, of which only the proportions matter. There are those
    that ``GET /v1/engines`` lists.

    The search ends early when nothing better came for ``patience`` of the budget (null: never). ``parallel`` is
    how many trials run at once, each in one thread (null: as many as there are cores). A project's first run takes
    ``first_seconds`` of the portfolio alone, so that a model serves soon, and the full search follows at once (null,
    or without the portfolio: the first run is a full one).
    """

    budget_seconds: float = Field(default=120, ge=1, le=86_400)
    engines: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={"portfolio": 0.3, "flaml": 0.4, "tpot": 0.3}
    )
    patience: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    parallel: int | None = Field(default=None, ge=1, le=64)
    blend: Blend | None = Blend()
    first_seconds: float | None = Field(default=2.0, ge=1, le=86_400)

    @property
    def starts_quickly(self) -> bool:
        return self.first_seconds is not None and self.engines.get(QUICK, 0) > 0

    @field_validator("engines")
    @classmethod
    def _known(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        return value if is_stored(info) else known_engines(value)


def known_engines(shares: dict[str, float]) -> dict[str, float]:
    """The shares as they are. Raises ValueError when an engine is not installed, or none has a share.

    That an engine is installed doesn't say that it can be used: a run says so of each.
    """
    there = catalogue.names()
    unknown = sorted(set(shares) - set(there))
    if unknown:
        raise ValueError(f"unknown engine {unknown[0]!r}; choose from {', '.join(there)}")
    if not any(share > 0 for share in shares.values()):
        raise ValueError("at least one engine needs a share above 0")
    return shares
