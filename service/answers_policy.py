"""What answers tell beside the value."""

from __future__ import annotations

from pydantic import Field

from service.policy_part import Part


class Answers(Part):
    """What a prediction tells of itself beside value and probabilities, in JSON calls.

    ``coverage`` adds to each the set of classes (``set``), or for a number the ``interval``, that holds the truth with this
    chance. ``odd`` adds whether the row lies farther from the training rows than ``outliers.threshold`` of these do: such
    calls take a slower way.
    """

    coverage: float | None = Field(default=None, ge=0.5, le=0.999)
    odd: bool = False
