"""What a replay is asked for, checked at the border."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from service.policy import Policy
from service.policy_part import Part

POLICIES = ("never", "every", "always", "drift", "decay", "own")
"""What can be compared; see :mod:`service.replay.players`."""

Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]


class Learner(Part):
    """How a run of the simulation searches.

    ``lightgbm``: one fixed configuration, quick and the same on every machine. ``flaml``: a small real search
    of so many ``trials``, or of ``seconds``, which then depends on the machine.
    """

    kind: Literal["lightgbm", "flaml"] = "lightgbm"
    trials: int | None = Field(default=None, ge=1, le=1000)
    seconds: float | None = Field(default=None, ge=1, le=600)

    @model_validator(mode="after")
    def _fits(self) -> Learner:
        if self.kind == "lightgbm" and (self.trials or self.seconds):
            raise ValueError("lightgbm is one fixed configuration: it takes neither trials nor seconds")
        if self.kind == "flaml" and (self.trials is None) == (self.seconds is None):
            raise ValueError("flaml takes either trials or seconds")
        return self


class ReplayPlan(Part):
    """The options of a replay.

    ``window`` is a span of time, or a number of rows where time is no date; ``delay`` is how long after a row its
    truth comes, in the same unit. A window is ``looks`` looks at the triggers long. ``every`` counts windows for
    the policies ``every`` and ``always``. Nothing is learnt in the first ``warm_up`` windows. ``keep_every`` thins
    the stream to each n-th row. ``more`` are further policies to compare, by name. ``later_windows`` is how far
    the hindsight on a promotion looks.
    """

    policies: list[Name] = Field(default=list(POLICIES))
    more: dict[Name, Policy] = Field(default={})
    policy: Policy | None = Field(default=None, description="the policy called own; the project's, if any")
    window: timedelta | Annotated[int, Field(ge=10)] = timedelta(days=7)
    delay: timedelta | Annotated[int, Field(ge=0)] = timedelta(0)
    looks: int = Field(default=7, ge=1, le=1000)
    every: int = Field(default=1, ge=1, le=10_000)
    warm_up: int = Field(default=4, ge=1, le=10_000)
    keep_every: int = Field(default=1, ge=1, le=100_000)
    learner: Learner = Learner()
    drift: Literal["light", "evidently"] = "light"
    later_windows: int = Field(default=4, ge=1, le=1000)
    seed: int = Field(default=0, ge=0, lt=2**31)
    deadline_seconds: float = Field(default=3600, ge=1, le=86_400)

    @field_validator("policies")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        unknown = [name for name in value if name not in POLICIES]
        if unknown:
            raise ValueError(f"there is no policy {unknown[0]!r}; choose from {', '.join(POLICIES)}")
        return list(dict.fromkeys(value))

    @model_validator(mode="after")
    def _whole(self) -> ReplayPlan:
        by_rows = isinstance(self.window, int)
        if by_rows and isinstance(self.delay, timedelta) and self.delay:
            raise ValueError("a window in rows needs a delay in rows")
        if not by_rows and isinstance(self.delay, int) and self.delay:
            raise ValueError("a window of time needs a delay of time, such as P2D")
        if isinstance(self.window, timedelta) and self.window < timedelta(minutes=1):
            raise ValueError("a window of time is at least a minute long")
        if isinstance(self.delay, timedelta) and self.delay < timedelta(0):
            raise ValueError("truth can't come before its row")
        taken = [name for name in self.more if name in POLICIES]
        if taken:
            raise ValueError(f"{taken[0]!r} is the name of a built-in policy")
        if not self.policies and not self.more:
            raise ValueError("name at least one policy")
        return self

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
