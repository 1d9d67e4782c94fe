"""What all parts of a policy have in common."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo

Share = Annotated[float, Field(gt=0, le=1)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_timedelta="iso8601")

    @classmethod
    def stored(cls, kept: Any) -> Self:
        """Read what was accepted before: an engine that was uninstalled since doesn't make it unreadable."""
        return cls.model_validate(kept, context=_STORED)


_STORED = {"stored": True}


def is_stored(info: ValidationInfo) -> bool:
    """Whether it is :meth:`Part.stored` that reads."""
    return info.context is _STORED
