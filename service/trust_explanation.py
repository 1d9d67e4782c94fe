"""How far a challenger may lean on other columns than the champion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.policy_part import Part, Share


class Explanation(Part):
    """What both models lean on: how far their answers move when a column is shuffled among the rows.

    ``hard`` and ``non_inferior`` are one here, since the figure is held against the champion by itself: surely no more than
    ``max_change`` of what the challenger leans on may lie on other columns. ``top`` columns are told by their curves.
    """

    mode: Literal["hard", "non_inferior", "report"] = "report"
    max_change: Share = 0.3
    top: int = Field(default=5, ge=0, le=20)
