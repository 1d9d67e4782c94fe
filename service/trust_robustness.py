"""What a challenger has to keep when rows are not as they should be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.policy_part import Part


class Robustness(Part):
    """Both models are asked about the same rows with noise, gaps, unseen categories, wrong units and later times.

    ``hard``: under none of these faults may the challenger surely lose more than ``max_loss`` of its own score.
    ``non_inferior``: under none may it surely be worse than the champion by more than ``margin``. Both are in the metric's
    unit (for rmse and mae a share of the naive baseline's error). ``unit_errors`` is the mode of a gate of its own, on
    columns in which some values seem to be in another unit; null for no such gate. ``label_noise`` trains the winner's
    pipeline anew on labels of which some are flipped, where there is time for it.
    """

    mode: Literal["hard", "non_inferior", "report"] = "report"
    max_loss: float = Field(default=0.1, gt=0)
    margin: float = Field(default=0.02, ge=0)
    unit_errors: Literal["hard", "report"] | None = "report"
    label_noise: bool = True
